// What the workers of each principal may send into the store of blobs, and have sent: accounts as policy/uploads.h says, with the leases as the queue gives and takes them.
//
// Nothing of it is stored: after a restart of the site a worker has its leases, and what it may send for them, once it has said what it holds. The accounts have a lock
// of their own, so asking waits for nobody.
#ifndef LODE_QUEUE_UPLOADS_H
#define LODE_QUEUE_UPLOADS_H

#include "base/text.h"
#include "crypto/digest.h"

struct queue;

// One file that a worker sends.
struct worker_upload {
    struct text owner; // The worker's principal.
    int64_t bytes;     // That are counted.
};

// So long a file may come once more and count for nothing.
#define UPLOAD_AGAIN_US INT64_C(600000000)

// Did it send this file a moment ago, so that it comes once more as its answer was lost? Later it counts again, as what comes is kept for a day.
// `now_us`, here and below: of the steady clock.
bool worker_upload_was_sent(struct queue *queue, struct text owner, const struct digest *blob,
                            int64_t now_us);
// `bytes`: that are to come, as far as is known; a file counts as UPLOAD_FILE_BYTES at least. CONFLICT: the principal has no lease. QUOTA: it would be more than its leases
// let it send. Any thread; does not block, as the others.
enum status worker_upload_begin(struct queue *queue, struct worker_upload *upload,
                                struct text owner, int64_t bytes, struct error *error);
// So many have come; the same errors.
enum status worker_upload_grow(struct queue *queue, struct worker_upload *upload, int64_t bytes,
                               struct error *error);
// It is a blob now, or none (NULL), of which nothing counts. Of one that came twice at the same time, once.
void worker_upload_end(struct queue *queue, const struct worker_upload *upload,
                       const struct digest *blob, int64_t now_us);

#endif
