#include "api/upload_count.h"

#include "api/senders.h"
#include "os/clock.h"
#include "queue/task_access.h"

static bool is_of_worker(const struct api_call *call)
{
    return !call->task && call->principal.role == ROLE_WORKER;
}

static int64_t at_least(int64_t bytes)
{
    return bytes > SENDERS_FILE_BYTES ? bytes : SENDERS_FILE_BYTES;
}

enum status upload_count_begin(struct upload_count *count, struct api_call *call, int64_t bytes,
                               struct error *error)
{
    *count = (struct upload_count){.call = call};
    if (is_of_worker(call)) {
        return worker_upload_begin(call->api->queue, &count->of_worker, call->principal.name, bytes,
                                   error);
    }
    if (call->task) {
        TRY(task_access_spend(call->api->queue, call->task, 1, bytes, error));
        count->bytes = bytes;
        return OK;
    }
    TRY(senders_spend(call->api->senders, &call->principal, at_least(bytes), clock_steady_us(),
                      error));
    count->bytes = at_least(bytes);
    return OK;
}

enum status upload_count_grow(struct upload_count *count, int64_t bytes, struct error *error)
{
    const struct api_call *call = count->call;
    if (is_of_worker(call)) {
        return worker_upload_grow(call->api->queue, &count->of_worker, bytes, error);
    }
    if (bytes <= count->bytes) {
        return OK;
    }
    if (call->task) {
        TRY(task_access_spend(call->api->queue, call->task, 0, bytes - count->bytes, error));
    } else {
        TRY(senders_spend(call->api->senders, &call->principal, bytes - count->bytes,
                          clock_steady_us(), error));
    }
    count->bytes = bytes;
    return OK;
}

void upload_count_end(struct upload_count *count, const struct digest *blob)
{
    const struct api_call *call = count->call;
    if (is_of_worker(call)) {
        worker_upload_end(call->api->queue, &count->of_worker, blob, clock_steady_us());
    } else if (!blob && call->task) {
        task_access_give_back(call->api->queue, call->task, 1, count->bytes);
    } else if (!blob) {
        senders_give_back(call->api->senders, &call->principal, count->bytes, clock_steady_us());
    }
}
