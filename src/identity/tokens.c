#include "identity/tokens.h"

#include "base/calendar.h"
#include "base/hex.h"
#include "base/map.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "identity/tokens_sql.h"
#include "os/random.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#define TOKEN_PREFIX "lode_"
enum { SECRET_SIZE = 32 };

struct entry {
    struct entry *next_of_job;
    struct token token;
    struct digest digest;
};

// The valid tokens, found both ways.
struct index {
    struct map *by_digest; // Owns the entries.
    struct map *by_id;
    struct map *by_job; // Lists of those that are for one job.
};

struct tokens {
    pthread_rwlock_t lock; // Guards the index.
    struct index index;
};

static struct text digest_key(const struct digest *digest)
{
    return (struct text){(const char *)digest->bytes, DIGEST_SIZE};
}

static void index_init(struct index *index)
{
    index->by_digest = map_new();
    index->by_id = map_new();
    index->by_job = map_new();
}

static void index_done(struct index *index)
{
    size_t at = 0;
    for (struct entry *entry; (entry = map_next(index->by_digest, &at)) != NULL;) {
        free(entry);
    }
    map_free(index->by_digest);
    map_free(index->by_id);
    map_free(index->by_job);
}

static void list_remove(struct index *index, struct entry *entry)
{
    int64_t job = entry->token.runner.job;
    struct entry *first = job != 0 ? map_find_int64(index->by_job, job) : NULL;
    if (first == entry) {
        (void)map_set_int64(index->by_job, job, entry->next_of_job);
        return;
    }
    for (; first; first = first->next_of_job) {
        if (first->next_of_job == entry) {
            first->next_of_job = entry->next_of_job;
            return;
        }
    }
}

static void index_add(struct index *index, const struct token *token, const struct digest *digest)
{
    struct entry *entry = NEW(struct entry);
    entry->token = *token;
    entry->digest = *digest;
    free(map_set_text(index->by_digest, digest_key(digest), entry));
    (void)map_set_int64(index->by_id, token->id, entry);
    if (token->runner.job != 0) {
        entry->next_of_job = map_set_int64(index->by_job, token->runner.job, entry);
    }
}

static void index_remove(struct index *index, int64_t id)
{
    struct entry *entry = map_set_int64(index->by_id, id, NULL);
    if (entry) {
        (void)map_set_text(index->by_digest, digest_key(&entry->digest), NULL);
        list_remove(index, entry);
        free(entry);
    }
}

static void copy_text(char *out, size_t size, struct text text)
{
    (void)snprintf(out, size, "%.*s", TEXT_ARGS(text));
}

// What follows from the rest of it.
static void complete(struct token *token)
{
    struct runner *runner = &token->runner;
    if (runner->kind != RUNNER_SITE) {
        (void)snprintf(token->runner_name, sizeof token->runner_name, "runner:%lld",
                       (long long)token->id);
        runner->since_us = runner->kind == RUNNER_SESSION ? token->created_us : 0;
        runner->until_us = token->expires_us;
    }
}

enum { COLUMN_RUNNER = 7, COLUMN_DIGEST = 11 };

// Of a row that begins with id, name, role, label, created_us, expires_us, revoked_us, and the class.
static enum status token_of_row(const struct sql_rows *rows, struct token *out, struct error *error)
{
    struct token token = {
        .id = sql_column_int64(rows, 0),
        .created_us = sql_column_int64(rows, 4),
        .expires_us = sql_column_int64(rows, 5),
        .revoked_us = sql_column_int64(rows, 6),
    };
    if (!role_from_text(sql_column_text(rows, 2), &token.role)) {
        return error_set(error, CORRUPT, "token %lld has no known role", (long long)token.id);
    }
    TRY(runner_of_row(rows, COLUMN_RUNNER, &token.runner, error));
    copy_text(token.name, sizeof token.name, sql_column_text(rows, 1));
    copy_text(token.label, sizeof token.label, sql_column_text(rows, 3));
    complete(&token);
    *out = token;
    return OK;
}

