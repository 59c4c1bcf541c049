#include "ledger/ledger.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "ledger/chain.h"
#include "ledger/ledger_sql.h"
#include "os/clock.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    RENEWED_AT_ONCE = 200, // Entries signed anew in one write, so that others are not kept waiting.
    DELETED_AT_ONCE = 5000,
};

struct ledger {
    struct ledger_options options;

    // The writer's thread's own.
    bool is_announcing; // A write that tells of new entries is under way.
    struct ledger_position announced;

    atomic_int announcements; // Under way.
    pthread_mutex_t mutex;    // Guards what follows.
    struct ledger_position position;
};

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

// --- positions

static enum status read_log(struct sql *sql, struct ledger_position *out, bool *is_complete,
                            struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_LOG_READ, SQL_NO_VALUES, &rows, error));
    *out = (struct ledger_position){
        .epoch = sql_column_int64(rows, 0),
        .serial = sql_column_int64(rows, 1),
        .head = digest_column(rows, 2),
    };
    if (is_complete) {
        *is_complete = sql_column_int64(rows, 3) != 0;
    }
    return OK;
}

static enum status move_log(struct sql *sql, const struct ledger_position *to, struct error *error)
{
    return sql_run(sql, SQL_LOG_MOVE,
                   SQL_VALUES(sql_int64(to->epoch), sql_int64(to->serial), digest_value(&to->head)),
                   NULL, error);
}

static enum status write_announcement(struct sql *sql, void *context, struct error *error)
{
    struct ledger *ledger = context;
    ledger->is_announcing = false;
    return read_log(sql, &ledger->announced, NULL, error);
}

static void done_announcement(void *context, enum status status, const struct error *error)
{
    (void)error;
    struct ledger *ledger = context;
    bool is_changed = false;
    if (status == OK) {
        (void)pthread_mutex_lock(&ledger->mutex);
        is_changed = ledger->position.epoch != ledger->announced.epoch ||
                     ledger->position.serial != ledger->announced.serial;
        ledger->position = ledger->announced;
        (void)pthread_mutex_unlock(&ledger->mutex);
    }
    atomic_fetch_sub(&ledger->announcements, 1);
    if (is_changed && ledger->options.changed) {
        ledger->options.changed(ledger->options.context);
    }
}

// Tells of new entries after their commit: what is handed to the writer now runs in a later transaction.
static void announce(struct ledger *ledger)
{
    if (!ledger->is_announcing) {
        ledger->is_announcing = true;
        atomic_fetch_add(&ledger->announcements, 1);
        store_write(ledger->options.store, write_announcement, done_announcement, ledger);
    }
}

struct ledger_position ledger_position(struct ledger *ledger)
{
    (void)pthread_mutex_lock(&ledger->mutex);
    struct ledger_position position = ledger->position;
    (void)pthread_mutex_unlock(&ledger->mutex);
    return position;
}

bool ledger_is_growing(const struct ledger *ledger)
{
    return atomic_load(&ledger->announcements) > 0;
}

// --- appending

// The latest entry about a dataset.
struct known {
    int64_t epoch; // 0: there is none.
    int64_t serial;
    struct digest said; // Of what it says of the dataset, whenever that was said.
};

static enum status find_known(struct sql *sql, struct text id, struct known *out,
                              struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_DATASET_FIND, SQL_VALUES(bytes_of(id)), &rows, error);
    *out = (struct known){0};
    if (status == NOT_FOUND) {
        return OK;
    }
    TRY(status);
    *out = (struct known){
        .epoch = sql_column_int64(rows, 1),
        .serial = sql_column_int64(rows, 2),
        .said = digest_column(rows, 0),
    };
    return OK;
}

// Gives the statement its place in the log and the time, signs it and appends it. *at gets the place.
static enum status append(struct ledger *ledger, struct sql *sql, json_t *statement,
                          const struct known *known, struct ledger_position *at,
                          struct error *error)
{
    char now[CALENDAR_TEXT_SIZE];
    AUTO_BUFFER struct buffer entry = {0};
    struct ledger_position position;
    TRY(read_log(sql, &position, NULL, error));
    position.serial++;
    (void)json_object_set_new(statement, "epoch", json_integer(position.epoch));
    (void)json_object_set_new(statement, "serial", json_integer(position.serial));
    int64_t previous = known->epoch == position.epoch ? known->serial : 0;
    (void)json_object_set_new(statement, "previous", json_integer(previous));
    (void)json_object_set_new(statement, "time",
                              json_string(calendar_format(clock_real_us(), now)));
    TRY(statement_sign(statement, ledger->options.key, &entry, error));
    position.head = chain_next(&position.head, buffer_text(&entry));
    TRY(sql_run(sql, SQL_ENTRY_ADD,
                SQL_VALUES(sql_int64(position.epoch), sql_int64(position.serial),
                           digest_value(&position.head), bytes_of(buffer_text(&entry))),
                NULL, error));
    TRY(move_log(sql, &position, error));
    *at = position;
    announce(ledger);
    return OK;
}

