#include "jobs/state.h"

void scheduler_why(const struct scheduler *scheduler, int64_t job, int64_t index,
                   struct buffer *why, struct buffer *change)
{
    (void)scheduler;
    (void)index;
    buffer_printf(why, "job %lld is not known here", (long long)job);
    buffer_append_string(change, "");
}
