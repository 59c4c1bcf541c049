// `lode unpack` at work on one archive, in a sandbox that sees the archive and its target only.
#ifndef LODE_SHELF_UNPACKER_H
#define LODE_SHELF_UNPACKER_H

#include "base/status.h"
#include "os/cgroup.h"

struct unpacker;

struct unpacker_order {
    const char *program; // This program, `lode`.
    const char *bubblewrap;
    const char *etc_folder;
    struct cgroups *cgroups; // NULL: none
    int64_t number;          // Unique among the worker's.
    const char *archive;
    const char *folder; // Empty: see software/tree.h.
    bool is_image;
    int64_t bytes_max;
};

// The order is borrowed for this call alone. *out is the caller's.
enum status unpacker_start(const struct unpacker_order *order, struct unpacker **out,
                           struct error *error);
// Has it ended? Then the error's status is OK, or says why there is nothing: INVALID when the archive is to blame wherever it is unpacked, QUOTA when there
// is no space for what is in it. One
// that takes too long is ended.
bool unpacker_has_ended(struct unpacker *unpacker, int64_t now_us, struct error *error);
// Ends it, and waits for that.
void unpacker_free(struct unpacker *unpacker);

#endif
