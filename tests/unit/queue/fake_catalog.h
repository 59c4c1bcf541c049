// A catalogue of one dataset, "t:two" with the files a and b, which a test can say has changed.
#ifndef LODE_TESTS_QUEUE_FAKE_CATALOG_H
#define LODE_TESTS_QUEUE_FAKE_CATALOG_H

#include "prepare/catalog_ops.h"

#include <stdatomic.h>

struct fake_catalog {
    bool is_changed;        // Its files are not what they were.
    bool changes_at_a_look; // While its files are visited, a change of them is accepted.
    unsigned char content;  // A byte of its files' digests.
    bool is_unsettled;      // It was touched just now.
    _Atomic uint64_t state; // What a look finds.
    _Atomic int looks;      // How many were made beside those of checks.
};

extern const struct prepare_catalog_ops FAKE_CATALOG;

#endif
