#include "store/writer.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/thread.h"
#include "store/connection.h"

#include <assert.h>
#include <stdatomic.h>

enum {
    BATCH_MAX = 1024,   // Writes in one transaction.
    CHECKS_MAX = 4,     // As store.h says of store_every.
    RECOVERIES_MAX = 8, // Owners of in-memory state.
};

struct write {
    store_write_fn *run;
    store_done_fn *done;
    void *context;
    struct error *failure; // Its own; NULL when it did not fail.
};

struct write_list {
    struct write *items;
    size_t count;
    size_t capacity;
};

struct check {
    struct write write;
    int64_t interval_us;
    int64_t due_us; // On the steady clock.
};

struct writer {
    struct sql *sql;
    pthread_t thread;

    pthread_mutex_t mutex; // Guards all that follows, up to the next comment.
    pthread_cond_t wake;
    struct write_list waiting;
    struct check checks[CHECKS_MAX];
    size_t check_count;
    struct write recoveries[RECOVERIES_MAX];
    size_t recovery_count;
    bool is_stopping;

    // The thread's own.
    bool
        needs_recovery; // In-memory state went ahead of the database: rebuild it before anything else runs.

    _Atomic int64_t commits;
    _Atomic int64_t writes;
};

static void list_add(struct write_list *list, struct write write)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = memory_resize(list->items, list->capacity, sizeof *list->items);
    }
    list->items[list->count++] = write;
}

// The time until which there is nothing to do but wait for writes; INT64_MAX: for ever.
static int64_t next_check_us(const struct writer *writer)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < writer->check_count; i++) {
        next = writer->checks[i].due_us < next ? writer->checks[i].due_us : next;
    }
    return next;
}

static void add_due_checks(struct writer *writer, struct write_list *batch)
{
    int64_t now_us = clock_steady_us();
    for (size_t i = 0; i < writer->check_count; i++) {
        struct check *check = &writer->checks[i];
        if (check->due_us <= now_us) {
            check->due_us = now_us + check->interval_us;
            list_add(batch, check->write);
        }
    }
}

// Waits for something to do and moves it to the empty `batch`; false when the writer is to stop and all is done.
static bool gather(struct writer *writer, struct write_list *batch)
{
    (void)pthread_mutex_lock(&writer->mutex);
    while (writer->waiting.count == 0 && !writer->is_stopping) {
        int64_t until_us = next_check_us(writer);
        if (until_us <= clock_steady_us()) {
            break;
        }
        (void)condition_wait_until(&writer->wake, &writer->mutex, until_us);
    }
    struct write_list gathered = writer->waiting;
    writer->waiting = *batch;
    *batch = gathered;
    bool is_end = writer->is_stopping && batch->count == 0;
    if (!writer->is_stopping) {
        add_due_checks(writer, batch);
    }
    (void)pthread_mutex_unlock(&writer->mutex);
    return !is_end;
}

static enum status rebuild_one(struct writer *writer, const struct write *recovery,
                               struct error *error)
{
    TRY(connection_begin(writer->sql, error));
    enum status status = recovery->run(writer->sql, recovery->context, error);
    if (status == OK) {
        status = connection_commit(writer->sql, error);
    }
    connection_rollback(writer->sql);
    return status;
}

static enum status rebuild(struct writer *writer, struct error *error)
{
    struct write recoveries[RECOVERIES_MAX];
    (void)pthread_mutex_lock(&writer->mutex);
    size_t count = writer->recovery_count;
    memcpy(recoveries, writer->recoveries, count * sizeof recoveries[0]);
    (void)pthread_mutex_unlock(&writer->mutex);
    for (size_t i = 0; i < count; i++) {
        TRY(rebuild_one(writer, &recoveries[i], error));
    }
    writer->needs_recovery = false;
    return OK;
}

// Runs one write within the transaction. Fails only when the transaction as a whole is lost.
static enum status run_one(struct writer *writer, struct write *write, struct error *error)
{
    struct sql *sql = writer->sql;
    struct error failure = {0};
    TRY(connection_mark(sql, error));
    enum status status = write->run(sql, write->context, &failure);
    assert(connection_open_queries(sql) == 0);
    if (!connection_is_in_transaction(sql)) {
        if (status == OK) {
            return error_set(error, INTERNAL, "the database gave up the transaction");
        }
        *error = failure;
        return status;
    }
    if (status == OK) {
        return connection_keep(sql, error);
    }
    failure.status = status;
    write->failure = memory_new(1, sizeof failure);
    *write->failure = failure;
    return connection_undo(sql, error);
}

static enum status run_batch(struct writer *writer, struct write *writes, size_t count, size_t *ran,
                             struct error *error)
{
    if (writer->needs_recovery) {
        TRY(rebuild(writer, error));
    }
    TRY(connection_begin(writer->sql, error));
    while (*ran < count) {
        (*ran)++;
        TRY(run_one(writer, &writes[*ran - 1], error));
    }
    return connection_commit(writer->sql, error);
}

static void tell(struct write *write, enum status batch_status, const struct error *batch_error)
{
    // When the batch was lost, what a write found within it is void.
    const struct error *error = batch_status == OK ? write->failure : batch_error;
    if (write->done) {
        write->done(write->context, error ? error->status : OK, error);
    }
    free(write->failure);
}

