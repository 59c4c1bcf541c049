// A job as the rules look at it that say who may run it, and who may reuse what was computed for it (policy/runner.h).
#ifndef LODE_RECORDS_MADE_FOR_H
#define LODE_RECORDS_MADE_FOR_H

#include "base/arena.h"
#include "records/rows.h"

// The texts are the row's.
struct runner_job made_for_row(const struct job_row *row);
// The same of any job, ended ones too; the texts are in the arena. NOT_FOUND.
enum status made_for_read(struct sql *sql, int64_t job, struct arena *arena, struct runner_job *out,
                          struct error *error);

#endif
