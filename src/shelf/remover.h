// Trees on their way off the disk, beside the worker's loop: a tree of software has a hundred thousand files.
#ifndef LODE_SHELF_REMOVER_H
#define LODE_SHELF_REMOVER_H

#include "base/status.h"

#include <stddef.h>

// What it has yet to remove is named so.
#define REMOVER_PREFIX "gone-"

struct remover;

// `remove` takes a whole tree away (file_remove_tree); it is called on a thread of the remover's.
enum status remover_new(enum status (*remove)(const char *path, struct error *error),
                        struct remover **out, struct error *error);
// No other tree is begun; what is left stays under its new name.
void remover_stop(struct remover *remover);
// Stops it, and waits for the tree that it is at. NULL is allowed.
void remover_free(struct remover *remover);

// Nothing is at `path` from now on: what was there has a name beside it, REMOVER_PREFIX and digits, until it is removed. OK when there was nothing.
enum status remover_take(struct remover *remover, const char *path, struct error *error);
// How many are not removed yet.
size_t remover_left(const struct remover *remover);

#endif