// Runs and commits up to BATCH_MAX writes and tells their owners; returns how many those were.
static size_t commit_some(struct writer *writer, struct write *writes, size_t count)
{
    count = count < BATCH_MAX ? count : BATCH_MAX;
    struct error error = {0};
    int64_t changes = connection_changes(writer->sql);
    size_t ran = 0;
    enum status status = run_batch(writer, writes, count, &ran, &error);
    if (status != OK) {
        error.status = status;
        connection_rollback(writer->sql);
        writer->needs_recovery = writer->needs_recovery || ran > 0;
        if (ran > 0) {
            (void)rebuild(writer, NULL);
        }
        // Those behind the one that failed have seen nothing of it and may still succeed; without a transaction none can.
        ran = ran > 0 ? ran : count;
    } else {
        writer->commits += connection_changes(writer->sql) != changes;
    }
    writer->writes += (int64_t)ran;
    for (size_t i = 0; i < ran; i++) {
        tell(&writes[i], status, &error);
    }
    return ran;
}

static void *writer_run(void *argument)
{
    struct writer *writer = argument;
    struct write_list batch = {0};
    while (gather(writer, &batch)) {
        for (size_t at = 0; at < batch.count;) {
            at += commit_some(writer, batch.items + at, batch.count - at);
        }
        batch.count = 0;
        connection_tidy(writer->sql);
    }
    free(batch.items);
    return NULL;
}

enum status writer_start(struct sql *sql, struct writer **out, struct error *error)
{
    struct writer *writer = NEW(struct writer);
    writer->sql = sql;
    condition_init(&writer->wake);
    (void)pthread_mutex_init(&writer->mutex, NULL);
    enum status status = thread_start(&writer->thread, "store-writer", writer_run, writer, error);
    if (status != OK) {
        (void)pthread_cond_destroy(&writer->wake);
        (void)pthread_mutex_destroy(&writer->mutex);
        free(writer);
        return status;
    }
    *out = writer;
    return OK;
}

void writer_stop(struct writer *writer)
{
    if (!writer) {
        return;
    }
    (void)pthread_mutex_lock(&writer->mutex);
    writer->is_stopping = true;
    (void)pthread_cond_signal(&writer->wake);
    (void)pthread_mutex_unlock(&writer->mutex);
    (void)pthread_join(writer->thread, NULL);
    (void)pthread_cond_destroy(&writer->wake);
    (void)pthread_mutex_destroy(&writer->mutex);
    free(writer->waiting.items);
    free(writer);
}

void writer_add(struct writer *writer, store_write_fn *write, store_done_fn *done, void *context)
{
    (void)pthread_mutex_lock(&writer->mutex);
    list_add(&writer->waiting, (struct write){write, done, context, NULL});
    if (writer->waiting.count == 1) {
        (void)pthread_cond_signal(&writer->wake);
    }
    (void)pthread_mutex_unlock(&writer->mutex);
}

struct wait {
    store_write_fn *write;
    void *context;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t ended;
    bool is_done;
    enum status status;
    struct error error;
};

static enum status wait_write(struct sql *sql, void *context, struct error *error)
{
    struct wait *wait = context;
    return wait->write(sql, wait->context, error);
}

static void wait_done(void *context, enum status status, const struct error *error)
{
    struct wait *wait = context;
    (void)pthread_mutex_lock(&wait->mutex);
    wait->status = status;
    if (error) {
        wait->error = *error;
    }
    wait->is_done = true;
    (void)pthread_cond_signal(&wait->ended);
    (void)pthread_mutex_unlock(&wait->mutex);
}

enum status writer_add_wait(struct writer *writer, store_write_fn *write, void *context,
                            struct error *error)
{
    assert(!pthread_equal(pthread_self(), writer->thread));
    struct wait wait = {.write = write, .context = context};
    (void)pthread_mutex_init(&wait.mutex, NULL);
    (void)pthread_cond_init(&wait.ended, NULL);
    writer_add(writer, wait_write, wait_done, &wait);
    (void)pthread_mutex_lock(&wait.mutex);
    while (!wait.is_done) {
        (void)pthread_cond_wait(&wait.ended, &wait.mutex);
    }
    (void)pthread_mutex_unlock(&wait.mutex);
    (void)pthread_cond_destroy(&wait.ended);
    (void)pthread_mutex_destroy(&wait.mutex);
    if (wait.status != OK && error) {
        *error = wait.error;
    }
    return wait.status;
}

void writer_on_recover(struct writer *writer, store_write_fn *recover, void *context)
{
    (void)pthread_mutex_lock(&writer->mutex);
    assert(writer->recovery_count < RECOVERIES_MAX);
    writer->recoveries[writer->recovery_count++] = (struct write){recover, NULL, context, NULL};
    (void)pthread_mutex_unlock(&writer->mutex);
}

void writer_every(struct writer *writer, int64_t interval_us, store_write_fn *check, void *context)
{
    (void)pthread_mutex_lock(&writer->mutex);
    assert(writer->check_count < CHECKS_MAX && interval_us > 0);
    writer->checks[writer->check_count++] = (struct check){
        .write = {check, NULL, context, NULL},
        .interval_us = interval_us,
        .due_us = clock_steady_us() + interval_us,
    };
    (void)pthread_cond_signal(&writer->wake);
    (void)pthread_mutex_unlock(&writer->mutex);
}

struct store_figures writer_figures(struct writer *writer)
{
    return (struct store_figures){.commits = writer->commits, .writes = writer->writes};
}
