// A file of this machine that is read for its digest, some of it at a time, so that others are served in between.
#ifndef LODE_SANDBOX_PROVING_H
#define LODE_SANDBOX_PROVING_H

#include "sandbox/proofs.h"

// All zero: nothing is read.
struct proving {
    struct digest_stream *hash; // NULL: nothing is read.
    int fd;                     // Only while `hash` is there.
    int64_t hashed;
    struct file_mark mark;
};

enum proving_step {
    PROVING_ON,   // There is more to read.
    PROVING_DONE, // All was read: it has this digest and that mark.
    PROVING_LOST, // It cannot be read, or changed meanwhile.
};

// Takes *fd, of a file that has this mark.
void proving_begin(struct proving *proving, int *fd, const struct file_mark *mark);
bool proving_is_on(const struct proving *proving);
// Reads on; nothing is read any more once it is not PROVING_ON.
enum proving_step proving_read(struct proving *proving, struct digest *out);
void proving_stop(struct proving *proving);

#endif
