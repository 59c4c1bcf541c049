#include "identity/audit.h"

#include "base/hex.h"
#include "identity/audit_sql.h"

struct row {
    int64_t id; // From 1, without a gap.
    int64_t at_us;
    struct text principal;
    struct text action;
    struct text object;
    struct text reason;
};

static void add_int64(struct digest_stream *stream, int64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)value >> (56 - 8 * i));
    }
    digest_stream_update(stream, bytes, sizeof bytes);
}

// With its length before it, so that no two different rows have the same bytes.
static void add_text(struct digest_stream *stream, struct text text)
{
    add_int64(stream, (int64_t)text.length);
    digest_stream_update(stream, text.bytes ? text.bytes : "", text.length);
}

// SHA-256 of: digest of the row before; id and time as 8 bytes, big-endian; each text after its length as 8 bytes.
static struct digest digest_of_row(const struct digest *before, const struct row *row)
{
    struct digest_stream *stream = digest_stream_new();
    digest_stream_update(stream, before->bytes, sizeof before->bytes);
    add_int64(stream, row->id);
    add_int64(stream, row->at_us);
    add_text(stream, row->principal);
    add_text(stream, row->action);
    add_text(stream, row->object);
    add_text(stream, row->reason);
    return digest_stream_finish(stream);
}

// What a database takes as text: UTF-8 without NUL, percent-encoded when it is not; cut between characters.
static struct text storable(struct text text, struct buffer *room)
{
    if (!text_is_utf8(text) || text_contains_byte(text, '\0')) {
        percent_append(room, text_slice(text, 0, AUDIT_TEXT_MAX));
        text = buffer_text(room);
    }
    size_t length = text.length < AUDIT_TEXT_MAX ? text.length : AUDIT_TEXT_MAX;
    while (length < text.length && length > 0 &&
           ((unsigned char)text.bytes[length] & 0xc0) == 0x80) {
        length--;
    }
    return text_slice(text, 0, length);
}

static enum status read_last(struct sql *sql, struct audit_state *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_AUDIT_LAST, SQL_NO_VALUES, &rows, error);
    if (status == NOT_FOUND) {
        *out = (struct audit_state){0};
        return OK;
    }
    TRY(status);
    struct text digest = sql_column_text(rows, 1);
    if (digest.length != DIGEST_SIZE) {
        return error_set(error, CORRUPT, "the last entry of the audit log has no digest");
    }
    out->count = sql_column_int64(rows, 0);
    memcpy(out->last.bytes, digest.bytes, DIGEST_SIZE);
    return OK;
}

enum status audit_append(struct sql *sql, const struct audit_entry *entry, int64_t now_us,
                         struct error *error)
{
    struct audit_state state = {0};
    TRY(read_last(sql, &state, error));
    AUTO_BUFFER struct buffer principal = {0};
    AUTO_BUFFER struct buffer action = {0};
    AUTO_BUFFER struct buffer object = {0};
    AUTO_BUFFER struct buffer reason = {0};
    struct row row = {
        .id = state.count + 1,
        .at_us = now_us,
        .principal = storable(entry->principal, &principal),
        .action = storable(entry->action, &action),
        .object = storable(entry->object, &object),
        .reason = storable(entry->reason, &reason),
    };
    struct digest digest = digest_of_row(&state.last, &row);
    return sql_run(sql, SQL_AUDIT_ADD,
                   SQL_VALUES(sql_int64(row.id), sql_int64(row.at_us), sql_text(row.principal),
                              sql_text(row.action), sql_text(row.object), sql_text(row.reason),
                              sql_blob(digest.bytes, sizeof digest.bytes)),
                   NULL, error);
}

static enum status check_row(const struct sql_rows *rows, struct audit_state *state,
                             struct error *error)
{
    struct row row = {
        .id = sql_column_int64(rows, 0),
        .at_us = sql_column_int64(rows, 1),
        .principal = sql_column_text(rows, 2),
        .action = sql_column_text(rows, 3),
        .object = sql_column_text(rows, 4),
        .reason = sql_column_text(rows, 5),
    };
    if (row.id != state->count + 1) {
        return error_set(error, CORRUPT, "the audit log has no entry %lld",
                         (long long)state->count + 1);
    }
    struct digest expected = digest_of_row(&state->last, &row);
    struct text stored = sql_column_text(rows, 6);
    if (!text_equal(stored, (struct text){(const char *)expected.bytes, DIGEST_SIZE})) {
        return error_set(error, CORRUPT,
                         "entry %lld of the audit log is not what was written: it, or the one "
                         "before it, was changed",
                         (long long)row.id);
    }
    state->count = row.id;
    state->last = expected;
    return OK;
}

enum status audit_verify(struct sql *sql, struct audit_state *out, struct error *error)
{
    struct audit_state state = {0};
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_AUDIT_ALL, SQL_NO_VALUES, &rows, error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        TRY(check_row(rows, &state, error));
    }
    TRY(status);
    *out = state;
    return OK;
}