static enum status append_about(struct ledger *ledger, struct sql *sql, struct text id,
                                json_t *statement, const struct known *known, struct error *error)
{
    struct ledger_position at;
    TRY(append(ledger, sql, statement, known, &at, error));
    return sql_run(sql, SQL_DATASET_SAID,
                   SQL_VALUES(bytes_of(id), sql_int64(at.epoch), sql_int64(at.serial),
                              digest_value(&known->said)),
                   NULL, error);
}

static json_t *dataset_statement(const struct ledger_dataset *dataset)
{
    char digest[DIGEST_TEXT_SIZE];
    json_t *aliases = json_array();
    for (size_t i = 0; i < dataset->alias_count; i++) {
        (void)json_array_append_new(aliases, json_from_text(dataset->aliases[i]));
    }
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:s, s:s}", "kind", "dataset", "id",
        json_from_text(dataset->id), "aliases", aliases, "title", json_from_text(dataset->title),
        "digest",
        dataset->has_digest ? json_string(digest_to_text(&dataset->digest, digest)) : json_null(),
        "file_count", (json_int_t)dataset->file_count, "size_bytes",
        (json_int_t)dataset->size_bytes, "tier", dataset->tier, "state", dataset->state);
}

enum status ledger_append_dataset(struct ledger *ledger, struct sql *sql,
                                  const struct ledger_dataset *dataset, struct error *error)
{
    AUTO_JSON json_t *statement = dataset_statement(dataset);
    AUTO_BUFFER struct buffer text = {0};
    struct known known;
    TRY(statement_write_canonical(statement, &text, error));
    struct digest said = digest_of(text.bytes, text.length);
    TRY(find_known(sql, dataset->id, &known, error));
    if (known.epoch > 0 && digest_equal(&said, &known.said)) {
        return OK;
    }
    known.said = said;
    return append_about(ledger, sql, dataset->id, statement, &known, error);
}

enum status ledger_append_removal(struct ledger *ledger, struct sql *sql, struct text id,
                                  struct error *error)
{
    struct ledger_position at;
    struct known known;
    TRY(find_known(sql, id, &known, error));
    if (known.epoch == 0) {
        return OK;
    }
    TRY(sql_run(sql, SQL_DATASET_FORGET, SQL_VALUES(bytes_of(id)), NULL, error));
    AUTO_JSON json_t *statement =
        json_pack("{s:s, s:o}", "kind", "removal", "id", json_from_text(id));
    return append(ledger, sql, statement, &known, &at, error);
}

// --- the next epoch

struct renewal {
    struct ledger *ledger;
    size_t renewed;
    int64_t deleted;
};

// One dataset whose latest entry is of an older epoch gets an entry in this one. NOT_FOUND when there is none.
static enum status renew_one(struct ledger *ledger, struct sql *sql, int64_t epoch,
                             struct error *error)
{
    AUTO_JSON json_t *statement = NULL;
    AUTO_BUFFER struct buffer id = {0};
    struct known known = {0};
    {
        AUTO_ROWS struct sql_rows *rows = NULL;
        TRY(sql_first(sql, SQL_DATASET_OF_OLD_EPOCH, SQL_VALUES(sql_int64(epoch)), &rows, error));
        buffer_append_text(&id, sql_column_text(rows, 0));
        known.said = digest_column(rows, 1);
        TRY(json_parse(sql_column_text(rows, 2), &statement, error));
    }
    return append_about(ledger, sql, buffer_text(&id), statement, &known, error);
}

static enum status write_renewal(struct sql *sql, void *context, struct error *error)
{
    struct renewal *renewal = context;
    struct ledger_position position;
    enum status status = OK;
    renewal->renewed = 0;
    TRY(read_log(sql, &position, NULL, error));
    while (status == OK && renewal->renewed < RENEWED_AT_ONCE) {
        status = renew_one(renewal->ledger, sql, position.epoch, error);
        renewal->renewed += status == OK;
    }
    if (status != OK && status != NOT_FOUND) {
        return status;
    }
    if (renewal->renewed > 0) {
        return OK;
    }
    return sql_run(sql, SQL_ENTRY_DELETE_OLD,
                   SQL_VALUES(sql_int64(position.epoch), sql_int64(DELETED_AT_ONCE)),
                   &renewal->deleted, error);
}

