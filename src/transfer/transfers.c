// Transfers on order, some at a time: taken up after a restart, tried again with growing pauses, told of to those who wait.
#include "transfer/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/thread.h"
#include "transfer/transfer_sql.h"

#include <stdio.h>

enum {
    BACK_OFF_FIRST_US = 250000,
    BACK_OFF_MAX_US = 30000000,
    LOOK_US = 200000, // How often progress is looked at for those who wait.
    LIST_MAX = 1000,
};

void transfer_free(struct transfer *transfer)
{
    free(transfer->id);
    free(transfer->owner);
    free(transfer->wanted_site);
    free(transfer->wanted_content);
    free(transfer);
}

static struct transfer *read_row(const struct sql_rows *rows)
{
    struct transfer *transfer = NEW(struct transfer);
    transfer->number = sql_column_int64(rows, 0);
    transfer->id = text_copy(sql_column_text(rows, 1));
    transfer->owner = text_copy(sql_column_text(rows, 2));
    transfer->wanted_site = text_copy(sql_column_text(rows, 3));
    transfer->state = (enum transfer_state)sql_column_int64(rows, 4);
    (void)snprintf(transfer->source, sizeof transfer->source, "%.*s",
                   TEXT_ARGS(sql_column_text(rows, 5)));
    (void)snprintf(transfer->problem, sizeof transfer->problem, "%.*s",
                   TEXT_ARGS(sql_column_text(rows, 6)));
    transfer->files_total = sql_column_int64(rows, 7);
    transfer->bytes_total = sql_column_int64(rows, 8);
    transfer->ordered_us = sql_column_int64(rows, 9);
    transfer->finished_us = sql_column_int64(rows, 10);
    transfer->wanted_content = text_copy(sql_column_text(rows, 11));
    return transfer;
}

// --- the database

static enum status run_update(struct sql *sql, void *context, struct error *error)
{
    const struct transfer *transfer = context;
    return sql_run(sql, SQL_TRANSFER_UPDATE,
                   SQL_VALUES(sql_int64(transfer->number), sql_int64(transfer->state),
                              sql_text(text_of(transfer->source)),
                              sql_text(text_of(transfer->problem)),
                              sql_int64(transfer->files_total), sql_int64(transfer->bytes_total),
                              sql_int64(transfer->finished_us)),
                   NULL, error);
}

static enum status load(struct transfers *transfers, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(transfers->store, &sql, error));
    struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_TRANSFER_LAST, SQL_NO_VALUES, &rows, error);
    if (status == OK) {
        transfers->last_number = sql_column_int64(rows, 0);
        sql_end(TAKE(rows));
        status = sql_query(sql, SQL_TRANSFER_ACTIVE, SQL_NO_VALUES, &rows, error);
    }
    for (struct transfer **at = &transfers->active;
         status == OK && sql_next(rows, &status, error);) {
        *at = read_row(rows);
        (*at)->state = TRANSFER_WAITING;
        at = &(*at)->next;
    }
    sql_end(rows);
    store_read_end(transfers->store, sql);
    return status;
}

// --- what is shown, and telling of it

// With the mutex held: writes the problem as it is shown.
static void set_problem(struct transfer *transfer, const struct error *problem)
{
    transfer->problem[0] = '\0';
    if (problem) {
        (void)snprintf(transfer->problem, sizeof transfer->problem, "%s%s%s", problem->detail,
                       problem->fix[0] ? "; " : "", problem->fix);
    }
}

void transfer_note(struct transfers *transfers, struct transfer *transfer,
                   enum transfer_state state, const char *source, const struct error *problem)
{
    transfers_lock(transfers);
    transfer->state = state;
    transfer->version++;
    if (source) {
        (void)snprintf(transfer->source, sizeof transfer->source, "%s", source);
    }
    set_problem(transfer, problem);
    (void)pthread_cond_broadcast(&transfers->changed);
    transfers_unlock(transfers);
}

static struct transfer *find_active(struct transfers *transfers, int64_t number)
{
    struct transfer *transfer = transfers->active;
    while (transfer && transfer->number != number) {
        transfer = transfer->next;
    }
    return transfer;
}

