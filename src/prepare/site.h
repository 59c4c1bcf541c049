// The site that a job is prepared for: what must be asked before it is submitted.
#ifndef LODE_PREPARE_SITE_H
#define LODE_PREPARE_SITE_H

#include "prepare/catalog_ops.h"
#include "store/blobs.h"
#include "store/store.h"

struct file_digests;

// All of it is borrowed, and may be used by several threads at once.
struct prepare_site {
    struct store *store;
    struct blobs *blobs;
    const struct prepare_catalog_ops *catalog; // NULL: no dataset is known.
    void *catalog_context;
    struct file_digests *programs; // Of what tasks ran, and would run now.
};

#endif
