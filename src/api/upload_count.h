// Who may still send how much into the store of blobs: what a file is counted against while it comes.
//
//   a task's token      what its lease may send (queue/task_access.h)
//   a worker            what its leases let it send (queue/uploads.h)
//   a user, a guest     what people may send a day (api/senders.h)
//   an operator         nothing
#ifndef LODE_API_UPLOAD_COUNT_H
#define LODE_API_UPLOAD_COUNT_H

#include "api/api.h"
#include "queue/uploads.h"

// Of one file that comes.
struct upload_count {
    struct api_call *call;
    struct worker_upload of_worker;
    int64_t bytes; // That are counted, of others.
};

// `bytes`: as many as are to come, as far as that was said. QUOTA, CONFLICT or DENIED as those headers say. Does not block, as the others.
enum status upload_count_begin(struct upload_count *count, struct api_call *call, int64_t bytes,
                               struct error *error);
// So many have come.
enum status upload_count_grow(struct upload_count *count, int64_t bytes, struct error *error);
// It is this blob now, or none (NULL): then nothing of it counts.
void upload_count_end(struct upload_count *count, const struct digest *blob);

#endif