// Brings the present epoch to where it has an entry for each dataset, step by step. What a crash leaves undone is done at the next start.
static enum status renew(struct ledger *ledger, struct error *error)
{
    struct renewal renewal = {.ledger = ledger};
    do {
        renewal.deleted = 0;
        TRY(store_write_wait(ledger->options.store, write_renewal, &renewal, error));
    } while (renewal.renewed > 0 || renewal.deleted > 0);
    return OK;
}

struct hearing {
    struct ledger *ledger;
    struct ledger_position seen;
    bool is_restarting;
};

// Is what was seen a part of the log as it is here?
static enum status is_known(struct sql *sql, const struct ledger_position *here,
                            const struct ledger_position *seen, bool *out, struct error *error)
{
    *out = seen->epoch < here->epoch;
    if (seen->epoch != here->epoch || seen->serial > here->serial) {
        return OK;
    }
    struct digest chain = {{0}};
    if (seen->serial > 0) {
        AUTO_ROWS struct sql_rows *rows = NULL;
        TRY(sql_first(sql, SQL_ENTRY_CHAIN,
                      SQL_VALUES(sql_int64(seen->epoch), sql_int64(seen->serial)), &rows, error));
        chain = digest_column(rows, 0);
    }
    *out = digest_equal(&chain, &seen->head);
    return OK;
}

static enum status write_hearing(struct sql *sql, void *context, struct error *error)
{
    struct hearing *hearing = context;
    struct ledger_position here;
    bool is_part = false;
    TRY(read_log(sql, &here, NULL, error));
    TRY(is_known(sql, &here, &hearing->seen, &is_part, error));
    if (is_part) {
        return OK;
    }
    int64_t greatest = hearing->seen.epoch > here.epoch ? hearing->seen.epoch : here.epoch;
    struct ledger_position next = {.epoch = greatest + 1};
    TRY(move_log(sql, &next, error));
    hearing->is_restarting = true;
    announce(hearing->ledger);
    return OK;
}

enum status ledger_head_read(const json_t *object, struct ledger_position *out, struct error *error)
{
    struct text kind = TEXT_NONE;
    struct text head = TEXT_NONE;
    struct ledger_position read = {0};
    if (!json_is_object(object)) {
        return error_set(error, INVALID, "a statement is a JSON object");
    }
    TRY(json_field_text(object, "kind", JSON_REQUIRED, DIGEST_TEXT_SIZE, &kind, error));
    if (!text_equal(kind, TEXT("head")) && !text_equal(kind, TEXT("heartbeat"))) {
        return error_set(error, INVALID, "a %.*s tells no head of a log", TEXT_ARGS(kind));
    }
    TRY(json_field_int64(object, "epoch", JSON_REQUIRED, 1, LEDGER_NUMBER_MAX, &read.epoch, error));
    TRY(json_field_int64(object, "serial", JSON_REQUIRED, 0, LEDGER_NUMBER_MAX, &read.serial,
                         error));
    TRY(json_field_text(object, "head", JSON_REQUIRED, DIGEST_TEXT_SIZE, &head, error));
    TRY(digest_from_text(head, &read.head, error));
    *out = read;
    return OK;
}

enum status ledger_hear_own(struct ledger *ledger, const json_t *head, bool *restarted,
                            struct error *error)
{
    struct hearing hearing = {.ledger = ledger};
    TRY(statement_verify(head, NULL, signing_key_public(ledger->options.key), error));
    TRY(ledger_head_read(head, &hearing.seen, error));
    TRY(store_write_wait(ledger->options.store, write_hearing, &hearing, error));
    if (hearing.is_restarting) {
        TRY(renew(ledger, error));
    }
    *restarted = hearing.is_restarting;
    return OK;
}

// --- reading

// Entries that go into one batch.
struct batch {
    struct buffer entries;
    size_t count;
    int64_t serial; // Of the last one.
    struct digest head;
};

static enum status gather_batch(struct sql *sql, int64_t epoch, int64_t after, struct batch *batch,
                                struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(
        sql, SQL_ENTRY_LIST,
        SQL_VALUES(sql_int64(epoch), sql_int64(after), sql_int64(LEDGER_BATCH_ENTRIES_MAX)), &rows,
        error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        struct text entry = sql_column_text(rows, 2);
        if (batch->entries.length + entry.length + 1 >
            LEDGER_BATCH_SIZE_MAX - LEDGER_HEAD_SIZE_MAX) {
            break;
        }
        buffer_append_text(&batch->entries, entry);
        buffer_append_byte(&batch->entries, '\n');
        batch->count++;
        batch->serial = sql_column_int64(rows, 0);
        batch->head = digest_column(rows, 1);
    }
    return status;
}

