#include "records/blob_names.h"

#include "records/blob_names_sql.h"

enum { TABLES = 4, ROWS_OF_JOBS = 50 }; // A job's document may be a megabyte.

static const struct {
    const char *statement;
    int64_t rows;
    enum blob_name name;
} READS[TABLES] = {
    {SQL_NAMES_OF_JOBS, ROWS_OF_JOBS, BLOB_NAMED},
    {SQL_NAMES_OF_TASKS, BLOB_NAMES_ROWS, BLOB_NAMED},
    {SQL_NAMES_OF_CHUNKS, BLOB_NAMES_ROWS, BLOB_NAMED},
    {SQL_NAMES_OF_CHECKPOINTS, BLOB_NAMES_ROWS, BLOB_NAMED_FOR_NOW},
};

static enum status read_rows(struct sql *sql, struct blob_names *names, struct sweep *sweep,
                             int64_t *count, struct error *error)
{
    enum status status = OK;
    enum blob_name name = READS[names->table].name;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, READS[names->table].statement,
                  SQL_VALUES(sql_int64(names->has_row ? names->job : -1),
                             sql_int64(names->has_row ? names->index : -1),
                             sql_int64(READS[names->table].rows)),
                  &rows, error));
    while (sql_next(rows, &status, error)) {
        names->job = sql_column_int64(rows, 0);
        names->index = sql_column_int64(rows, 1);
        names->has_row = true;
        (*count)++;
        sweep_name(sweep, name, sql_column_text(rows, 2));
        sweep_name(sweep, name, sql_column_text(rows, 3));
        sweep_names(sweep, name, sql_column_text(rows, 4));
        sweep_names(sweep, name, sql_column_text(rows, 5));
    }
    return status;
}

enum status blob_names_read(struct store *store, struct blob_names *names, struct sweep *sweep,
                            bool *is_over, struct error *error)
{
    struct sql *sql = NULL;
    int64_t count = 0;
    TRY(store_read_begin(store, &sql, error));
    enum status status = read_rows(sql, names, sweep, &count, error);
    store_read_end(store, sql);
    if (status == OK && count < READS[names->table].rows) {
        *names = (struct blob_names){.table = names->table + 1};
    }
    *is_over = names->table == TABLES;
    return status;
}
