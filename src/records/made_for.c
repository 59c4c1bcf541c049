#include "records/made_for.h"

#include "records/jobs_sql.h"

struct runner_job made_for_row(const struct job_row *row)
{
    return (struct runner_job){.id = row->id,
                               .owner = row->owner,
                               .group = row->group,
                               .submitted_us = row->submitted_us,
                               .is_spare = row->is_spare};
}

enum status made_for_read(struct sql *sql, int64_t job, struct arena *arena, struct runner_job *out,
                          struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_JOB_MADE_FOR, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == NOT_FOUND) {
        return job_unknown(job, error);
    }
    TRY(status);
    const char *owner = arena_copy(arena, sql_column_text(rows, 0));
    const char *group = arena_copy(arena, sql_column_text(rows, 1));
    *out = (struct runner_job){.id = job,
                               .owner = text_of(owner),
                               .group = text_of(*group ? group : owner),
                               .is_spare = sql_column_int64(rows, 2) != 0,
                               .submitted_us = sql_column_int64(rows, 3)};
    return OK;
}
