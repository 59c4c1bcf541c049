// What of a job has been computed before: tasks whose results are those of earlier ones.
#ifndef LODE_PREPARE_CACHE_H
#define LODE_PREPARE_CACHE_H

#include "prepare/site.h"
#include "records/rows.h"

struct
    cache_run { // Tasks [from, from + count) have their results at [first_index, ...) of first_job.
    int64_t from;
    int64_t count;
    int64_t first_job;
    int64_t first_index;
};
struct cache_plan {
    struct cache_run *runs;
    size_t run_count;
    size_t run_capacity;
    int64_t stream_job; // A streamed job whose answers are all of this one's; 0: none.
};
void cache_plan_done(struct cache_plan *plan);
// Looks what of the job has been computed before, as far as its cache mode allows, and as the same submission. Blocks. `needs_index`: its results depend on the index too.
// `look`: at the job's data.
enum status cache_look_up(const struct prepare_site *site, const struct job_row *row,
                          bool needs_index, const struct prepare_look *look, struct cache_plan *out,
                          struct error *error);

#endif