static enum status index_read(struct index *index, struct sql *sql, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_TOKEN_VALID, SQL_NO_VALUES, &rows, error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        struct token token;
        TRY(token_of_row(rows, &token, error));
        struct text bytes = sql_column_text(rows, COLUMN_DIGEST);
        struct digest digest;
        if (bytes.length != sizeof digest.bytes) {
            return error_set(error, CORRUPT, "token %lld has no digest", (long long)token.id);
        }
        memcpy(digest.bytes, bytes.bytes, sizeof digest.bytes);
        index_add(index, &token, &digest);
    }
    return status;
}

// After a batch that was lost: what it changed in memory is not in the database.
static enum status read_again(struct sql *sql, void *context, struct error *error)
{
    struct tokens *tokens = context;
    struct index read;
    index_init(&read);
    enum status status = index_read(&read, sql, error);
    if (status == OK) {
        (void)pthread_rwlock_wrlock(&tokens->lock);
        struct index old = tokens->index;
        tokens->index = read;
        read = old;
        (void)pthread_rwlock_unlock(&tokens->lock);
    }
    index_done(&read);
    return status;
}

enum status tokens_open(struct store *store, struct tokens **out, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(store, &sql, error));
    struct tokens *tokens = NEW(struct tokens);
    (void)pthread_rwlock_init(&tokens->lock, NULL);
    index_init(&tokens->index);
    enum status status = index_read(&tokens->index, sql, error);
    store_read_end(store, sql);
    if (status != OK) {
        tokens_close(tokens);
        return status;
    }
    store_on_recover(store, read_again, tokens);
    *out = tokens;
    return OK;
}

void tokens_close(struct tokens *tokens)
{
    if (tokens) {
        index_done(&tokens->index);
        (void)pthread_rwlock_destroy(&tokens->lock);
        free(tokens);
    }
}

static bool is_name(struct text name)
{
    if (name.length == 0 || name.length > TOKEN_NAME_MAX) {
        return false;
    }
    return text_is_utf8(name) && !text_has_control(name) && !text_contains_byte(name, ' ');
}

static enum status check_request(const struct token_request *request, int64_t now_us,
                                 struct error *error)
{
    if (!is_name(request->name)) {
        (void)error_set(
            error, INVALID, "\"%.*s\" is no name for a principal",
            (int)(request->name.length < TOKEN_NAME_MAX ? request->name.length : TOKEN_NAME_MAX),
            request->name.bytes ? request->name.bytes : "");
        error_fix(error, "use 1 to %d bytes of UTF-8 without spaces and control characters",
                  TOKEN_NAME_MAX);
        return INVALID;
    }
    if (request->label.length > TOKEN_LABEL_MAX || !text_is_utf8(request->label) ||
        text_has_control(request->label)) {
        return error_set(error, INVALID,
                         "the label must be up to %d bytes of UTF-8 without control characters",
                         TOKEN_LABEL_MAX);
    }
    if (request->role != ROLE_USER && request->role != ROLE_WORKER && request->role != ROLE_ADMIN) {
        return error_set(error, INVALID, "a token cannot have the role %s",
                         role_name(request->role));
    }
    if (request->runner.kind != RUNNER_SITE && request->role != ROLE_WORKER) {
        (void)error_set(error, INVALID, "a token of class %s cannot have the role %s",
                        runner_class_name(request->runner.kind), role_name(request->role));
        error_fix(error, "a class is of workers: leave out the role");
        return INVALID;
    }
    TRY(runner_check(&request->runner, error));
    if (request->expires_us != 0 && request->expires_us <= now_us) {
        char time[CALENDAR_TEXT_SIZE];
        return error_set(error, INVALID, "the token would have expired at %s",
                         calendar_format(request->expires_us, time));
    }
    return OK;
}

