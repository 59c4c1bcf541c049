// Blobs: immutable bytes named by their SHA-256, as files of a folder.
#ifndef LODE_STORE_BLOBS_H
#define LODE_STORE_BLOBS_H

#include "crypto/digest.h"

struct blobs;

// The folder is made when missing: blobs/ab/cdef... and blobs/incoming/ for what is being written (emptied here).
enum status blobs_open(const char *folder, struct blobs **out, struct error *error);
void blobs_close(struct blobs *blobs);

// A blob that is being written. Append in any pieces; commit gives it its name, or abort.
struct blob_writer;
enum status blob_writer_new(struct blobs *blobs, struct blob_writer **out, struct error *error);
enum status blob_writer_append(struct blob_writer *writer, struct text bytes, struct error *error);
// Syncs, checks against `expected` (NULL: none; CORRUPT when it differs, naming both), names and syncs the folder; then frees the
// writer in every case. OK also when the blob was there already. Blocks for the disk.
enum status blob_writer_commit(struct blob_writer *writer, const struct digest *expected,
                               struct digest *out, int64_t *size, struct error *error);
void blob_writer_abort(struct blob_writer *writer);

// Writes a small blob at once.
enum status blob_put(struct blobs *blobs, struct text bytes, struct digest *out,
                     struct error *error);
// Opens for reading; *size its length. NOT_FOUND names the digest.
enum status blob_open(struct blobs *blobs, const struct digest *digest, int *fd, int64_t *size,
                      struct error *error);
bool blob_exists(struct blobs *blobs, const struct digest *digest);
// The path of a blob, for binding it into a sandbox; heap string; the file may not exist.
char *blob_path(struct blobs *blobs, const struct digest *digest);

#endif
