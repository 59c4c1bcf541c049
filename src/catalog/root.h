// Where a dataset's files lie: from a path in the dataset to an open folder and a path below it.
#ifndef LODE_CATALOG_ROOT_H
#define LODE_CATALOG_ROOT_H

#include "catalog/catalog.h"

// The path below the root's folder of the file that is called `path` in the dataset; borrowed from either. For a root that is a file
// the folder is the one that it lies in.
const char *root_path_below(const struct dataset_root *root, const char *path);

// Opens the root's folder for root_path_below. NOT_FOUND and DENIED name the root's path.
enum status root_open(const struct dataset_root *root, int *fd, struct error *error);

// Keeps the folder of the root that was used last open, for walking files in order. Not for several threads.
struct root_cursor {
    const struct dataset_root *root; // NULL: none is open.
    int fd;
};
enum status root_cursor_move(struct root_cursor *cursor, const struct dataset_root *root,
                             struct error *error);
void root_cursor_done(struct root_cursor *cursor);
#define AUTO_ROOT __attribute__((cleanup(root_cursor_done)))

#endif
