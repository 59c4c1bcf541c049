#include "identity/runner_columns.h"

#include <stdio.h>

enum status runner_of_row(const struct sql_rows *rows, int first, struct runner *out,
                          struct error *error)
{
    struct runner read = {.job = sql_column_int64(rows, first + 3)};
    struct text kind = sql_column_text(rows, first);
    if (!runner_class_from_text(kind, &read.kind)) {
        return error_set(error, CORRUPT, "\"%.*s\" is no class of workers",
                         TEXT_ARGS(text_slice(kind, 0, 80)));
    }
    (void)snprintf(read.user, sizeof read.user, "%.*s",
                   TEXT_ARGS(sql_column_text(rows, first + 1)));
    (void)snprintf(read.groups, sizeof read.groups, "%.*s",
                   TEXT_ARGS(sql_column_text(rows, first + 2)));
    *out = read;
    return OK;
}
