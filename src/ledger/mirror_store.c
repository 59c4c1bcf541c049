#include "ledger/mirror_store.h"

#include "base/memory.h"
#include "ledger/chain.h"
#include "ledger/mirror_sql.h"
#include "store/compressed.h"

static struct sql_value bytes_of(struct text text)
{
    return sql_blob(text.bytes, text.length);
}

static struct sql_value digest_value(const struct digest *digest)
{
    return sql_blob(digest->bytes, DIGEST_SIZE);
}

static struct digest digest_column(const struct sql_rows *rows, int column)
{
    struct digest digest = {{0}};
    struct text bytes = sql_column_text(rows, column);
    if (bytes.length == DIGEST_SIZE) {
        memcpy(digest.bytes, bytes.bytes, DIGEST_SIZE);
    }
    return digest;
}

// Appends the batch of the row, whose first two columns are the bytes and whether they are compressed.
static enum status append_batch(const struct sql_rows *rows, struct buffer *out,
                                struct error *error)
{
    struct error wrong = {0};
    struct text bytes = sql_column_text(rows, 0);
    if (sql_column_int64(rows, 1) == 0) {
        buffer_append_text(out, bytes);
        return OK;
    }
    enum status status = compressed_read(bytes, LEDGER_BATCH_SIZE_MAX, out, &wrong);
    if (status != OK) {
        (void)error_set(error, status, "the copy of a site's log in the database: %.400s",
                        wrong.detail);
        error_fix(error, "restore the database from a backup: its disk may be failing");
    }
    return status;
}

// Appends the batch that the query, by three values, finds first. NOT_FOUND.
static enum status read_batch(struct sql *sql, const char *query, const struct sql_value *values,
                              struct buffer *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, query, values, 3, &rows, error));
    return append_batch(rows, out, error);
}

// --- sites

static enum status visit_rows(struct sql *sql,
                              enum status (*visit)(void *context, const struct mirror_row *row,
                                                   struct error *error),
                              void *context, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_SITE_LIST, SQL_NO_VALUES, &rows, error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        struct mirror_row row = {
            .number = (uint32_t)sql_column_int64(rows, 0),
            .position = {sql_column_int64(rows, 2), sql_column_int64(rows, 3),
                         digest_column(rows, 4)},
        };
        struct text site = sql_column_text(rows, 1);
        (void)snprintf(row.site.text, sizeof row.site.text, "%.*s", TEXT_ARGS(site));
        TRY(visit(context, &row, error));
    }
    return status;
}

enum status mirror_store_list(struct store *store,
                              enum status (*visit)(void *context, const struct mirror_row *row,
                                                   struct error *error),
                              void *context, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(store, &sql, error));
    enum status status = visit_rows(sql, visit, context, error);
    store_read_end(store, sql);
    return status;
}

struct numbering {
    const struct fingerprint *site;
    int64_t number;
};

static enum status find_number(struct sql *sql, struct numbering *numbering, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct text site = text_of(numbering->site->text);
    TRY(sql_first(sql, SQL_SITE_FIND, SQL_VALUES(sql_text(site)), &rows, error));
    numbering->number = sql_column_int64(rows, 0);
    return OK;
}

static enum status write_number(struct sql *sql, void *context, struct error *error)
{
    struct numbering *numbering = context;
    enum status status = find_number(sql, numbering, error);
    if (status != NOT_FOUND) {
        return status;
    }
    struct digest zeros = {{0}};
    TRY(sql_run(sql, SQL_SITE_ADD,
                SQL_VALUES(sql_text(text_of(numbering->site->text)), digest_value(&zeros),
                           bytes_of(TEXT_NONE)),
                NULL, error));
    return find_number(sql, numbering, error);
}

enum status mirror_store_number(struct store *store, const struct fingerprint *site, uint32_t *out,
                                struct error *error)
{
    struct numbering numbering = {.site = site};
    TRY(store_write_wait(store, write_number, &numbering, error));
    *out = (uint32_t)numbering.number;
    return OK;
}

static enum status read_head(struct sql *sql, uint32_t number, struct buffer *out,
                             struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_SITE_STATEMENT, SQL_VALUES(sql_int64(number)), &rows, error));
    struct text statement = sql_column_text(rows, 0);
    if (statement.length == 0) {
        return error_set(error, NOT_FOUND, "nothing of that site's log is here yet");
    }
    buffer_append_text(out, statement);
    return OK;
}

enum status mirror_store_head(struct store *store, uint32_t number, struct buffer *out,
                              struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(store, &sql, error));
    enum status status = read_head(sql, number, out, error);
    store_read_end(store, sql);
    return status;
}

// --- adding

