// Registering a dataset: the request is judged against the file system first, then against the database in one write.
#ifndef LODE_CATALOG_REGISTER_H
#define LODE_CATALOG_REGISTER_H

#include "catalog/catalog.h"
#include "store/sql.h"

struct registration {
    struct identifier id;
    struct identifier *aliases;
    size_t alias_count;
    struct dataset_root
        *roots; // Sorted by mount, so that the order of paths in a request does not matter.
    size_t root_count;
    struct text title;
    struct text owner;
    struct catalog_witness witness;
    const struct catalog_publisher *publisher;
    int64_t now_us;
    bool is_new;     // Told by registration_write:
    bool is_ordered; // A survey is to be made.
};

// Normalises the identifiers and finds the paths. What it makes lives in the arena; the texts of the request are borrowed.
enum status registration_prepare(const struct dataset_request *request, struct arena *arena,
                                 struct registration *out, struct error *error);

// A store_write_fn; `context` is the registration.
enum status registration_write(struct sql *sql, void *context, struct error *error);

#endif