static enum status sign_head(const struct ledger *ledger, const struct ledger_position *position,
                             struct buffer *out, struct error *error)
{
    char now[CALENDAR_TEXT_SIZE];
    char head[DIGEST_TEXT_SIZE];
    AUTO_JSON json_t *statement = json_pack(
        "{s:s, s:I, s:I, s:s, s:s}", "kind", "head", "epoch", (json_int_t)position->epoch, "serial",
        (json_int_t)position->serial, "head", digest_to_text(&position->head, head), "time",
        calendar_format(clock_real_us(), now));
    TRY(statement_sign(statement, ledger->options.key, out, error));
    buffer_append_byte(out, '\n');
    return OK;
}

static enum status read_batches(const struct ledger *ledger, struct sql *sql, int64_t epoch,
                                int64_t after, struct buffer *out, struct error *error)
{
    struct ledger_position here;
    TRY(read_log(sql, &here, NULL, error));
    int64_t at = epoch == here.epoch ? after : 0;
    size_t begin = out->length;
    while (at < here.serial &&
           out->length - begin + LEDGER_BATCH_SIZE_MAX <= LEDGER_READ_SIZE_MAX) {
        struct batch batch = {0};
        enum status status = gather_batch(sql, here.epoch, at, &batch, error);
        if (status == OK && batch.count == 0) {
            status = error_set(error, CORRUPT, "the log has no entry %lld of epoch %lld",
                               (long long)at + 1, (long long)here.epoch);
        }
        struct ledger_position head = {here.epoch, batch.serial, batch.head};
        if (status == OK) {
            status = sign_head(ledger, &head, out, error);
        }
        if (status == OK) {
            buffer_append_text(out, buffer_text(&batch.entries));
        }
        buffer_done(&batch.entries);
        TRY(status);
        at = batch.serial;
    }
    return OK;
}

enum status ledger_read_batches(struct ledger *ledger, int64_t epoch, int64_t after,
                                struct buffer *out, struct error *error)
{
    struct sql *sql = NULL;
    AUTO_BUFFER struct buffer text = {0};
    TRY(store_read_begin(ledger->options.store, &sql, error));
    enum status status = read_batches(ledger, sql, epoch, after, &text, error);
    store_read_end(ledger->options.store, sql);
    TRY(status);
    buffer_append_text(out, buffer_text(&text));
    return OK;
}

static enum status find_entry(struct sql *sql, struct text id, struct buffer *out,
                              struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_DATASET_ENTRY, SQL_VALUES(bytes_of(id)), &rows, error);
    if (status == NOT_FOUND) {
        return error_set(error, NOT_FOUND, "this site's log says nothing of %.*s",
                         TEXT_ARGS(text_slice(id, 0, 300)));
    }
    TRY(status);
    buffer_append_text(out, sql_column_text(rows, 0));
    return OK;
}

enum status ledger_find_entry(struct ledger *ledger, struct text id, struct buffer *out,
                              struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(ledger->options.store, &sql, error));
    enum status status = find_entry(sql, id, out, error);
    store_read_end(ledger->options.store, sql);
    return status;
}

// --- opening and closing

static enum status write_begin(struct sql *sql, void *context, struct error *error)
{
    struct ledger *ledger = context;
    struct digest zeros = {{0}};
    TRY(sql_run(sql, SQL_LOG_BEGIN, SQL_VALUES(digest_value(&zeros)), NULL, error));
    return read_log(sql, &ledger->position, NULL, error);
}

enum status ledger_open(const struct ledger_options *options, struct ledger **out,
                        struct error *error)
{
    struct ledger *ledger = NEW(struct ledger);
    ledger->options = *options;
    (void)pthread_mutex_init(&ledger->mutex, NULL);
    enum status status = store_write_wait(options->store, write_begin, ledger, error);
    if (status == OK && ledger->position.epoch > 1) {
        status = renew(ledger, error);
    }
    if (status != OK) {
        ledger_close(ledger);
        return status;
    }
    *out = ledger;
    return OK;
}

static enum status write_nothing(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)context;
    (void)error;
    return OK;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger) {
        // An announcement that is under way is told before this is.
        (void)store_write_wait(ledger->options.store, write_nothing, NULL, NULL);
        (void)pthread_mutex_destroy(&ledger->mutex);
        free(ledger);
    }
}

enum status ledger_is_complete(struct sql *sql, bool *out, struct error *error)
{
    struct ledger_position position;
    return read_log(sql, &position, out, error);
}

enum status ledger_set_complete(struct sql *sql, struct error *error)
{
    return sql_run(sql, SQL_LOG_COMPLETE, SQL_NO_VALUES, NULL, error);
}
