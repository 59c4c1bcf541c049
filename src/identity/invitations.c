#include "identity/invitations.h"

#include "base/calendar.h"
#include "base/hex.h"
#include "crypto/digest.h"
#include "identity/invitations_sql.h"
#include "os/random.h"

#include <assert.h>
#include <stdio.h>

#define PREFIX "lode_join_"
enum { SECRET_SIZE = 32 };
// An expired one is kept for a while, so that who comes late is told so.
#define EXPIRED_KEPT_US INT64_C(604800000000)

static bool is_base64url(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

bool invitation_is_well_formed(struct text said)
{
    if (said.length != INVITATION_TEXT_SIZE - 1 || !text_starts_with(said, TEXT(PREFIX))) {
        return false;
    }
    for (size_t i = sizeof PREFIX - 1; i < said.length; i++) {
        if (!is_base64url(said.bytes[i])) {
            return false;
        }
    }
    return true;
}

static struct invitation_secret secret_new(void)
{
    unsigned char random[SECRET_SIZE];
    AUTO_BUFFER struct buffer text = {0};
    struct invitation_secret secret;
    random_fill(random, sizeof random);
    buffer_append_string(&text, PREFIX);
    base64url_append(&text, random, sizeof random);
    assert(text.length == INVITATION_TEXT_SIZE - 1);
    memcpy(secret.text, text.bytes, sizeof secret.text);
    return secret;
}

static enum status check(struct sql *sql, const struct invitation *invitation, int64_t now_us,
                         int64_t *id, struct error *error)
{
    AUTO_ROWS struct sql_rows *count = NULL;
    AUTO_ROWS struct sql_rows *next = NULL;
    if (invitation->name[0]) {
        TRY(known_worker_check_name(text_of(invitation->name), error));
    }
    if (invitation->expires_us <= now_us) {
        char time[CALENDAR_TEXT_SIZE];
        return error_set(error, INVALID, "the invitation would have expired at %s",
                         calendar_format(invitation->expires_us, time));
    }
    TRY(sql_run(sql, SQL_INVITATION_DROP_OLD, SQL_VALUES(sql_int64(now_us - EXPIRED_KEPT_US)), NULL,
                error));
    TRY(sql_first(sql, SQL_INVITATION_COUNT, SQL_NO_VALUES, &count, error));
    if (sql_column_int64(count, 0) >= INVITATIONS_MAX) {
        (void)error_set(error, QUOTA, "the site has %d invitations that were not used",
                        INVITATIONS_MAX);
        error_fix(error, "they go %d days after they have expired",
                  (int)(EXPIRED_KEPT_US / INT64_C(86400000000)));
        return QUOTA;
    }
    TRY(sql_first(sql, SQL_INVITATION_NEXT_ID, SQL_NO_VALUES, &next, error));
    *id = sql_column_int64(next, 0);
    return OK;
}

enum status invitations_create(struct sql *sql, const struct invitation *invitation, int64_t now_us,
                               struct invitation_secret *secret, struct error *error)
{
    int64_t id = 0;
    TRY(check(sql, invitation, now_us, &id, error));
    struct invitation_secret made = secret_new();
    struct digest digest = digest_of(made.text, INVITATION_TEXT_SIZE - 1);
    TRY(sql_run(sql, SQL_INVITATION_ADD,
                SQL_VALUES(sql_int64(id), sql_blob(digest.bytes, sizeof digest.bytes),
                           sql_text(text_of(invitation->name)), sql_text(text_of(invitation->by)),
                           sql_int64(now_us), sql_int64(invitation->expires_us),
                           RUNNER_VALUES(&invitation->runner)),
                NULL, error));
    *secret = made;
    return OK;
}

enum { COLUMN_RUNNER = 5 }; // Of SQL_INVITATION_FIND.

static enum status refuse(struct error *error, const char *why, int64_t at_us)
{
    char time[CALENDAR_TEXT_SIZE];
    (void)error_set(error, DENIED, "the invitation %s%s", why,
                    at_us ? calendar_format(at_us, time) : "");
    error_fix(error, "an operator of the site makes a new one with: lode worker invite");
    return DENIED;
}

enum status invitations_use(struct sql *sql, struct text said, int64_t now_us,
                            struct invitation *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    if (!invitation_is_well_formed(said)) {
        return refuse(error, "has not the form of one (" PREFIX " and 43 characters)", 0);
    }
    struct digest digest = digest_of(said.bytes, said.length);
    enum status status =
        sql_first(sql, SQL_INVITATION_FIND, SQL_VALUES(sql_blob(digest.bytes, sizeof digest.bytes)),
                  &rows, error);
    if (status == NOT_FOUND) {
        return refuse(error, "is not known to this site", 0);
    }
    TRY(status);
    struct invitation found = {.expires_us = sql_column_int64(rows, 3)};
    TRY(runner_of_row(rows, COLUMN_RUNNER, &found.runner, error));
    (void)snprintf(found.name, sizeof found.name, "%.*s", TEXT_ARGS(sql_column_text(rows, 1)));
    (void)snprintf(found.by, sizeof found.by, "%.*s", TEXT_ARGS(sql_column_text(rows, 2)));
    if (sql_column_int64(rows, 4) != 0) {
        return refuse(error, "was used before, at ", sql_column_int64(rows, 4));
    }
    if (found.expires_us <= now_us) {
        return refuse(error, "expired at ", found.expires_us);
    }
    TRY(sql_run(sql, SQL_INVITATION_USE,
                SQL_VALUES(sql_int64(sql_column_int64(rows, 0)), sql_int64(now_us)), NULL, error));
    *out = found;
    return OK;
}
