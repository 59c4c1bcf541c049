#include "queue/task_access.h"

#include "base/memory.h"
#include "crypto/seal.h"
#include "prepare/prepare.h"
#include "queue/state.h"
#include "records/jobs_sql.h"

#include <pthread.h>
#include <stdio.h>

#define TASK_TOKEN_PREFIX "lode_task_"

enum { TOKEN_NUMBERS = 4 };

// A lease of a job whose tasks may ask the site.
struct task_lease_entry {
    char *owner; // The worker's principal.
    struct task_access access;
    int64_t blobs_left;
    int64_t bytes_left;
};

struct task_leases {
    pthread_mutex_t lock; // Guards the map.
    struct map *by_lease;
    struct digest key;
};

struct task_leases *task_leases_new(const struct digest *key)
{
    struct task_leases *leases = NEW(struct task_leases);
    (void)pthread_mutex_init(&leases->lock, NULL);
    leases->by_lease = map_new();
    leases->key = *key;
    return leases;
}

static void free_entry(struct task_lease_entry *entry)
{
    if (entry) {
        free(entry->owner);
        free(entry);
    }
}

void task_leases_free(struct task_leases *leases)
{
    if (!leases) {
        return;
    }
    size_t at = 0;
    for (struct task_lease_entry *entry; (entry = map_next(leases->by_lease, &at)) != NULL;) {
        free_entry(entry);
    }
    map_free(leases->by_lease);
    (void)pthread_mutex_destroy(&leases->lock);
    explicit_bzero(&leases->key, sizeof leases->key);
    free(leases);
}

bool job_has_api(const struct active_job *job)
{
    return text_starts_with(text_of(job->description), TEXT(DESCRIPTION_API));
}

void task_leases_add(struct queue *queue, const struct worker *worker,
                     const struct given_lease *lease)
{
    const struct active_job *job = queue_find_job(queue, lease->job);
    if (!job || worker->place || !job_has_api(job)) {
        return;
    }
    int64_t bytes = job->row.need.disk_bytes;
    struct task_lease_entry *entry = NEW(struct task_lease_entry);
    *entry = (struct task_lease_entry){
        .owner = memory_copy_string(worker->owner),
        .access = {lease->number, lease->job, lease->from, lease->to},
        .blobs_left = TASK_BLOBS_MAX,
        .bytes_left = bytes > 0 ? bytes : TASK_BLOB_BYTES_DEFAULT,
    };
    (void)pthread_mutex_lock(&queue->task_leases->lock);
    free_entry(map_set_int64(queue->task_leases->by_lease, lease->number, entry));
    (void)pthread_mutex_unlock(&queue->task_leases->lock);
}

void task_leases_remove(struct queue *queue, int64_t lease)
{
    (void)pthread_mutex_lock(&queue->task_leases->lock);
    free_entry(map_set_int64(queue->task_leases->by_lease, lease, NULL));
    (void)pthread_mutex_unlock(&queue->task_leases->lock);
}

// What the seal is over: the numbers as the token has them, and whose worker may give it to a task.
static void write_sealed(const int64_t numbers[TOKEN_NUMBERS], const char *owner,
                         struct buffer *out)
{
    buffer_printf(out, "%lld.%lld.%lld.%lld.%s", (long long)numbers[0], (long long)numbers[1],
                  (long long)numbers[2], (long long)numbers[3], owner);
}

void task_token_write(const struct queue *queue, const struct worker *worker,
                      const struct given_lease *lease, struct buffer *out)
{
    const int64_t numbers[] = {lease->number, lease->job, lease->from, lease->to};
    char text[DIGEST_TEXT_SIZE];
    AUTO_BUFFER struct buffer sealed = {0};
    write_sealed(numbers, worker->owner, &sealed);
    const struct digest seal = seal_make(&queue->task_leases->key, buffer_text(&sealed));
    buffer_printf(out, TASK_TOKEN_PREFIX "%lld.%lld.%lld.%lld.%s", (long long)numbers[0],
                  (long long)numbers[1], (long long)numbers[2], (long long)numbers[3],
                  digest_to_text(&seal, text) + strlen("sha256:"));
}

bool task_token_is_one(struct text bearer)
{
    // What stands behind the prefix in other tokens is base64url, which has no dot.
    return text_starts_with(bearer, TEXT(TASK_TOKEN_PREFIX)) && text_contains_byte(bearer, '.');
}

struct read_token {
    int64_t numbers[TOKEN_NUMBERS];
    struct digest seal;
};

static bool read_token(struct text bearer, struct read_token *out)
{
    if (!task_token_is_one(bearer) || bearer.length >= TASK_TOKEN_SIZE) {
        return false;
    }
    struct text rest = text_slice(bearer, strlen(TASK_TOKEN_PREFIX), bearer.length);
    struct text part;
    for (int i = 0; i < TOKEN_NUMBERS; i++) {
        if (!text_next_part(&rest, '.', &part) || !text_to_int64(part, &out->numbers[i]) ||
            out->numbers[i] < 0) {
            return false;
        }
    }
    return digest_from_text(rest, &out->seal, NULL) == OK;
}

