// What the files of this machine were found to be: their digests, by what the system says of them. So a file is read once to prove
// that it is a registered one, and again only when it was touched.
#ifndef LODE_SANDBOX_PROOFS_H
#define LODE_SANDBOX_PROOFS_H

#include "crypto/digest.h"

#include <sys/stat.h>

enum { PROOFS_MAX = 65536 }; // Remembered; beyond that, all are forgotten.

// A file as it is: another file, or another content, has another mark.
struct file_mark {
    int64_t device;
    int64_t inode;
    int64_t size;
    int64_t modified_ns;
    int64_t changed_ns;
};

struct file_mark file_mark_of(const struct stat *info);
bool file_mark_equal(const struct file_mark *a, const struct file_mark *b);
// Its time of modification as it is registered: whole microseconds, rounded down.
int64_t file_mark_modified_us(const struct file_mark *mark);

struct proofs;

// Those of an earlier life are read from the file at `path`, as far as it can be read; new ones are appended to it.
struct proofs *proofs_open(const char *path);
void proofs_free(struct proofs *proofs);
// The digest of the file with this mark; false when it was not proven.
bool proofs_find(const struct proofs *proofs, const struct file_mark *mark, struct digest *out);
void proofs_add(struct proofs *proofs, const struct file_mark *mark, const struct digest *digest);

#endif