// Only the writer's thread changes the index, so it may read it without the lock.
static void drop_expired(struct tokens *tokens, int64_t now_us)
{
    AUTO_FREE int64_t *ids = memory_new(map_count(tokens->index.by_id) + 1, sizeof *ids);
    size_t count = 0;
    size_t at = 0;
    for (struct entry *entry; (entry = map_next(tokens->index.by_id, &at)) != NULL;) {
        if (entry->token.expires_us != 0 && entry->token.expires_us <= now_us) {
            ids[count++] = entry->token.id;
        }
    }
    (void)pthread_rwlock_wrlock(&tokens->lock);
    for (size_t i = 0; i < count; i++) {
        index_remove(&tokens->index, ids[i]);
    }
    (void)pthread_rwlock_unlock(&tokens->lock);
}

static enum status next_id(struct sql *sql, int64_t *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_first(sql, SQL_TOKEN_NEXT_ID, SQL_NO_VALUES, &rows, error));
    *out = sql_column_int64(rows, 0);
    return OK;
}

static struct token_secret secret_new(void)
{
    unsigned char random[SECRET_SIZE];
    random_fill(random, sizeof random);
    AUTO_BUFFER struct buffer text = {0};
    buffer_append_string(&text, TOKEN_PREFIX);
    base64url_append(&text, random, sizeof random);
    assert(text.length == TOKEN_TEXT_SIZE - 1);
    struct token_secret secret;
    memcpy(secret.text, text.bytes, sizeof secret.text);
    return secret;
}

enum status tokens_create(struct tokens *tokens, struct sql *sql,
                          const struct token_request *request, int64_t now_us, struct token *out,
                          struct token_secret *secret, struct error *error)
{
    TRY(check_request(request, now_us, error));
    if (map_count(tokens->index.by_id) >= TOKENS_MAX) {
        drop_expired(tokens, now_us);
    }
    if (map_count(tokens->index.by_id) >= TOKENS_MAX) {
        (void)error_set(error, QUOTA, "the site has %d tokens already", TOKENS_MAX);
        error_fix(error, "revoke tokens that are not used");
        return QUOTA;
    }
    struct token token = {.role = request->role,
                          .created_us = now_us,
                          .expires_us = request->expires_us,
                          .runner = request->runner};
    TRY(next_id(sql, &token.id, error));
    copy_text(token.name, sizeof token.name, request->name);
    copy_text(token.label, sizeof token.label, request->label);
    complete(&token);
    struct token_secret made = secret_new();
    struct digest digest = digest_of(made.text, TOKEN_TEXT_SIZE - 1);
    TRY(sql_run(sql, SQL_TOKEN_ADD,
                SQL_VALUES(sql_int64(token.id), sql_text(request->name),
                           sql_text(text_of(role_name(token.role))), sql_text(request->label),
                           sql_int64(now_us), sql_int64(token.expires_us),
                           sql_blob(digest.bytes, sizeof digest.bytes),
                           RUNNER_VALUES(&token.runner)),
                NULL, error));
    (void)pthread_rwlock_wrlock(&tokens->lock);
    index_add(&tokens->index, &token, &digest);
    (void)pthread_rwlock_unlock(&tokens->lock);
    *out = token;
    *secret = made;
    return OK;
}

static enum status no_token(int64_t id, struct error *error)
{
    (void)error_set(error, NOT_FOUND, "there is no valid token %lld", (long long)id);
    error_fix(error, "`lode token list` shows those that there are");
    return NOT_FOUND;
}

enum status tokens_revoke(struct tokens *tokens, struct sql *sql, int64_t id, int64_t now_us,
                          struct error *error)
{
    int64_t changed = 0;
    TRY(sql_run(sql, SQL_TOKEN_REVOKE, SQL_VALUES(sql_int64(id), sql_int64(now_us)), &changed,
                error));
    if (changed == 0) {
        return no_token(id, error);
    }
    (void)pthread_rwlock_wrlock(&tokens->lock);
    index_remove(&tokens->index, id);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return OK;
}

