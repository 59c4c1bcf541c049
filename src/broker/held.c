// What becomes of a job that is held: each waits until it is so.
#include "broker/state.h"

enum status held_job_fail(const struct broker *broker, int64_t job, const char *message,
                          struct error *error)
{
    struct awaited awaited = AWAITED_NEW;
    queue_fail_held(broker->queue, job, text_of(message), awaited_answer(&awaited));
    return awaited_get(&awaited, NULL, error);
}

enum status held_job_release(const struct broker *broker, int64_t job,
                             const struct prepare_destination *to, struct error *error)
{
    struct awaited awaited = AWAITED_NEW;
    queue_release(broker->queue, job, to, awaited_answer(&awaited));
    return awaited_get(&awaited, NULL, error);
}

bool held_job_tell(const struct broker *broker, int64_t job, const struct queue_hold *hold)
{
    struct awaited awaited = AWAITED_NEW;
    queue_set_hold_reason(broker->queue, job, hold, awaited_answer(&awaited));
    enum status status = awaited_get(&awaited, NULL, NULL);
    return status != NOT_FOUND && status != CONFLICT;
}