// With the mutex held: those to be woken, off the list.
static struct transfer_waiter *take_due(struct transfers *transfers, int64_t now_us)
{
    struct transfer_waiter *due = NULL;
    for (struct transfer_waiter **at = &transfers->waiters; *at;) {
        struct transfer_waiter *waiter = *at;
        const struct transfer *transfer = find_active(transfers, waiter->number);
        bool is_due = transfers->is_waking_all || !transfer ||
                      transfer->version > waiter->version || waiter->deadline_us <= now_us;
        if (is_due) {
            *at = waiter->next;
            waiter->next = due;
            due = waiter;
        } else {
            at = &waiter->next;
        }
    }
    return due;
}

static void wait_us(struct transfers *transfers, int64_t duration_us)
{
    (void)condition_wait_until(&transfers->changed, &transfers->mutex,
                               clock_steady_us() + duration_us);
}

static void *run_waker(void *context)
{
    struct transfers *transfers = context;
    transfers_lock(transfers);
    while (!transfers->is_stopping) {
        struct transfer_waiter *due = take_due(transfers, clock_steady_us());
        transfers_unlock(transfers);
        while (due) {
            struct transfer_waiter *waiter = due;
            due = waiter->next;
            waiter->wake(waiter->context);
            free(waiter);
        }
        transfers_lock(transfers);
        if (!transfers->is_stopping) {
            wait_us(transfers, LOOK_US);
        }
    }
    transfers_unlock(transfers);
    return NULL;
}

// --- the threads that copy

static int64_t back_off_us(int fruitless)
{
    int64_t most = BACK_OFF_FIRST_US;
    for (int i = 0; i < fruitless && most < BACK_OFF_MAX_US; i++) {
        most *= 2;
    }
    uint32_t random = 0;
    random_fill(&random, sizeof random);
    most = most < BACK_OFF_MAX_US ? most : BACK_OFF_MAX_US;
    return most / 2 + (int64_t)random % (most / 2 + 1);
}

bool transfer_is_hopeless(int fruitless, int64_t fruitless_us, enum status status)
{
    bool is_away = status == UNAVAILABLE || status == TIMEOUT || status == NOT_FOUND;
    return is_away ? fruitless_us >= TRANSFER_PATIENCE_US : fruitless >= TRANSFER_FRUITLESS_MAX;
}

// With the mutex held: is one of the same dataset being copied? They would share a folder, and it decides whether there is anything left to do.
static bool has_running_same(const struct transfers *transfers, const struct transfer *transfer)
{
    for (const struct transfer *each = transfers->active; each; each = each->next) {
        if (each != transfer && each->is_running && strcmp(each->id, transfer->id) == 0) {
            return true;
        }
    }
    return false;
}

// With the mutex held: the first one whose time has come; else *wait_for_us until one's has.
static struct transfer *take_next(struct transfers *transfers, int64_t *wait_for_us)
{
    int64_t now_us = clock_steady_us();
    *wait_for_us = BACK_OFF_MAX_US;
    for (struct transfer *each = transfers->active; each; each = each->next) {
        if (each->is_running || each->is_ordering ||
            (!each->is_cancelled && has_running_same(transfers, each))) {
            continue;
        }
        if (each->next_try_us <= now_us || each->is_cancelled) {
            each->is_running = true;
            return each;
        }
        int64_t left_us = each->next_try_us - now_us;
        *wait_for_us = left_us < *wait_for_us ? left_us : *wait_for_us;
    }
    return NULL;
}

void transfer_take_off(struct transfers *transfers, const struct transfer *transfer)
{
    struct transfer **at = &transfers->active;
    while (*at != transfer) {
        at = &(*at)->next;
    }
    *at = transfer->next;
}

static void try_again_later(struct transfers *transfers, struct transfer *transfer,
                            const struct error *problem)
{
    transfer_note(transfers, transfer, TRANSFER_WAITING, NULL, problem);
    transfers_lock(transfers);
    transfer->is_running = false;
    transfer->is_ending = false;
    transfer->next_try_us = clock_steady_us() + back_off_us(transfer->fruitless);
    (void)pthread_cond_broadcast(&transfers->changed);
    transfers_unlock(transfers);
}

// It has ended: durable first, then off the list. When the end cannot be written, it is found out anew later.
static void end_transfer(struct transfers *transfers, struct transfer *transfer,
                         enum transfer_state state, const struct error *problem)
{
    struct error error;
    struct transfer ended;
    transfers_lock(transfers);
    transfer->is_ending = true;
    memcpy(&ended, transfer, sizeof ended);
    transfers_unlock(transfers);
    ended.state = state;
    ended.finished_us = clock_real_us();
    set_problem(&ended, problem);
    if (store_write_wait(transfers->store, run_update, &ended, &error) != OK) {
        try_again_later(transfers, transfer, &error);
        return;
    }
    transfers_lock(transfers);
    transfer_take_off(transfers, transfer);
    (void)pthread_cond_broadcast(&transfers->changed);
    transfers_unlock(transfers);
    transfer_free(transfer);
}

