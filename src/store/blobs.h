// Blobs: immutable bytes named by their SHA-256, as files of a folder.
//
// Bytes are here before the database names them, so what nobody came to name is removed again (store/sweep.h), and never anything else:
//
//   Who finds a blob here in order to name it, or to tell somebody that it need not be sent, claims it (blob_claim), and names it within BLOB_CLAIM_US. Nothing is removed within
//   that time of its coming or its last claim, if the wall clock was right both when the site started before that and when it last started. A sweep begins at a time S, then reads
//   all names, and removes what has none and was last claimed before S - BLOB_UNCLAIMED_US. A name that it did not see was written after S, so the claim for it is younger than that.
//   The time that a site is down counts, so the first sweep leaves those that come back time to report (programs/site/sweeper.h).
//
// The time of the last claim is the file's time of modification, by a clock of the store's own that starts with the wall clock, goes on with it while the machine is asleep, and does
// not jump with it. A claim and a removal of the same blob exclude each other. Blobs that a sweep found named, or that are to stay, have the mode 0444 and are not looked at again, others 0400.
#ifndef LODE_STORE_BLOBS_H
#define LODE_STORE_BLOBS_H

#include "crypto/digest.h"

struct blobs;

#define BLOB_CLAIM_US INT64_C(82800000000)     // So long a claim holds at least.
#define BLOB_UNCLAIMED_US INT64_C(86400000000) // So old is the last one of what is removed.

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
// It is to stay for good once it is committed: it is named where nobody looks, in the content of another one.
void blob_writer_keep(struct blob_writer *writer);

// Writes a small blob at once.
enum status blob_put(struct blobs *blobs, struct text bytes, struct digest *out,
                     struct error *error);
// Opens for reading; *size its length. NOT_FOUND names the digest.
enum status blob_open(struct blobs *blobs, const struct digest *digest, int *fd, int64_t *size,
                      struct error *error);
// Is it here now? No more than that: see blob_claim.
bool blob_exists(struct blobs *blobs, const struct digest *digest);
// Is it here? Then it stays for BLOB_CLAIM_US. Looks at the disk; may wait for the removal of that very blob.
bool blob_claim(struct blobs *blobs, const struct digest *digest);
// The same, for who must not wait: false as well while that very blob is being removed.
bool blob_try_claim(struct blobs *blobs, const struct digest *digest);
// The path of a blob, for binding it into a sandbox; heap string; the file may not exist.
char *blob_path(struct blobs *blobs, const struct digest *digest);

// --- for store/sweep.h

// The store's clock.
int64_t blobs_now_us(const struct blobs *blobs);
// Calls `visit` for the blobs whose digest begins with `first` that are not kept and were last claimed before `before_us`, until it answers false.
enum status blobs_each_unclaimed(struct blobs *blobs, unsigned char first, int64_t before_us,
                                 bool (*visit)(void *context, const struct digest *digest),
                                 void *context, struct error *error);
// It is named, and not to be looked at again. False: that failed, so that it is.
bool blob_keep(struct blobs *blobs, const struct digest *digest);
// Removes it unless it was claimed since, or is kept. True: it is gone, *size bytes. By one thread at a time.
bool blob_remove_unclaimed(struct blobs *blobs, const struct digest *digest, int64_t before_us,
                           int64_t *size);

#endif
