// Transfers on order, some at a time: taken up after a restart, tried again with growing pauses, told of to those who wait.
#include "transfer/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/thread.h"
#include "transfer/transfer_sql.h"

#include <stdio.h>

enum {
    FRUITLESS_MAX = 8, // So many attempts in a row without any progress end a transfer.
    BACK_OFF_FIRST_US = 250000,
    BACK_OFF_MAX_US = 30000000,
    LOOK_US = 200000, // How often progress is looked at for those who wait.
    LIST_MAX = 1000,
};

static void lock(struct transfers *transfers)
{
    (void)pthread_mutex_lock(&transfers->mutex);
}

static void unlock(struct transfers *transfers)
{
    (void)pthread_mutex_unlock(&transfers->mutex);
}

static void free_transfer(struct transfer *transfer)
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

static enum status run_insert(struct sql *sql, void *context, struct error *error)
{
    const struct transfer *transfer = context;
    return sql_run(
        sql, SQL_TRANSFER_INSERT,
        SQL_VALUES(sql_int64(transfer->number), sql_blob(transfer->id, strlen(transfer->id)),
                   sql_text(text_of(transfer->owner)), sql_text(text_of(transfer->wanted_site)),
                   sql_int64(transfer->state), sql_text(text_of(transfer->source)),
                   sql_text(text_of(transfer->problem)), sql_int64(transfer->files_total),
                   sql_int64(transfer->bytes_total), sql_int64(transfer->ordered_us),
                   sql_int64(transfer->finished_us), sql_text(text_of(transfer->wanted_content))),
        NULL, error);
}

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
    lock(transfers);
    transfer->state = state;
    transfer->version++;
    if (source) {
        (void)snprintf(transfer->source, sizeof transfer->source, "%s", source);
    }
    set_problem(transfer, problem);
    (void)pthread_cond_broadcast(&transfers->changed);
    unlock(transfers);
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
    lock(transfers);
    while (!transfers->is_stopping) {
        struct transfer_waiter *due = take_due(transfers, clock_steady_us());
        unlock(transfers);
        while (due) {
            struct transfer_waiter *waiter = due;
            due = waiter->next;
            waiter->wake(waiter->context);
            free(waiter);
        }
        lock(transfers);
        if (!transfers->is_stopping) {
            wait_us(transfers, LOOK_US);
        }
    }
    unlock(transfers);
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

