// Orders: whether one of the same is under way already, whether it may be and can be had, and then what makes it durable.
#include "transfer/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "policy/policy.h"
#include "transfer/transfer_sql.h"

#include <stdio.h>

// Those of the same dataset that were ordered before and go on; NULL: there is none.
struct same {
    struct transfer *ordering; // Its order is not durable yet.
    struct transfer *first;
    struct transfer *named; // The first that names a content.
};

// With the mutex held.
static struct same find_same(const struct transfers *transfers, const char *id)
{
    struct same same = {0};
    for (struct transfer *each = transfers->active; each; each = each->next) {
        if (each->is_cancelled || strcmp(each->id, id) != 0) {
            continue;
        }
        same.ordering = each->is_ordering ? each : same.ordering;
        same.first = same.first ? same.first : each;
        same.named = same.named || !each->wanted_content[0] ? same.named : each;
    }
    return same;
}

// What is ordered joins it; NULL: it is one of its own. What one without content brings may be other content than the named one.
static struct transfer *choose_same(const struct same *same, const char *content)
{
    return content[0] ? same->named : same->first;
}

static enum status check_same(const struct transfer *same, const char *content, struct error *error)
{
    if (!content[0] || strcmp(same->wanted_content, content) == 0) {
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

// With the mutex held.
static enum status check_guest(const struct transfers *transfers, struct text owner,
                               struct error *error)
{
    size_t count = 0;
    for (const struct transfer *each = transfers->active; each; each = each->next) {
        count += text_equal(guest_site(text_of(each->owner)), guest_site(owner));
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
    transfer->orders = 1;
    return transfer;
}

// Takes a place in the list for the transfer, or else writes the one that is there already: then *is_known. What others are ordering just now is
// waited for, as it may come to nothing, and nobody is told of what is not durable.
static enum status take_place(struct transfers *transfers, struct transfer *transfer, bool is_guest,
                              struct buffer *out, bool *is_known, struct error *error)
{
    struct same others = {0};
    enum status status = OK;
    transfers_lock(transfers);
    while ((others = find_same(transfers, transfer->id)).ordering) {
        (void)pthread_cond_wait(&transfers->changed, &transfers->mutex);
    }
    struct transfer *same = choose_same(&others, transfer->wanted_content);
    *is_known = same != NULL;
    if (same) {
        status = check_same(same, transfer->wanted_content, error);
    } else if (is_guest) {
        status = check_guest(transfers, text_of(transfer->owner), error);
    }
    if (status == OK && same) {
        same->orders += same->orders != TRANSFER_ORDERS_UNKNOWN ? 1 : 0;
        transfer_write(same, clock_steady_us(), out);
    } else if (status == OK) {
        if (others.first) {
            (void)snprintf(transfer->problem, sizeof transfer->problem,
                           "it waits for transfer %lld, which names no content",
                           (long long)others.first->number);
        }
        transfer->is_ordering = true;
        enlist(transfers, transfer);
    }
    transfers_unlock(transfers);
    return status;
}

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

// Finds out whether it can be had, and makes the order durable. *is_here: there is nothing to bring.
static enum status settle(struct transfers *transfers, struct transfer *transfer, bool *is_here,
                          struct error *error)
{
    TRY(copying_check(transfers, transfer, is_here, error));
    transfers_lock(transfers);
    if (*is_here) {
        transfer->state = TRANSFER_DONE;
        transfer->finished_us = transfer->ordered_us;
    }
    transfer->number = ++transfers->last_number;
    transfers_unlock(transfers);
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
        transfer_free(transfer);
        return status;
    }
    status = settle(transfers, transfer, &is_here, error);
    bool is_over = status != OK || is_here;
    transfers_lock(transfers);
    transfer->is_ordering = false;
    if (status == OK) {
        transfer_write(transfer, clock_steady_us(), out);
    }
    if (is_over) {
        transfer_take_off(transfers, transfer);
    }
    (void)pthread_cond_broadcast(&transfers->changed);
    transfers_unlock(transfers);
    if (is_over) {
        transfer_free(transfer);
    }
    return status;
}