// The last batch of an epoch, without its text.
struct stored {
    int64_t last;
    int64_t first;
    int64_t entries;
    int64_t size_bytes; // Not compressed.
};

static enum status find_last(struct sql *sql, uint32_t number, int64_t epoch, struct stored *out,
                             struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_BATCH_LAST, SQL_VALUES(sql_int64(number), sql_int64(epoch)), &rows,
                  error));
    *out = (struct stored){
        .last = sql_column_int64(rows, 0),
        .first = sql_column_int64(rows, 1),
        .entries = sql_column_int64(rows, 2),
        .size_bytes = sql_column_int64(rows, 3),
    };
    return OK;
}

// Puts the entries of the stored batch in front of those that are to be stored, and deletes it.
static enum status join(struct sql *sql, uint32_t number, int64_t epoch, const struct stored *old,
                        struct buffer *entries, struct error *error)
{
    const struct sql_value key[] = {sql_int64(number), sql_int64(epoch), sql_int64(old->last)};
    AUTO_BUFFER struct buffer stored = {0};
    AUTO_BUFFER struct buffer joined = {0};
    struct text head;
    TRY(read_batch(sql, SQL_BATCH_READ, key, &stored, error));
    struct text batch = buffer_text(&stored);
    (void)batch_next_line(&batch, &head);
    buffer_append_text(&joined, batch);
    buffer_append_text(&joined, buffer_text(entries));
    buffer_done(entries);
    *entries = joined;
    joined = (struct buffer){0};
    return sql_run(sql, SQL_BATCH_DELETE, key, 3, NULL, error);
}

// Joins stored batches as long as they are not larger than what follows them, which copies an entry about ten times until a batch is full.
static enum status join_small(struct sql *sql, uint32_t number, const struct ledger_position *from,
                              const struct batch *batch, struct stored *to, struct buffer *entries,
                              struct error *error)
{
    while (batch->end.epoch == from->epoch) {
        struct stored old;
        enum status status = find_last(sql, number, from->epoch, &old, error);
        if (status == NOT_FOUND) {
            return OK;
        }
        TRY(status);
        int64_t size = old.size_bytes + (int64_t)entries->length + LEDGER_HEAD_SIZE_MAX;
        bool is_joined = old.entries <= to->entries && old.last + 1 == to->first &&
                         old.entries + to->entries <= LEDGER_BATCH_ENTRIES_MAX &&
                         size <= LEDGER_BATCH_SIZE_MAX;
        if (!is_joined) {
            return OK;
        }
        TRY(join(sql, number, from->epoch, &old, entries, error));
        to->first = old.first;
        to->entries += old.entries;
    }
    return OK;
}

enum status mirror_store_add(struct sql *sql, uint32_t number, const struct ledger_position *from,
                             const struct batch *batch, struct error *error)
{
    struct text rest = batch->text;
    struct text head;
    struct stored to = {.first = batch->first, .entries = (int64_t)batch->count};
    AUTO_BUFFER struct buffer entries = {0};
    AUTO_BUFFER struct buffer text = {0};
    AUTO_BUFFER struct buffer frame = {0};
    (void)batch_next_line(&rest, &head);
    buffer_append_text(&entries, rest);
    TRY(join_small(sql, number, from, batch, &to, &entries, error));
    buffer_append_text(&text, head);
    buffer_append_byte(&text, '\n');
    buffer_append_text(&text, buffer_text(&entries));
    compressed_append(buffer_text(&text), &frame);
    struct sql_value last = sql_int64(batch->end.serial);
    struct sql_value digest = digest_value(&batch->end.head);
    TRY(sql_run(sql, SQL_BATCH_ADD,
                SQL_VALUES(sql_int64(number), sql_int64(batch->end.epoch), last,
                           sql_int64(to.first), sql_int64(to.entries),
                           sql_int64((int64_t)text.length), digest, bytes_of(buffer_text(&frame))),
                NULL, error));
    return sql_run(
        sql, SQL_SITE_MOVE,
        SQL_VALUES(sql_int64(batch->end.epoch), last, digest, bytes_of(head), sql_int64(number)),
        NULL, error);
}

// --- reading

static enum status read_batches(struct sql *sql, uint32_t number, int64_t epoch, int64_t after,
                                struct buffer *out, struct error *error)
{
    size_t begin = out->length;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_BATCH_LIST,
                  SQL_VALUES(sql_int64(number), sql_int64(epoch), sql_int64(after)), &rows, error));
    enum status status = OK;
    while (out->length - begin + LEDGER_BATCH_SIZE_MAX <= LEDGER_READ_SIZE_MAX &&
           sql_next(rows, &status, error)) {
        TRY(append_batch(rows, out, error));
    }
    return status;
}

