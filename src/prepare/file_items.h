// Index sets made of datasets: blobs with one file a line.
#ifndef LODE_PREPARE_FILE_ITEMS_H
#define LODE_PREPARE_FILE_ITEMS_H

#include "prepare/catalog_ops.h"
#include "store/blobs.h"

// Makes the blob of kind `files` of a dataset: a line for each file.
enum status items_of_dataset(struct blobs *blobs, const struct prepare_catalog_ops *catalog,
                             void *context, const char *id, struct digest *out, int64_t *count,
                             int64_t *size, struct error *error);

#endif