enum status tokens_get(struct tokens *tokens, int64_t id, struct token *out, struct error *error)
{
    (void)pthread_rwlock_rdlock(&tokens->lock);
    const struct entry *entry = map_find_int64(tokens->index.by_id, id);
    struct token found = entry ? entry->token : (struct token){0};
    (void)pthread_rwlock_unlock(&tokens->lock);
    if (found.id == 0) {
        return no_token(id, error);
    }
    *out = found;
    return OK;
}

static enum status end(struct tokens *tokens, struct sql *sql, struct entry *entry, int64_t at_us,
                       struct error *error)
{
    TRY(sql_run(sql, SQL_TOKEN_END, SQL_VALUES(sql_int64(entry->token.id), sql_int64(at_us)), NULL,
                error));
    (void)pthread_rwlock_wrlock(&tokens->lock);
    entry->token.expires_us = at_us;
    complete(&entry->token);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return OK;
}

enum status tokens_end_job(struct tokens *tokens, struct sql *sql, int64_t job, int64_t now_us,
                           struct error *error)
{
    int64_t at_us = now_us + TOKEN_FAREWELL_US;
    struct entry *entry = map_find_int64(tokens->index.by_job, job);
    for (; entry; entry = entry->next_of_job) {
        int64_t expires_us = entry->token.expires_us;
        if (entry->token.runner.kind == RUNNER_JOB_TOKEN &&
            (expires_us == 0 || expires_us > at_us)) {
            TRY(end(tokens, sql, entry, at_us, error));
        }
    }
    return OK;
}

static bool is_base64url(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

bool token_is_well_formed(struct text bearer)
{
    if (bearer.length != TOKEN_TEXT_SIZE - 1 || !text_starts_with(bearer, TEXT(TOKEN_PREFIX))) {
        return false;
    }
    for (size_t i = sizeof TOKEN_PREFIX - 1; i < bearer.length; i++) {
        if (!is_base64url(bearer.bytes[i])) {
            return false;
        }
    }
    return true;
}

static enum status refuse(struct error *error, const char *why)
{
    (void)error_set(error, DENIED, "%s", why);
    error_fix(error, "get a new token with: lode login");
    return DENIED;
}

enum status tokens_find(struct tokens *tokens, struct text bearer, int64_t now_us,
                        struct token *out, struct error *error)
{
    if (!token_is_well_formed(bearer)) {
        return refuse(error, "this is no token of a lode site (lode_ and 43 characters)");
    }
    struct digest digest = digest_of(bearer.bytes, bearer.length);
    (void)pthread_rwlock_rdlock(&tokens->lock);
    const struct entry *entry = map_find_text(tokens->index.by_digest, digest_key(&digest));
    struct token found = entry ? entry->token : (struct token){0};
    (void)pthread_rwlock_unlock(&tokens->lock);
    if (found.id == 0) {
        return refuse(error, "the token is not known to this site, or was revoked");
    }
    if (found.expires_us != 0 && found.expires_us <= now_us) {
        char time[CALENDAR_TEXT_SIZE];
        (void)error_set(error, DENIED, "the token expired at %s",
                        calendar_format(found.expires_us, time));
        error_fix(error, "get a new token with: lode login");
        return DENIED;
    }
    *out = found;
    return OK;
}

struct principal token_principal(const struct token *token)
{
    bool is_runner = token->runner.kind != RUNNER_SITE;
    return (struct principal){.name = text_of(is_runner ? token->runner_name : token->name),
                              .role = token->role,
                              .runner = token->runner.kind};
}

enum status tokens_list(struct sql *sql, const struct token_filter *filter, token_visit_fn *visit,
                        void *context, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct sql_value values[] = {sql_int64(filter->after_id), sql_int64(filter->count_max),
                                 sql_text(filter->name)};
    bool is_any = filter->name.length == 0;
    TRY(sql_query(sql, is_any ? SQL_TOKEN_LIST : SQL_TOKEN_LIST_OF, values, is_any ? 2 : 3, &rows,
                  error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        struct token token;
        TRY(token_of_row(rows, &token, error));
        visit(context, &token);
    }
    return status;
}