enum status mirror_store_read(struct store *store, uint32_t number, int64_t epoch, int64_t after,
                              struct buffer *out, struct error *error)
{
    struct sql *sql = NULL;
    AUTO_BUFFER struct buffer text = {0};
    TRY(store_read_begin(store, &sql, error));
    enum status status = read_batches(sql, number, epoch, after, &text, error);
    store_read_end(store, sql);
    TRY(status);
    buffer_append_text(out, buffer_text(&text));
    return OK;
}

enum status mirror_store_next(struct store *store, uint32_t number, int64_t epoch, int64_t serial,
                              struct buffer *out, struct error *error)
{
    struct sql *sql = NULL;
    const struct sql_value values[] = {sql_int64(number), sql_int64(epoch), sql_int64(serial)};
    TRY(store_read_begin(store, &sql, error));
    enum status status = read_batch(sql, SQL_BATCH_NEXT, values, out, error);
    store_read_end(store, sql);
    return status;
}

// --- older epochs

static enum status read_old(struct sql *sql, struct mirror_old_batch *out, struct buffer *text,
                            int64_t epoch, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_BATCH_OF_OLD_EPOCH, SQL_VALUES(sql_int64(out->number), sql_int64(epoch)),
                  &rows, error));
    out->epoch = sql_column_int64(rows, 2);
    out->last = sql_column_int64(rows, 3);
    return append_batch(rows, text, error);
}

enum status mirror_store_find_old(struct store *store, uint32_t number, int64_t epoch,
                                  struct mirror_old_batch *out, struct buffer *text,
                                  struct error *error)
{
    struct sql *sql = NULL;
    struct mirror_old_batch found = {.number = number};
    TRY(store_read_begin(store, &sql, error));
    enum status status = read_old(sql, &found, text, epoch, error);
    store_read_end(store, sql);
    TRY(status);
    *out = found;
    return OK;
}

static enum status write_delete_old(struct sql *sql, void *context, struct error *error)
{
    const struct mirror_old_batch *batch = context;
    return sql_run(
        sql, SQL_BATCH_DELETE,
        SQL_VALUES(sql_int64(batch->number), sql_int64(batch->epoch), sql_int64(batch->last)), NULL,
        error);
}

enum status mirror_store_delete_old(struct store *store, const struct mirror_old_batch *batch,
                                    struct error *error)
{
    struct mirror_old_batch old = *batch;
    return store_write_wait(store, write_delete_old, &old, error);
}

// --- the chain

// The chain value before the batch that has the serial, and the serial that it is at.
static enum status chain_before(struct sql *sql, const struct sql_value *values,
                                struct digest *chain, int64_t *at, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_BATCH_BEFORE, values, 3, &rows, error);
    *chain = (struct digest){{0}};
    *at = 0;
    if (status == NOT_FOUND) {
        return OK;
    }
    TRY(status);
    *at = sql_column_int64(rows, 0);
    *chain = digest_column(rows, 1);
    return OK;
}

static enum status read_chain(struct sql *sql, const struct sql_value *values, int64_t serial,
                              struct digest *out, struct error *error)
{
    int64_t at = 0;
    struct digest chain;
    struct text line;
    TRY(chain_before(sql, values, &chain, &at, error));
    AUTO_BUFFER struct buffer stored = {0};
    TRY(read_batch(sql, SQL_BATCH_AT, values, &stored, error));
    struct text batch = buffer_text(&stored);
    while (at < serial && batch_next_line(&batch, &line)) {
        struct entry entry;
        TRY(entry_scan(line, &entry, error));
        if (entry.kind != ENTRY_HEAD && entry.serial == at + 1) {
            chain = chain_next(&chain, line);
            at++;
        }
    }
    *out = chain;
    return OK;
}

enum status mirror_store_size(struct store *store, uint32_t number, int64_t *out,
                              struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    TRY(store_read_begin(store, &sql, error));
    enum status status =
        sql_first(sql, SQL_BATCH_SIZES, SQL_VALUES(sql_int64(number)), &rows, error);
    if (status == OK) {
        *out = sql_column_int64(rows, 0);
    }
    sql_end(rows);
    store_read_end(store, sql);
    return status;
}

enum status mirror_store_chain(struct store *store, uint32_t number, int64_t epoch, int64_t serial,
                               struct digest *out, struct error *error)
{
    struct sql *sql = NULL;
    const struct sql_value values[] = {sql_int64(number), sql_int64(epoch), sql_int64(serial)};
    if (serial == 0) {
        *out = (struct digest){{0}};
        return OK;
    }
    TRY(store_read_begin(store, &sql, error));
    enum status status = read_chain(sql, values, serial, out, error);
    store_read_end(store, sql);
    return status;
}
