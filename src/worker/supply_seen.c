// Index sets over files that this worker sees by path, though not as the site sees them: each file is proven to be the registered one
// before its task. Where one is not, the whole data is fetched instead, once the tasks that run have gone back.
#include "worker/state.h"

#include "base/memory.h"
#include "os/file.h"
#include "os/log.h"
#include "sandbox/inputs.h"

#include <inttypes.h>

enum { LOOKED_AT_MAX = 100 };

// Where the file lies on this machine, if the data is seen; NULL: below none of its folders.
static char *place_of(const struct job_data *data, struct text path)
{
    for (size_t i = 0; i < data->root_count; i++) {
        const struct job_root *root = &data->roots[i];
        struct text mount = text_of(root->mount);
        if (mount.length == 0) {
            return root->is_folder ? memory_format("%s/%.*s", root->path, TEXT_ARGS(path))
                                   : memory_copy_string(root->path);
        }
        if (text_equal(path, mount)) {
            return memory_copy_string(root->path);
        }
        if (text_starts_with(path, mount) && path.bytes[mount.length] == '/') {
            return memory_format("%s%.*s", root->path,
                                 TEXT_ARGS(text_slice(path, mount.length, path.length)));
        }
    }
    return NULL;
}

static enum sight look(const struct job_data *data, const struct item_line *line,
                       struct file_mark *mark, struct error *why)
{
    AUTO_FREE char *source = place_of(data, line->path);
    AUTO_FREE char *path = text_copy(line->path);
    const struct job_data_file file = {.path = path,
                                       .source = source,
                                       .size = line->size,
                                       .modified_us = line->modified_us,
                                       .inode = line->inode};
    if (!source) {
        (void)error_set(why, INVALID, "input file %s/%.200s is in none of its folders", data->name,
                        path);
        return SIGHT_NONE;
    }
    enum sight sight = inputs_look(data, &file, mark, why);
    // Of size and time alone, other files have the same.
    return sight == SIGHT_SAME && line->inode == 0 ? SIGHT_DOUBTFUL : sight;
}

bool seen_items(const struct worker_job *job, const struct job_data *data)
{
    AUTO_BUFFER struct buffer lines = {0};
    struct items_cursor cursor = {0};
    int64_t next = 0;
    struct error error;
    int64_t first = job->spec->first_index;
    if (job->is_distrusted) {
        return false;
    }
    if (!job->items || item_list_read(job->items, &cursor, first, first + LOOKED_AT_MAX, ITEM_CHUNK,
                                      &lines, &next, &error) != OK) {
        return true; // There is nothing to look at; what is wrong is found where the items are fed.
    }
    struct text rest = buffer_text(&lines);
    for (struct text line; text_next_part(&rest, '\n', &line);) {
        struct item_line item;
        struct file_mark mark;
        if (line.length > 0 &&
            (!item_line_parse(line, &item) || look(data, &item, &mark, &error) == SIGHT_NONE)) {
            return false;
        }
    }
    return true;
}

// What lies here is not the data. Tasks that run saw files that were proven, but will not find theirs where the next ones do.
static void distrust(struct worker_job *job, const char *why)
{
    struct worker *worker = job->worker;
    log_line(LOG_LEVEL_WARNING, "event=data-differs job=%" PRId64 " detail=\"%s\"", job->spec->id,
             why);
    job->is_distrusted = true;
    job->is_prepared = false;
    for (size_t i = 0; i < worker->lease_count; i++) {
        const struct task_lease *lease = worker->leases[i];
        if (lease->job == job && lease->seat && !lease->seat->is_broken) {
            slot_send_cancel(lease->seat->slot, lease->id);
        }
    }
}

void seen_turn(struct worker_job *job)
{
    const struct worker *worker = job->worker;
    if (!job->is_distrusted || job->is_prepared || !job->item_data || job->item_data->is_fetched) {
        return;
    }
    for (size_t i = 0; i < worker->seat_count; i++) {
        if (worker->seats[i]->job == job && worker->seats[i]->lease_count > 0) {
            return;
        }
    }
    seats_remove_idle(job->worker, job);
    supply_end(job);
    supply_begin(job);
}

bool seen_order(struct task_lease *lease, const struct item_line *line)
{
    struct worker_job *job = lease->job;
    struct file_mark mark;
    struct digest digest;
    struct error why = {0};
    enum sight sight = look(job->item_data, line, &mark, &why);
    if (sight == SIGHT_DOUBTFUL && proofs_find(job->worker->proofs, &mark, &digest)) {
        sight = digest_equal(&digest, &line->digest) ? SIGHT_SAME : SIGHT_NONE;
    }
    if (sight == SIGHT_NONE) {
        distrust(job, why.detail);
        return false;
    }
    struct item_supply *item = NEW(struct item_supply);
    *item = (struct item_supply){.index = lease->items_next,
                                 .lease = lease,
                                 .is_seen = true,
                                 .is_doubtful = sight == SIGHT_DOUBTFUL,
                                 .mark = mark,
                                 .digest = line->digest,
                                 .size = line->size,
                                 .modified_us = file_mark_modified_us(&mark),
                                 .path = text_copy(line->path)};
    lease->items[lease->item_count++] = item;
    return true;
}

// The first doubtful file of the lease that has the fewest ready before it.
static struct item_supply *find_doubtful(const struct worker *worker)
{
    struct item_supply *found = NULL;
    for (size_t i = 0; i < worker->lease_count; i++) {
        const struct task_lease *lease = worker->leases[i];
        for (size_t j = 0; j < lease->item_count && lease->job->is_prepared; j++) {
            struct item_supply *item = lease->items[j];
            if (item->is_doubtful) {
                bool is_nearer =
                    !found || item->index - lease->done < found->index - found->lease->done;
                found = is_nearer ? item : found;
                break;
            }
        }
    }
    return found;
}

static enum proving_step read_on(struct item_supply *item, struct digest *digest)
{
    const struct job_data *data = item->lease->job->item_data;
    if (!proving_is_on(&item->proving)) {
        AUTO_CLOSE int fd = -1;
        AUTO_FREE char *source = place_of(data, text_of(item->path));
        const struct job_data_file file = {.path = item->path, .source = source};
        if (inputs_open(data, &file, &fd, NULL) != OK) {
            return PROVING_LOST;
        }
        proving_begin(&item->proving, &fd, &item->mark);
    }
    return proving_read(&item->proving, digest);
}

bool seen_prove(struct worker *worker)
{
    struct item_supply *item = find_doubtful(worker);
    struct digest digest;
    if (!item) {
        return false;
    }
    struct worker_job *job = item->lease->job;
    enum proving_step step = read_on(item, &digest);
    if (step == PROVING_DONE) {
        proofs_add(worker->proofs, &item->mark, &digest);
    }
    if (step == PROVING_DONE && digest_equal(&digest, &item->digest)) {
        item->is_doubtful = false;
    } else if (step != PROVING_ON) {
        AUTO_FREE char *why = memory_format("input file %s/%.200s is not the registered one",
                                            job->item_data->name, item->path);
        distrust(job, why);
    }
    return true;
}
