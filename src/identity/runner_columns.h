// The class of a worker's credential as columns of a row: class, for_user, for_groups, for_job.
#ifndef LODE_IDENTITY_RUNNER_COLUMNS_H
#define LODE_IDENTITY_RUNNER_COLUMNS_H

#include "policy/runner.h"
#include "store/sql.h"

#define RUNNER_COLUMNS "class, for_user, for_groups, for_job"
// The values of these, for SQL_VALUES.
#define RUNNER_VALUES(runner)                                                                      \
    sql_text(text_of(runner_class_name((runner)->kind))), sql_text(text_of((runner)->user)),       \
        sql_text(text_of((runner)->groups)), sql_int64((runner)->job)

// Reads them from column `first` on; the times are not among them. CORRUPT.
enum status runner_of_row(const struct sql_rows *rows, int first, struct runner *out,
                          struct error *error);

#endif
