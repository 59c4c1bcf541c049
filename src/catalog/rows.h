// The catalogue's rows as values: what is read from the database, with its texts copied to an arena.
#ifndef LODE_CATALOG_ROWS_H
#define LODE_CATALOG_ROWS_H

#include "catalog/catalog.h"
#include "store/sql.h"

// By the normal form of any alias; with aliases and roots. NOT_FOUND names it.
enum status rows_find_dataset(struct sql *sql, struct text identifier, struct arena *arena,
                              struct dataset *out, struct error *error);

// By its number. NOT_FOUND without a good text when there is none.
enum status rows_get_dataset(struct sql *sql, int64_t number, struct arena *arena,
                             struct dataset *out, struct error *error);

// As catalog_list.
enum status rows_list_datasets(struct sql *sql, struct text prefix, struct text after, size_t limit,
                               struct arena *arena, struct dataset *out, size_t *count,
                               struct error *error);

enum status rows_read_roots(struct sql *sql, int64_t number, struct arena *arena,
                            struct dataset_root **roots, size_t *count, struct error *error);

// A file with the survey that saw it last.
struct file_row {
    struct dataset_file file;
    int64_t survey;
};

// As catalog_files.
enum status rows_read_files(struct sql *sql, int64_t number, struct text after, size_t limit,
                            struct arena *arena, struct file_row *out, size_t *count,
                            struct error *error);
// NOT_FOUND without a good text when there is none.
enum status rows_find_file(struct sql *sql, int64_t number, struct text path, struct arena *arena,
                           struct file_row *out, struct error *error);

#endif
