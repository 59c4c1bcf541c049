// A tree of software on a worker: unpacked once from its archive, then bound into sandboxes.
#ifndef LODE_SOFTWARE_TREE_H
#define LODE_SOFTWARE_TREE_H

#include "base/arena.h"
#include "base/text.h"
#include "software/unpack.h"

// In the folder of a tree: what was unpacked, and what is known of it.
#define TREE_ROOT "root"
#define TREE_ABOUT "software.json"
#define TREE_PREFIX "/opt/bundle" // Where tasks see a tree that is no root of a file system.

struct tree_order {
    const char *archive; // Path.
    const char *folder;  // Empty.
    bool is_image;       // Else a bundle.
    struct unpack_quota quota;
};

struct tree {
    bool
        is_root; // It takes the place of the machine's /usr, /bin, /lib and /etc; else it lies at TREE_PREFIX.
    struct text *environment; // "NAME=value".
    size_t environment_count;
};

// Unpacks it, makes the places in it on which a sandbox puts its own files and folders, and writes all that to the disk. The statuses of unpack_archive
// and image_unpack.
enum status tree_unpack(const struct tree_order *order, struct error *error);

// What tree_unpack has written; the texts are the arena's. NOT_FOUND: it has not been unpacked to the end.
enum status tree_read(const char *folder, struct arena *arena, struct tree *out,
                      struct error *error);

#endif