// With the mutex held: the first one whose time has come; else *wait_for_us until one's has.
static struct transfer *take_next(struct transfers *transfers, int64_t *wait_for_us)
{
    int64_t now_us = clock_steady_us();
    *wait_for_us = BACK_OFF_MAX_US;
    for (struct transfer *each = transfers->active; each; each = each->next) {
        if (each->is_running || each->is_ordering) {
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

static void take_off(struct transfers *transfers, const struct transfer *transfer)
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
    lock(transfers);
    transfer->is_running = false;
    transfer->is_ending = false;
    transfer->next_try_us = clock_steady_us() + back_off_us(transfer->fruitless);
    unlock(transfers);
}

// It has ended: durable first, then off the list. When the end cannot be written, it is found out anew later.
static void end_transfer(struct transfers *transfers, struct transfer *transfer,
                         enum transfer_state state, const struct error *problem)
{
    struct error error;
    struct transfer ended;
    lock(transfers);
    transfer->is_ending = true;
    memcpy(&ended, transfer, sizeof ended);
    unlock(transfers);
    ended.state = state;
    ended.finished_us = clock_real_us();
    set_problem(&ended, problem);
    if (store_write_wait(transfers->store, run_update, &ended, &error) != OK) {
        try_again_later(transfers, transfer, &error);
        return;
    }
    lock(transfers);
    take_off(transfers, transfer);
    (void)pthread_cond_broadcast(&transfers->changed);
    unlock(transfers);
    free_transfer(transfer);
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
    transfer->fruitless = is_better ? 0 : transfer->fruitless + 1;
    if (status == OK) {
        end_transfer(transfers, transfer, TRANSFER_DONE, NULL);
    } else if (transfer->is_cancelled) {
        end_transfer(transfers, transfer, TRANSFER_CANCELLED, NULL);
    } else if (transfer->fruitless >= FRUITLESS_MAX || transfer->is_in_question) {
        end_transfer(transfers, transfer, TRANSFER_FAILED, &error);
    } else {
        try_again_later(transfers, transfer, &error);
    }
}

static void *run_copier(void *context)
{
    struct transfers *transfers = context;
    lock(transfers);
    while (!transfers->is_stopping) {
        int64_t wait_for_us = 0;
        struct transfer *transfer = take_next(transfers, &wait_for_us);
        if (!transfer) {
            wait_us(transfers, wait_for_us);
            continue;
        }
        unlock(transfers);
        run_transfer(transfers, transfer);
        lock(transfers);
    }
    unlock(transfers);
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
    lock(transfers);
    transfers->is_stopping = true;
    (void)pthread_cond_broadcast(&transfers->changed);
    unlock(transfers);
    for (size_t i = 0; i < transfers->thread_count; i++) {
        (void)pthread_join(transfers->threads[i], NULL);
    }
    while (transfers->active) {
        struct transfer *transfer = transfers->active;
        transfers->active = transfer->next;
        free_transfer(transfer);
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

// With the mutex held: one of the same dataset that was ordered before and goes on; NULL: there is none.
static const struct transfer *find_same(const struct transfers *transfers, const char *id)
{
    const struct transfer *each = transfers->active;
    while (each && (each->is_cancelled || strcmp(each->id, id) != 0)) {
        each = each->next;
    }
    return each;
}

static enum status check_same(const struct transfer *same, const char *content, struct error *error)
{
    if (!content[0] || !same->wanted_content[0] || strcmp(same->wanted_content, content) == 0) {
        return OK;
    }
    (void)error_set(error, CONFLICT, "transfer %lld brings other content of %.200s, %s",
                    (long long)same->number, same->id, same->wanted_content);
    error_fix(error, "wait for its end, or cancel it: lode transfers cancel %lld",
              (long long)same->number);
    return CONFLICT;
}

static void enlist(struct transfers *transfers, struct transfer *transfer)
{
    struct transfer **at = &transfers->active;
    while (*at) {
        at = &(*at)->next;
    }
    *at = transfer;
}

// The digits of the site in the name of a user of another one.
static struct text site_of(struct text owner)
{
    size_t at = owner.length;
    while (at > 0 && owner.bytes[at - 1] != '@') {
        at--;
    }
    return text_slice(owner, at, owner.length);
}

// With the mutex held.
static enum status check_guest(const struct transfers *transfers, struct text owner,
                               struct error *error)
{
    size_t count = 0;
    for (const struct transfer *each = transfers->active; each; each = each->next) {
        count += text_equal(site_of(text_of(each->owner)), site_of(owner));
    }
    if (count < TRANSFERS_GUEST_MAX) {
        return OK;
    }
    (void)error_set(error, QUOTA, "users of your site have %zu copies on order here; at most %d",
                    count, TRANSFERS_GUEST_MAX);
    error_fix(error, "wait until some have come, or end some: lode transfers shows them");
    return QUOTA;
}

static struct transfer *new_transfer(const struct transfer_request *request)
{
    char content[DIGEST_TEXT_SIZE] = "";
    struct transfer *transfer = NEW(struct transfer);
    if (request->content) {
        (void)digest_to_text(request->content, content);
    }
    transfer->id = text_copy(request->id);
    transfer->owner = text_copy(request->owner);
    transfer->wanted_site = memory_copy_string(request->from ? request->from->text : "");
    transfer->wanted_content = memory_copy_string(content);
    transfer->ordered_us = clock_real_us();
    return transfer;
}

// Takes a place in the list for the transfer, or else writes the one that is there already: then *is_known. What others are ordering just now is
// waited for, as it may come to nothing, and nobody is told of what is not durable.
static enum status take_place(struct transfers *transfers, struct transfer *transfer, bool is_guest,
                              struct buffer *out, bool *is_known, struct error *error)
{
    const struct transfer *same = NULL;
    enum status status = OK;
    lock(transfers);
    while ((same = find_same(transfers, transfer->id)) && same->is_ordering) {
        (void)pthread_cond_wait(&transfers->changed, &transfers->mutex);
    }
    *is_known = same != NULL;
    if (same) {
        status = check_same(same, transfer->wanted_content, error);
    } else if (is_guest) {
        status = check_guest(transfers, text_of(transfer->owner), error);
    }
    if (status == OK && same) {
        transfer_write(same, clock_steady_us(), out);
    } else if (status == OK) {
        transfer->is_ordering = true;
        enlist(transfers, transfer);
    }
    unlock(transfers);
    return status;
}

// Finds out whether it can be had, and makes the order durable. *is_here: there is nothing to bring.
static enum status settle(struct transfers *transfers, struct transfer *transfer, bool *is_here,
                          struct error *error)
{
    TRY(copying_check(transfers, transfer, is_here, error));
    lock(transfers);
    if (*is_here) {
        transfer->state = TRANSFER_DONE;
        transfer->finished_us = transfer->ordered_us;
    }
    transfer->number = ++transfers->last_number;
    unlock(transfers);
    return store_write_wait(transfers->store, run_insert, transfer, error);
}

enum status transfers_order(struct transfers *transfers, const struct transfer_request *request,
                            struct buffer *out, struct error *error)
{
    bool is_known = false;
    bool is_here = false;
    struct transfer *transfer = new_transfer(request);
    enum status status = take_place(transfers, transfer, request->is_guest, out, &is_known, error);
    if (status != OK || is_known) {
        free_transfer(transfer);
        return status;
    }
    status = settle(transfers, transfer, &is_here, error);
    bool is_over = status != OK || is_here;
    lock(transfers);
    transfer->is_ordering = false;
    if (status == OK) {
        transfer_write(transfer, clock_steady_us(), out);
    }
    if (is_over) {
        take_off(transfers, transfer);
    }
    (void)pthread_cond_broadcast(&transfers->changed);
    unlock(transfers);
    if (is_over) {
        free_transfer(transfer);
    }
    return status;
}

// A document of a row; what has not ended is in memory with its progress.
static void write_row(struct transfers *transfers, const struct sql_rows *rows, struct buffer *out)
{
    struct transfer *row = read_row(rows);
    lock(transfers);
    const struct transfer *active = find_active(transfers, row->number);
    transfer_write(active ? active : row, clock_steady_us(), out);
    unlock(transfers);
    free_transfer(row);
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

enum status transfers_cancel(struct transfers *transfers, int64_t number, struct error *error)
{
    lock(transfers);
    struct transfer *transfer = find_active(transfers, number);
    if (transfer && transfer->is_ending) {
        transfer = NULL; // Its end is being written.
    }
    if (transfer) {
        transfer->is_cancelled = true;
        (void)pthread_cond_broadcast(&transfers->changed);
    }
    unlock(transfers);
    if (transfer) {
        return OK;
    }
    AUTO_BUFFER struct buffer document = {0};
    TRY(transfers_show(transfers, number, &document, error));
    (void)error_set(error, CONFLICT, "transfer %lld has ended", (long long)number);
    error_fix(error, "lode data remove takes a replica out of the catalogue");
    return CONFLICT;
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
    lock(transfers);
    waiter->next = transfers->waiters;
    transfers->waiters = waiter;
    (void)pthread_cond_broadcast(&transfers->changed);
    unlock(transfers);
}

void transfers_wake_all(struct transfers *transfers)
{
    lock(transfers);
    transfers->is_waking_all = true;
    (void)pthread_cond_broadcast(&transfers->changed);
    unlock(transfers);
}