static bool is_of(const struct task_leases *leases, const struct task_lease_entry *entry,
                  const struct read_token *token)
{
    AUTO_BUFFER struct buffer sealed = {0};
    write_sealed(token->numbers, entry->owner, &sealed);
    // After a restart of the site the worker takes up what is left of the lease.
    return entry->access.job == token->numbers[1] && token->numbers[2] <= entry->access.from &&
           token->numbers[3] >= entry->access.to &&
           seal_is_good(&leases->key, buffer_text(&sealed), &token->seal);
}

enum status task_access_find(struct queue *queue, struct text bearer, struct task_access *out,
                             struct error *error)
{
    struct task_leases *leases = queue->task_leases;
    struct read_token token;
    bool is_good = false;
    if (!read_token(bearer, &token)) {
        return error_set(error, DENIED, "this is not the token of a task");
    }
    (void)pthread_mutex_lock(&leases->lock);
    const struct task_lease_entry *entry = map_find_int64(leases->by_lease, token.numbers[0]);
    if (entry && is_of(leases, entry, &token)) {
        *out = entry->access;
        is_good = true;
    }
    (void)pthread_mutex_unlock(&leases->lock);
    if (!is_good) {
        (void)error_set(error, DENIED, "the task that this token was for has ended");
        error_fix(error, "a task's token is good while its worker runs it, and no longer");
        return DENIED;
    }
    return OK;
}

enum status task_access_spend(struct queue *queue, const struct task_access *access, int64_t blobs,
                              int64_t bytes, struct error *error)
{
    struct task_leases *leases = queue->task_leases;
    (void)pthread_mutex_lock(&leases->lock);
    struct task_lease_entry *entry = map_find_int64(leases->by_lease, access->lease);
    bool is_there = entry != NULL;
    bool is_enough = is_there && blobs <= entry->blobs_left && bytes <= entry->bytes_left;
    if (is_enough) {
        entry->blobs_left -= blobs;
        entry->bytes_left -= bytes;
    }
    (void)pthread_mutex_unlock(&leases->lock);
    if (!is_there) {
        return error_set(error, DENIED, "the task that this token was for has ended");
    }
    if (!is_enough) {
        (void)error_set(error, QUOTA,
                        "the tasks of a lease may send %d files, and as many bytes as they may "
                        "have on disk",
                        TASK_BLOBS_MAX);
        error_fix(error, "submit the job with more disk space (--disk)");
        return QUOTA;
    }
    return OK;
}

void task_access_give_back(struct queue *queue, const struct task_access *access, int64_t blobs,
                           int64_t bytes)
{
    (void)pthread_mutex_lock(&queue->task_leases->lock);
    struct task_lease_entry *entry = map_find_int64(queue->task_leases->by_lease, access->lease);
    if (entry) {
        entry->blobs_left += blobs;
        entry->bytes_left += bytes;
    }
    (void)pthread_mutex_unlock(&queue->task_leases->lock);
}

static enum status read_documents(struct queue *queue, int64_t job, json_t **spec,
                                  json_t **description, struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    AUTO_BUFFER struct buffer told = {0};
    TRY(store_read_begin(queue->store, &sql, error));
    enum status status =
        sql_first(sql, SQL_JOB_DOCUMENTS, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == OK) {
        buffer_append_byte(&told, '{');
        buffer_append_text(&told, sql_column_text(rows, 1));
        status = json_parse(sql_column_text(rows, 0), spec, error);
        if (status == OK) {
            status = json_parse(buffer_text(&told), description, error);
        }
    }
    sql_end(rows);
    store_read_end(queue->store, sql);
    return status == NOT_FOUND ? job_unknown(job, error) : status;
}

static bool is_blob(const json_t *holder, struct text digest)
{
    return text_equal(json_text(json_object_get(holder, "blob")), digest);
}

enum status task_access_has_blob(struct queue *queue, int64_t job, const struct digest *blob,
                                 bool *out, struct error *error)
{
    AUTO_JSON json_t *spec = NULL;
    AUTO_JSON json_t *description = NULL;
    char text[DIGEST_TEXT_SIZE];
    const struct text digest = text_of(digest_to_text(blob, text));
    TRY(read_documents(queue, job, &spec, &description, error));
    const json_t *files = json_object_get(description, "files");
    bool has = is_blob(json_object_get(description, "items"), digest);
    for (size_t i = 0; i < json_array_size(files) && !has; i++) {
        has = is_blob(json_array_get(files, i), digest);
    }
    *out = has;
    return OK;
}

enum status task_access_data(struct queue *queue, int64_t job, struct arena *arena,
                             const char ***ids, size_t *count, struct error *error)
{
    AUTO_JSON json_t *spec = NULL;
    AUTO_JSON json_t *description = NULL;
    TRY(read_documents(queue, job, &spec, &description, error));
    const json_t *data = json_object_get(spec, "data");
    const json_t *over = json_object_get(spec, "over");
    const char **found = arena_new(arena, (json_array_size(data) + 1) * sizeof *found);
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(data); i++) {
        struct text id = json_text(json_object_get(json_array_get(data, i), "id"));
        found[n++] = arena_copy(arena, id);
    }
    if (json_is_string(over)) {
        found[n++] = arena_copy(arena, json_text(over));
    }
    *ids = found;
    *count = n;
    return OK;
}
