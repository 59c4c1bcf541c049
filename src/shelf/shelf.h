// Software that jobs bring, on this worker: fetched and unpacked once, then bound into the sandboxes of all jobs that want it.
//
// It stays when its last job has gone, and over restarts of the worker, until the disk is short of space: then what was used
// longest ago goes.
#ifndef LODE_SHELF_SHELF_H
#define LODE_SHELF_SHELF_H

#include "fetch/transfer.h"
#include "os/cgroup.h"
#include "software/tree.h"

struct shelf;
struct shelf_item; // One bundle or image.

// Borrowed for the shelf's life.
struct shelf_options {
    const char *folder;
    const char *program; // This program, `lode`, which unpacks.
    const char *bubblewrap;
    const char *etc_folder;
    struct cgroups *cgroups; // NULL: none
    struct transfers *transfers;
};

// It is there (the status is OK), or cannot be had: INVALID when the archive is to blame, wherever it is unpacked.
typedef void (*shelf_done)(void *context, const struct error *fault);

// Takes over what an earlier worker has left in the folder.
enum status shelf_new(const struct shelf_options *options, struct shelf **out, struct error *error);
// Ends what is under way, and tells nobody; the transfers must be gone. What is there stays for the next worker. NULL is allowed.
void shelf_free(struct shelf *shelf);

// The software of this digest is wanted. `done` is called once, from shelf_work. To be given back with shelf_give_back, after that.
struct shelf_item *shelf_take(struct shelf *shelf, const char *digest, bool is_image,
                              shelf_done done, void *context);
void shelf_give_back(struct shelf_item *item);

// Once it is there: what was unpacked, and where.
const struct tree *shelf_tree(const struct shelf_item *item);
const char *shelf_root(const struct shelf_item *item);

// Moves things on. Microseconds until it wants to be called again; -1: not by itself.
int64_t shelf_work(struct shelf *shelf, int64_t now_us);

#endif
