// Blobs on their way between the worker and its site: several at once, each repeated until it is through or refused.
#ifndef LODE_FETCH_TRANSFER_H
#define LODE_FETCH_TRANSFER_H

#include "crypto/digest.h"
#include "http/client.h"

struct transfers;

// How an upload or a download ended. `digest` and `size` are those of an upload's content.
struct transfer_end {
    enum status status;
    const struct error *error;
    const struct digest *digest;
    int64_t size;
};
typedef void (*transfer_done)(void *context, const struct transfer_end *end);

struct transfers *transfers_new(void);
// Drops everything under way without its `done`.
void transfers_free(struct transfers *transfers);
// The client to use from now on; what was under way starts again. NULL: none at present.
void transfers_set_client(struct transfers *transfers, struct http_client *client);

// Hashes the file (now yours to forget: it is closed in the end) piece by piece, and uploads it.
void transfers_upload_file(struct transfers *transfers, int fd, transfer_done done, void *context);
// Uploads the bytes, whose digest is known.
void transfers_upload_bytes(struct transfers *transfers, struct text bytes,
                            const struct digest *digest, transfer_done done, void *context);
// A blob that is to become a new file.
struct download {
    const char *digest;
    const char *path;
    unsigned mode;
    bool
        ends_when_full; // With QUOTA: who asked makes room. Else it is tried again until the disk has room.
};
void transfers_download(struct transfers *transfers, const struct download *download,
                        transfer_done done, void *context);

// Moves things on: hashes for a while, starts what may start. Returns microseconds until it wants to be called again; -1: when
// there is news only.
int64_t transfers_work(struct transfers *transfers, int64_t now_us);
// Bytes and number of what is not through yet, for back-pressure.
size_t transfers_count(const struct transfers *transfers);

#endif
