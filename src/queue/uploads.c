#include "queue/uploads.h"

#include "base/memory.h"
#include "os/clock.h"
#include "policy/uploads.h"
#include "queue/state.h"

#include <pthread.h>

enum {
    RECENT_MAX = 256, // Digests by which a file that comes once more is known.
    FORGOTTEN_AT_ONCE = 1000,
    UNNAMED_MAX = 1 << 20, // More than tasks can have here ahead of their results.
};
#define SWEEP_US INT64_C(60000000)
#define UNNAMED_US (DAY_SUM_US / 2)

struct recent_upload {
    struct digest digest;
    int64_t counted_us;
};

struct principal_uploads {
    char *owner;
    struct upload_account account;
    struct recent_upload recent[RECENT_MAX];
    size_t recent_count; // Ever.
    // Bytes that were counted, by the digests of files that no result has named: those of late, and those before, which strayed and are forgotten with that.
    struct map *unnamed[2];
    int64_t unnamed_until_us; // Then those of late are those before.
};

struct uploads {
    pthread_mutex_t lock; // Guards the map and what is in it.
    struct map *by_owner;
    int64_t sweep_us;
};

struct uploads *uploads_new(void)
{
    struct uploads *uploads = NEW(struct uploads);
    (void)pthread_mutex_init(&uploads->lock, NULL);
    uploads->by_owner = map_new();
    return uploads;
}

static void free_unnamed(struct map *unnamed)
{
    size_t at = 0;
    for (int64_t *each; (each = map_next(unnamed, &at)) != NULL;) {
        free(each);
    }
    map_free(unnamed);
}

static void free_principal(struct principal_uploads *principal)
{
    free_unnamed(principal->unnamed[0]);
    free_unnamed(principal->unnamed[1]);
    upload_account_done(&principal->account);
    free(principal->owner);
    free(principal);
}

void uploads_free(struct uploads *uploads)
{
    size_t at = 0;
    if (!uploads) {
        return;
    }
    for (struct principal_uploads *each; (each = map_next(uploads->by_owner, &at)) != NULL;) {
        free_principal(each);
    }
    map_free(uploads->by_owner);
    (void)pthread_mutex_destroy(&uploads->lock);
    free(uploads);
}

static struct principal_uploads *find(struct uploads *uploads, struct text owner)
{
    return map_find_text(uploads->by_owner, owner);
}

static struct principal_uploads *find_or_make(struct uploads *uploads, const char *owner)
{
    struct principal_uploads *principal = find(uploads, text_of(owner));
    if (!principal) {
        principal = NEW(struct principal_uploads);
        principal->owner = memory_copy_string(owner);
        principal->unnamed[0] = map_new();
        principal->unnamed[1] = map_new();
        principal->unnamed_until_us = clock_steady_us() + UNNAMED_US;
        (void)map_set_text(uploads->by_owner, text_of(owner), principal);
    }
    return principal;
}

void uploads_lease_given(struct queue *queue, const struct worker *worker,
                         const struct given_lease *lease)
{
    const struct active_job *job = queue_find_job(queue, lease->job);
    if (!job) {
        return;
    }
    const struct upload_job seen = {.number = lease->job,
                                    .disk_bytes = job->row.need.disk_bytes,
                                    .checkpoint_us = job->row.checkpoint_us,
                                    .is_stream = job->row.mode == SPEC_STREAM,
                                    .is_elsewhere = worker->place != NULL};
    (void)pthread_mutex_lock(&queue->uploads->lock);
    upload_lease_given(&find_or_make(queue->uploads, worker->owner)->account, &seen, lease->number,
                       lease->from, lease->to - lease->from, clock_steady_us());
    (void)pthread_mutex_unlock(&queue->uploads->lock);
}

static struct text key_of(const struct digest *blob)
{
    return (struct text){(const char *)blob->bytes, DIGEST_SIZE};
}

static void count_unnamed(struct principal_uploads *principal, const struct digest *blob,
                          int64_t bytes)
{
    struct map *unnamed = principal->unnamed[0];
    int64_t *known = map_find_text(unnamed, key_of(blob));
    if (!known && map_count(unnamed) < UNNAMED_MAX) {
        known = NEW(int64_t);
        (void)map_set_text(unnamed, key_of(blob), known);
    }
    if (known) {
        *known += bytes;
    }
}

// It has a name now; returns what it was counted as, once.
static int64_t name_blob(struct principal_uploads *principal, const struct digest *blob)
{
    int64_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        AUTO_FREE int64_t *known = map_set_text(principal->unnamed[i], key_of(blob), NULL);
        bytes += known ? *known : 0;
    }
    return bytes;
}

static int64_t name_all(struct principal_uploads *principal, const struct upload_news *news)
{
    struct text rest = news->files;
    struct digest digest;
    int64_t bytes = 0;
    for (int i = 0; i < UPLOAD_BLOBS; i++) {
        bytes += news->blobs[i] ? name_blob(principal, news->blobs[i]) : 0;
    }
    while (digest_next(&rest, &digest)) {
        bytes += name_blob(principal, &digest);
    }
    return bytes;
}

static void age_unnamed(struct principal_uploads *principal, int64_t now_us)
{
    if (now_us >= principal->unnamed_until_us) {
        free_unnamed(principal->unnamed[1]);
        principal->unnamed[1] = principal->unnamed[0];
        principal->unnamed[0] = map_new();
        principal->unnamed_until_us = now_us + UNNAMED_US;
    }
}