static void run_transfer(struct transfers *transfers, struct transfer *transfer)
{
    struct error error = {0};
    int64_t had = atomic_load(&transfer->bytes_done) + atomic_load(&transfer->files_done);
    enum status status = CONFLICT;
    if (!transfer->is_cancelled) {
        status = copying_run(transfers, transfer, &error);
    }
    bool is_better = atomic_load(&transfer->bytes_done) + atomic_load(&transfer->files_done) > had;
    int64_t now_us = clock_steady_us();
    transfer->fruitless = is_better ? 0 : transfer->fruitless + 1;
    transfer->fruitless_since_us =
        is_better || transfer->fruitless_since_us == 0 ? now_us : transfer->fruitless_since_us;
    int64_t fruitless_us = now_us - transfer->fruitless_since_us;
    if (status == OK) {
        end_transfer(transfers, transfer, TRANSFER_DONE, NULL);
    } else if (transfer->is_cancelled) {
        end_transfer(transfers, transfer, TRANSFER_CANCELLED, NULL);
    } else if (transfer->is_in_question ||
               transfer_is_hopeless(transfer->fruitless, fruitless_us, status)) {
        end_transfer(transfers, transfer, TRANSFER_FAILED, &error);
    } else {
        try_again_later(transfers, transfer, &error);
    }
}

static void *run_copier(void *context)
{
    struct transfers *transfers = context;
    transfers_lock(transfers);
    while (!transfers->is_stopping) {
        int64_t wait_for_us = 0;
        struct transfer *transfer = take_next(transfers, &wait_for_us);
        if (!transfer) {
            wait_us(transfers, wait_for_us);
            continue;
        }
        transfers_unlock(transfers);
        run_transfer(transfers, transfer);
        transfers_lock(transfers);
    }
    transfers_unlock(transfers);
    return NULL;
}

// --- from outside

static enum status start_threads(struct transfers *transfers, struct error *error)
{
    TRY(load(transfers, error));
    for (size_t i = 0; i <= TRANSFERS_ACTIVE_MAX; i++) {
        TRY(thread_start(&transfers->threads[i], i < TRANSFERS_ACTIVE_MAX ? "transfer" : "waker",
                         i < TRANSFERS_ACTIVE_MAX ? run_copier : run_waker, transfers, error));
        transfers->thread_count++;
    }
    return OK;
}

enum status transfers_open(const struct transfers_options *options, struct transfers **out,
                           struct error *error)
{
    struct transfers *transfers = NEW(struct transfers);
    transfers->store = options->store;
    transfers->directory = memory_copy_string(options->directory);
    transfers->ops = options->ops;
    transfers->context = options->context;
    (void)pthread_mutex_init(&transfers->mutex, NULL);
    condition_init(&transfers->changed);
    replicas_remove_left(transfers);
    enum status status = start_threads(transfers, error);
    if (status != OK) {
        transfers_close(transfers);
        return status;
    }
    *out = transfers;
    return OK;
}

void transfers_close(struct transfers *transfers)
{
    if (!transfers) {
        return;
    }
    transfers_lock(transfers);
    transfers->is_stopping = true;
    (void)pthread_cond_broadcast(&transfers->changed);
    transfers_unlock(transfers);
    for (size_t i = 0; i < transfers->thread_count; i++) {
        (void)pthread_join(transfers->threads[i], NULL);
    }
    while (transfers->active) {
        struct transfer *transfer = transfers->active;
        transfers->active = transfer->next;
        transfer_free(transfer);
    }
    while (transfers->waiters) {
        struct transfer_waiter *waiter = transfers->waiters;
        transfers->waiters = waiter->next;
        free(waiter);
    }
    (void)pthread_cond_destroy(&transfers->changed);
    (void)pthread_mutex_destroy(&transfers->mutex);
    free(transfers->directory);
    free(transfers);
}

// A document of a row; what has not ended is in memory with its progress.
static void write_row(struct transfers *transfers, const struct sql_rows *rows, struct buffer *out)
{
    struct transfer *row = read_row(rows);
    transfers_lock(transfers);
    const struct transfer *active = find_active(transfers, row->number);
    transfer_write(active ? active : row, clock_steady_us(), out);
    transfers_unlock(transfers);
    transfer_free(row);
}

