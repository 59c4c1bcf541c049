#include "resolve/recall.h"

#include "base/memory.h"
#include "resolve/recall_sql.h"

struct recall {
    struct store *store;
    size_t count_max;
    int64_t
        count; // The writer's thread's: rows, or more when some were replaced since they were counted.
};

static enum status count_rows(struct recall *recall, struct sql *sql, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_COUNT, SQL_NO_VALUES, &rows, error));
    recall->count = sql_column_int64(rows, 0);
    return OK;
}

enum status recall_open(struct store *store, size_t count_max, struct recall **out,
                        struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(store, &sql, error));
    struct recall counted = {.store = store, .count_max = count_max};
    enum status status = count_rows(&counted, sql, error);
    store_read_end(store, sql);
    TRY(status);
    *out = NEW(struct recall);
    **out = counted;
    return OK;
}

void recall_close(struct recall *recall)
{
    free(recall);
}

static enum status find(struct sql *sql, struct text name, struct arena *arena,
                        struct remembered *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_FIND, SQL_VALUES(sql_blob(name.bytes, name.length)), &rows, error));
    struct text document = sql_column_text(rows, 0);
    out->document = (struct text){arena_copy(arena, document), document.length};
    out->answered_us = sql_column_int64(rows, 1);
    return OK;
}

enum status recall_find(struct recall *recall, struct text name, struct arena *arena,
                        struct remembered *out, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(recall->store, &sql, error));
    enum status status = find(sql, name, arena, out, error);
    store_read_end(recall->store, sql);
    if (status == NOT_FOUND) {
        *out = (struct remembered){0};
        return OK;
    }
    return status;
}

// One answer on its way to the writer; `bytes` holds the name and then the document.
struct save {
    struct recall *recall;
    int64_t answered_us;
    size_t name_length;
    size_t document_length;
    char bytes[];
};

// A hundredth at a time, so that it is not done for each one.
static enum status make_room(struct recall *recall, struct sql *sql, struct error *error)
{
    if (recall->count < (int64_t)recall->count_max) {
        return OK;
    }
    TRY(count_rows(recall, sql, error));
    int64_t most = (int64_t)recall->count_max - 1;
    if (recall->count <= most) {
        return OK;
    }
    int64_t evicted = 0;
    int64_t wanted = recall->count - most + most / 100;
    TRY(sql_run(sql, SQL_EVICT, SQL_VALUES(sql_int64(wanted)), &evicted, error));
    recall->count -= evicted;
    return OK;
}

static enum status write_save(struct sql *sql, void *context, struct error *error)
{
    struct save *save = context;
    TRY(make_room(save->recall, sql, error));
    TRY(sql_run(sql, SQL_SAVE,
                SQL_VALUES(sql_blob(save->bytes, save->name_length),
                           sql_blob(save->bytes + save->name_length, save->document_length),
                           sql_int64(save->answered_us)),
                NULL, error));
    save->recall->count++;
    return OK;
}

static void done_save(void *context, enum status status, const struct error *error)
{
    (void)status;
    (void)error;
    free(context);
}

void recall_save(struct recall *recall, struct text name, struct text document, int64_t answered_us)
{
    struct save *save = memory_new(1, sizeof *save + name.length + document.length);
    save->recall = recall;
    save->answered_us = answered_us;
    save->name_length = name.length;
    save->document_length = document.length;
    memcpy(save->bytes, name.bytes, name.length);
    memcpy(save->bytes + name.length, document.bytes, document.length);
    store_write(recall->store, write_save, done_save, save);
}