static void note(struct principal_uploads *principal, const struct upload_news *news,
                 int64_t now_us)
{
    struct upload_account *account = &principal->account;
    int64_t named_bytes = name_all(principal, news);
    switch (news->what) {
    case UPLOAD_REPORTED:
        upload_tasks_reported(account, news->job, news->lease, news->tasks, named_bytes, now_us);
        break;
    case UPLOAD_RETURNED:
        upload_tasks_returned(account, news->lease, news->tasks);
        break;
    case UPLOAD_CHECKPOINT:
        upload_checkpoint_taken(account, news->job, news->task, named_bytes, now_us);
        break;
    case UPLOAD_ENDED:
        upload_lease_ended(account, news->lease, now_us);
        break;
    }
}

void uploads_note(struct queue *queue, const struct worker *worker, const struct upload_news *news)
{
    struct uploads *uploads = queue->uploads;
    int64_t now_us = clock_steady_us();
    (void)pthread_mutex_lock(&uploads->lock);
    struct principal_uploads *principal = find(uploads, text_of(worker->owner));
    if (principal) {
        note(principal, news, now_us);
    }
    (void)pthread_mutex_unlock(&uploads->lock);
}

static void forget_empty(struct uploads *uploads, int64_t now_us)
{
    struct principal_uploads *empty[FORGOTTEN_AT_ONCE];
    size_t count = 0;
    size_t at = 0;
    for (struct principal_uploads *each;
         count < FORGOTTEN_AT_ONCE && (each = map_next(uploads->by_owner, &at)) != NULL;) {
        upload_account_expire(&each->account, now_us);
        age_unnamed(each, now_us);
        if (upload_account_is_empty(&each->account)) {
            empty[count++] = each;
        }
    }
    for (size_t i = 0; i < count; i++) {
        (void)map_set_text(uploads->by_owner, text_of(empty[i]->owner), NULL);
        free_principal(empty[i]);
    }
    // The next tick goes on.
    uploads->sweep_us = count == FORGOTTEN_AT_ONCE ? now_us : now_us + SWEEP_US;
}

void uploads_tick(struct queue *queue, int64_t now_us)
{
    struct uploads *uploads = queue->uploads;
    (void)pthread_mutex_lock(&uploads->lock);
    if (now_us >= uploads->sweep_us) {
        forget_empty(uploads, now_us);
    }
    (void)pthread_mutex_unlock(&uploads->lock);
}

static enum status spend(struct queue *queue, struct text owner, int64_t files, int64_t bytes,
                         struct error *error)
{
    struct upload_account none = {0};
    (void)pthread_mutex_lock(&queue->uploads->lock);
    struct principal_uploads *principal = find(queue->uploads, owner);
    struct upload_account *account = principal ? &principal->account : &none;
    upload_account_expire(account, clock_steady_us());
    enum status status = upload_spend(account, files, bytes, error);
    (void)pthread_mutex_unlock(&queue->uploads->lock);
    return status;
}

enum status worker_upload_begin(struct queue *queue, struct worker_upload *upload,
                                struct text owner, int64_t bytes, struct error *error)
{
    int64_t counted = bytes > UPLOAD_FILE_BYTES ? bytes : UPLOAD_FILE_BYTES;
    TRY(spend(queue, owner, 1, counted, error));
    *upload = (struct worker_upload){owner, counted};
    return OK;
}

enum status worker_upload_grow(struct queue *queue, struct worker_upload *upload, int64_t bytes,
                               struct error *error)
{
    if (bytes > upload->bytes) {
        TRY(spend(queue, upload->owner, 0, bytes - upload->bytes, error));
        upload->bytes = bytes;
    }
    return OK;
}

static bool is_known(const struct principal_uploads *principal, const struct digest *blob,
                     int64_t now_us)
{
    size_t count = principal->recent_count < RECENT_MAX ? principal->recent_count : RECENT_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct recent_upload *recent = &principal->recent[i];
        if (digest_equal(&recent->digest, blob) && now_us - recent->counted_us < UPLOAD_AGAIN_US) {
            return true;
        }
    }
    return false;
}

bool worker_upload_was_sent(struct queue *queue, struct text owner, const struct digest *blob,
                            int64_t now_us)
{
    (void)pthread_mutex_lock(&queue->uploads->lock);
    const struct principal_uploads *principal = find(queue->uploads, owner);
    bool was_sent = principal && is_known(principal, blob, now_us);
    (void)pthread_mutex_unlock(&queue->uploads->lock);
    return was_sent;
}

void worker_upload_end(struct queue *queue, const struct worker_upload *upload,
                       const struct digest *blob, int64_t now_us)
{
    (void)pthread_mutex_lock(&queue->uploads->lock);
    struct principal_uploads *principal = find(queue->uploads, upload->owner);
    if (principal && (!blob || is_known(principal, blob, now_us))) {
        upload_give_back(&principal->account, 1, upload->bytes, now_us);
    } else if (principal) {
        principal->recent[principal->recent_count++ % RECENT_MAX] =
            (struct recent_upload){*blob, now_us};
        count_unnamed(principal, blob, upload->bytes);
    }
    (void)pthread_mutex_unlock(&queue->uploads->lock);
}
