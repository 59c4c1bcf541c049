// Index sets over files: the file of each task is fetched ahead of it, or proven where it lies (supply_seen.c), and given up behind it.
#include "worker/state.h"

#include "base/memory.h"
#include "os/file.h"
#include "sandbox/inputs.h"

#include <inttypes.h>
#include <stdio.h>

static char *link_path(const struct item_supply *item)
{
    const struct worker_job *job = item->lease->job;
    return memory_format("%s/" INPUTS_FETCHED "/%s/%s", job->folder, job->item_data->name,
                         item->path);
}

static enum status keep_item(struct item_supply *item, struct error *error)
{
    AUTO_FREE char *path = link_path(item);
    AUTO_FREE char *folder = memory_copy_string(path);
    *strrchr(folder, '/') = '\0';
    TRY(file_make_folder(folder, error));
    return input_cache_link(item->lease->job->worker->input_cache, &item->digest, path,
                            &item->modified_us, error);
}

static void on_item(void *context, enum status status, const struct error *error)
{
    struct item_supply *item = context;
    struct error fault = {0};
    item->fetch = NULL;
    if (status != OK) {
        fault = *error;
    } else {
        status = keep_item(item, &fault);
    }
    if (status != OK) {
        item->fault = fault;
        item->fault.status = status;
        item->outcome = status == INVALID ? OUTCOME_INPUT : OUTCOME_WORKER;
    }
}

static void free_item(struct item_supply *item)
{
    struct worker *worker = item->lease->job->worker;
    proving_stop(&item->proving);
    if (item->fetch) {
        fetch_cancel(item->fetch);
    }
    if (!item->is_seen) {
        AUTO_FREE char *path = link_path(item);
        (void)unlink(path);
        worker->pinned_bytes -= item->size;
    }
    free(item->path);
    free(item);
}

void supply_drop_items(struct task_lease *lease, int64_t to)
{
    size_t dropped = 0;
    while (dropped < lease->item_count && lease->items[dropped]->index < to) {
        free_item(lease->items[dropped++]);
    }
    lease->item_count -= dropped;
    for (size_t i = 0; i < lease->item_count; i++) {
        lease->items[i] = lease->items[i + dropped];
    }
}

const struct item_supply *supply_failed_item(const struct task_lease *lease, int64_t index)
{
    for (size_t i = 0; i < lease->item_count; i++) {
        if (lease->items[i]->index == index && lease->items[i]->fault.status != OK) {
            return lease->items[i];
        }
    }
    return NULL;
}

static void fail_feeding(struct task_lease *lease, const struct error *error)
{
    slot_send_cancel(lease->seat->slot, lease->id);
    lease->is_unfed = true;
    lease->job->fault = *error;
    lease->job->fault_outcome = OUTCOME_WORKER;
}

static void order_item(struct task_lease *lease, const struct item_line *line)
{
    struct worker_job *job = lease->job;
    struct item_supply *item = NEW(struct item_supply);
    *item = (struct item_supply){.index = lease->items_next,
                                 .lease = lease,
                                 .digest = line->digest,
                                 .size = line->size,
                                 .path = text_copy(line->path)};
    job->worker->pinned_bytes += line->size;
    lease->items[lease->item_count++] = item;
    const struct fetch_order order = {.digest = line->digest,
                                      .size = line->size,
                                      .modified_us = line->modified_us,
                                      .job = job->spec->id,
                                      .data = job->item_data->name,
                                      .path = item->path};
    item->fetch = fetches_order(job->worker->fetches, &order, on_item, item);
}

// Is there room for one more? For the first of a lease there always is: it must go on.
static bool has_room(const struct task_lease *lease, int64_t size)
{
    const struct worker *worker = lease->job->worker;
    return lease->item_count == 0 ||
           size <= input_cache_size_max(worker->input_cache) - worker->pinned_bytes;
}

// Orders the file of the next task. False when there is none, or no room, or the items cannot be read, or it is not what lies here.
static bool order_next(struct task_lease *lease)
{
    AUTO_BUFFER struct buffer lines = {0};
    struct error error;
    struct item_line line;
    int64_t next = 0;
    int64_t first = lease->job->spec->first_index;
    struct items_cursor cursor = lease->cursor;
    if (lease->items_next >= lease->to || lease->item_count == SUPPLY_ORDERS_MAX) {
        return false;
    }
    if (item_list_read(lease->job->items, &cursor, first + lease->items_next,
                       first + lease->items_next + 1, 1, &lines, &next, &error) != OK) {
        fail_feeding(lease, &error);
        return false;
    }
    struct text text = text_slice(buffer_text(&lines), 0, lines.length - 1);
    if (!item_line_parse(text, &line)) {
        (void)error_set(&error, CORRUPT, "the list of input files has the line \"%.*s\"",
                        TEXT_ARGS(text_slice(text, 0, 100)));
        fail_feeding(lease, &error);
        return false;
    }
    if (!lease->job->item_data->is_fetched) {
        if (!seen_order(lease, &line)) {
            return false;
        }
    } else if (has_room(lease, line.size)) {
        order_item(lease, &line);
    } else {
        return false;
    }
    lease->cursor = cursor;
    lease->items_next++;
    return true;
}

static void send_item(struct task_lease *lease, struct item_supply *item)
{
    AUTO_BUFFER struct buffer line = {0};
    char digest[DIGEST_TEXT_SIZE];
    const char *digits = digest_to_text(&item->digest, digest) + sizeof "sha256:" - 1;
    buffer_printf(&line, "%s %" PRId64 " %" PRId64 " %s\n", digits, item->size, item->modified_us,
                  item->path);
    slot_send_items(lease->seat->slot, lease->id, buffer_text(&line));
    item->is_sent = true;
}

void supply_feed_items(struct task_lease *lease)
{
    supply_drop_items(lease, lease->done);
    if (!lease->seat || lease->is_dead || lease->is_unfed || !lease->job->items ||
        !lease->job->is_prepared) {
        return;
    }
    while (order_next(lease)) {
    }
    for (size_t i = 0; i < lease->item_count && lease->seat && lease->job->is_prepared; i++) {
        struct item_supply *item = lease->items[i];
        if (item->fetch || item->is_doubtful) {
            break; // The runner gets them in order.
        }
        if (!item->is_sent) {
            send_item(lease, item);
        }
    }
}