enum status transfers_show(struct transfers *transfers, int64_t number, struct buffer *out,
                           struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    TRY(store_read_begin(transfers->store, &sql, error));
    enum status status =
        sql_first(sql, SQL_TRANSFER_SHOW, SQL_VALUES(sql_int64(number)), &rows, error);
    if (status == OK) {
        write_row(transfers, rows, out);
    } else if (status == NOT_FOUND) {
        (void)error_set(error, NOT_FOUND, "there is no transfer %lld", (long long)number);
        error_fix(error, "lode transfers lists them");
    }
    sql_end(rows);
    store_read_end(transfers->store, sql);
    return status;
}

enum status transfers_list(struct transfers *transfers, int64_t before, int64_t limit,
                           struct buffer *out, struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    int64_t most = limit < LIST_MAX ? limit : LIST_MAX;
    int64_t last = 0;
    int64_t count = 0;
    bool is_more = false;
    TRY(store_read_begin(transfers->store, &sql, error));
    enum status status = sql_query(
        sql, SQL_TRANSFER_LIST,
        SQL_VALUES(sql_int64(before > 0 ? before : INT64_MAX), sql_int64(most + 1)), &rows, error);
    buffer_append_string(out, "{\"transfers\":[");
    while (status == OK && !is_more && sql_next(rows, &status, error)) {
        is_more = count == most;
        if (!is_more) {
            buffer_append_string(out, count++ > 0 ? "," : "");
            write_row(transfers, rows, out);
            last = sql_column_int64(rows, 0);
        }
    }
    if (is_more) {
        buffer_printf(out, "],\"next\":\"%lld\"}\n", (long long)last);
    } else {
        buffer_append_string(out, "],\"next\":null}\n");
    }
    sql_end(rows);
    store_read_end(transfers->store, sql);
    return status;
}

// With the mutex held, so that nobody joins it meanwhile. False: it has ended, or its end is being written.
static bool cancel_active(struct transfers *transfers, struct transfer *transfer)
{
    if (!transfer || transfer->is_ending) {
        return false;
    }
    transfer->is_cancelled = true;
    (void)pthread_cond_broadcast(&transfers->changed);
    return true;
}

static enum status say_ended(struct transfers *transfers, int64_t number, struct error *error)
{
    AUTO_BUFFER struct buffer document = {0};
    TRY(transfers_show(transfers, number, &document, error));
    (void)error_set(error, CONFLICT, "transfer %lld has ended", (long long)number);
    error_fix(error, "lode data remove takes a replica out of the catalogue");
    return CONFLICT;
}

enum status transfers_take_back(struct transfers *transfers, int64_t number, struct error *error)
{
    transfers_lock(transfers);
    struct transfer *transfer = find_active(transfers, number);
    bool is_shared = transfer && transfer->orders != 1; // By others too, or it may be.
    if (is_shared && transfer->orders != TRANSFER_ORDERS_UNKNOWN) {
        transfer->orders--;
    }
    bool is_cancelled = !is_shared && cancel_active(transfers, transfer);
    transfers_unlock(transfers);
    return is_shared || is_cancelled ? OK : say_ended(transfers, number, error);
}

enum status transfers_cancel(struct transfers *transfers, int64_t number, struct error *error)
{
    transfers_lock(transfers);
    bool is_cancelled = cancel_active(transfers, find_active(transfers, number));
    transfers_unlock(transfers);
    return is_cancelled ? OK : say_ended(transfers, number, error);
}

void transfers_watch(struct transfers *transfers, int64_t number, int64_t version,
                     int64_t deadline_us, void (*wake)(void *context), void *context)
{
    struct transfer_waiter *waiter = NEW(struct transfer_waiter);
    *waiter = (struct transfer_waiter){.number = number,
                                       .version = version,
                                       .deadline_us = deadline_us,
                                       .wake = wake,
                                       .context = context};
    transfers_lock(transfers);
    waiter->next = transfers->waiters;
    transfers->waiters = waiter;
    (void)pthread_cond_broadcast(&transfers->changed);
    transfers_unlock(transfers);
}

void transfers_wake_all(struct transfers *transfers)
{
    transfers_lock(transfers);
    transfers->is_waking_all = true;
    (void)pthread_cond_broadcast(&transfers->changed);
    transfers_unlock(transfers);
}
