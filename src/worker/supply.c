// Data of a job that this worker does not see by path: proof of what lies here, and what is fetched before the job's tasks can run.
//
// A dataset is seen as a whole or fetched as a whole. Its fetched files are hard links of the cache's, in the job's folder: what a job
// holds cannot be removed under it. A job gets room for all it needs at once, so that no two wait for each other.
#include "worker/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "sandbox/inputs.h"

#include <inttypes.h>
#include <stdio.h>

enum { TOLD_MAX = 64 }; // Files of a job that a site is told of again.
#define NOTE_PAUSE_US INT64_C(1000000)
#define MEGABYTE 1e6

// Is it here, as far as can be said without reading it? Notes the proof of what was read before.
static enum sight sight_of_file(const struct worker *worker, const struct job_data *data,
                                struct job_data_file *file)
{
    struct error why;
    struct digest digest;
    enum sight sight = inputs_look(data, file, &file->proof, &why);
    file->is_proven = false;
    if (sight != SIGHT_DOUBTFUL) {
        return sight;
    }
    if (!file->has_digest) {
        return SIGHT_NONE;
    }
    if (!proofs_find(worker->proofs, &file->proof, &digest)) {
        return SIGHT_DOUBTFUL;
    }
    file->is_proven = digest_equal(&digest, &file->digest);
    return file->is_proven ? SIGHT_SAME : SIGHT_NONE;
}

static enum sight sight_of_data(struct worker_job *job, struct job_data *data)
{
    struct error why = {0};
    enum status status = inputs_check_roots(data, &why);
    if (job->worker->sees_site_files) {
        return status == DENIED ? SIGHT_NONE
                                : SIGHT_SAME; // What has changed is found before the tasks run.
    }
    if (status != OK || (data->is_index_set && !seen_items(job, data))) {
        return SIGHT_NONE;
    }
    enum sight all = SIGHT_SAME;
    for (size_t i = 0; i < data->file_count && all != SIGHT_NONE; i++) {
        enum sight sight = sight_of_file(job->worker, data, &data->files[i]);
        all = sight != SIGHT_SAME ? sight : all;
    }
    return all;
}

static bool has_digests(const struct job_data *data)
{
    for (size_t i = 0; i < data->file_count; i++) {
        if (!data->files[i].has_digest) {
            return false;
        }
    }
    return true;
}

static void end_failed(struct worker_job *job)
{
    struct supply *supply = &job->supply;
    struct error error = supply->fault;
    size_t used = strlen(error.detail);
    if (error.fix[0] != '\0') {
        (void)snprintf(error.detail + used, sizeof error.detail - used, "; %s", error.fix);
    }
    supply_end(job);
    supply->fault = error;
    note_set(job, NOTE_NONE, "", "");
    worker_job_fail(job, error.status == INVALID ? OUTCOME_INPUT : OUTCOME_WORKER, &error);
    worker_job_finish(job);
}

static void be_unable(struct worker_job *job, const char *text, const char *change)
{
    note_set(job, NOTE_UNABLE, text, change);
    log_line(LOG_LEVEL_WARNING, "event=unable job=%" PRId64 " detail=\"%s\"", job->spec->id, text);
    worker_job_finish(job);
}

// Can the data be fetched at all? False when the job's end, or its way back, was decided.
static bool plan_data(struct worker_job *job, struct job_data *data)
{
    char text[NOTE_TEXT_MAX];
    struct supply *supply = &job->supply;
    AUTO_FREE char *folder = memory_format("%s/" INPUTS_FETCHED "/%s", job->folder, data->name);
    if (data->file_total > (int64_t)data->file_count && !data->is_index_set) {
        (void)snprintf(text, sizeof text,
                       "worker %.100s does not see the data %.100s, and cannot fetch it: it has "
                       "%" PRId64 " files, and of more than %zu only those of an index set are "
                       "fetched",
                       job->worker->options->name, data->name, data->file_total, data->file_count);
        be_unable(job, text,
                  "run over its files (lode run --over), or add a worker that sees them by path");
        return false;
    }
    if (!has_digests(data)) {
        data->is_fetched = false; // What the site does not say the digests of cannot be fetched.
        if (inputs_check(job->spec, &supply->fault) == OK) {
            return true;
        }
        end_failed(job);
        return false;
    }
    if (file_make_folder(folder, &supply->fault) != OK) {
        end_failed(job);
        return false;
    }
    for (size_t i = 0; i < data->file_count; i++) {
        supply->bytes_total += data->files[i].size;
        supply->files_total++;
    }
    return true;
}

static void plan(struct worker_job *job)
{
    char text[NOTE_TEXT_MAX];
    struct supply *supply = &job->supply;
    int64_t size_max = input_cache_size_max(job->worker->input_cache);
    supply->bytes_total = 0;
    supply->files_total = 0;
    job->item_data = NULL;
    for (size_t i = 0; i < job->spec->data_count; i++) {
        struct job_data *data = &job->spec->data[i];
        if (data->is_fetched && !plan_data(job, data)) {
            return;
        }
        if (data->is_index_set && (data->is_fetched || !job->worker->sees_site_files)) {
            job->item_data = data;
        }
    }
    if (supply->bytes_total > size_max) {
        (void)snprintf(text, sizeof text,
                       "worker %.100s would have to fetch %.0f MB of inputs, and its cache has "
                       "room for %.0f MB",
                       job->worker->options->name, (double)supply->bytes_total / MEGABYTE,
                       (double)size_max / MEGABYTE);
        be_unable(job, text, "give that worker more room: lode worker --cache-size SIZE");
        return;
    }
    supply->data_at = 0;
    supply->file_at = 0;
    supply->step = supply->files_total > 0 ? SUPPLY_ROOM : SUPPLY_READY;
    if (supply->step == SUPPLY_READY) {
        note_set(job, NOTE_NONE, "", "");
        worker_job_finish(job);
    }
}

void supply_begin(struct worker_job *job)
{
    struct job *spec = job->spec;
    bool is_doubtful = false;
    job->supply = (struct supply){.step = SUPPLY_PROVING};
    job->note.said_us = clock_steady_us(); // What is here within a moment is not worth a word.
    for (size_t i = 0; i < spec->data_count; i++) {
        enum sight sight = sight_of_data(job, &spec->data[i]);
        spec->data[i].is_fetched = sight == SIGHT_NONE;
        is_doubtful = is_doubtful || sight == SIGHT_DOUBTFUL;
    }
    if (!is_doubtful) {
        plan(job);
    }
}

void supply_end(struct worker_job *job)
{
    struct supply *supply = &job->supply;
    AUTO_FREE char *folder = memory_format("%s/" INPUTS_FETCHED, job->folder);
    proving_stop(&supply->proving);
    for (size_t i = 0; i < SUPPLY_ORDERS_MAX; i++) {
        if (supply->orders[i].fetch) {
            fetch_cancel(TAKE(supply->orders[i].fetch));
        }
    }
    if (supply->step >= SUPPLY_FETCHING) {
        (void)file_remove_tree(folder, NULL);
    }
    job->worker->pinned_bytes -= supply->is_pinned ? supply->bytes_total : 0;
    *supply = (struct supply){0};
}

void supply_renew(struct worker_job *job)
{
    bool has_failed = job->fault.status != OK && job->supply.fault.status == job->fault.status &&
                      job->fault_outcome == OUTCOME_WORKER && job->lease_count == 0;
    if (has_failed) {
        job->fault = (struct error){0};
        job->is_prepared = false;
    }
    if (has_failed || (!job->is_prepared && job->supply.step == SUPPLY_NONE && job->fetching == 0 &&
                       job->fault.status == OK)) {
        supply_begin(job);
    }
}

// The next doubtful file of data that is not given up already; NULL: all is proven.
static struct job_data_file *next_doubtful(struct worker_job *job)
{
    struct supply *supply = &job->supply;
    for (; supply->data_at < job->spec->data_count; supply->data_at++, supply->file_at = 0) {
        struct job_data *data = &job->spec->data[supply->data_at];
        for (; supply->file_at < data->file_count && !data->is_fetched; supply->file_at++) {
            struct job_data_file *file = &data->files[supply->file_at];
            enum sight sight = sight_of_file(job->worker, data, file);
            data->is_fetched = sight == SIGHT_NONE;
            if (sight == SIGHT_DOUBTFUL) {
                return file;
            }
        }
    }
    return NULL;
}

static void prove(struct worker_job *job)
{
    struct supply *supply = &job->supply;
    if (!proving_is_on(&supply->proving)) {
        struct job_data_file *file = next_doubtful(job);
        if (!file) {
            plan(job);
            return;
        }
        struct job_data *data = &job->spec->data[supply->data_at];
        struct error error;
        AUTO_CLOSE int fd = -1;
        if (inputs_open(data, file, &fd, &error) != OK) {
            data->is_fetched = true;
            return;
        }
        proving_begin(&supply->proving, &fd, &file->proof);
    }
    struct digest digest;
    struct file_mark mark = supply->proving.mark;
    switch (proving_read(&supply->proving, &digest)) {
    case PROVING_DONE:
        proofs_add(job->worker->proofs, &mark, &digest);
        break;
    case PROVING_LOST:
        job->spec->data[supply->data_at].is_fetched = true;
        break;
    case PROVING_ON:
        break;
    }
}

// Other jobs' inputs that nothing here needs at present.
static void give_up_idle(struct worker *worker, const struct worker_job *for_job)
{
    size_t at = 0;
    for (struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        if (job != for_job && job->supply.is_pinned && job->lease_count == 0) {
            seats_remove_idle(worker, job);
            supply_end(job);
            job->is_prepared = false;
        }
    }
}

static bool has_room(const struct worker *worker, int64_t bytes)
{
    return bytes <= input_cache_size_max(worker->input_cache) - worker->pinned_bytes;
}

static void take_room(struct worker_job *job)
{
    struct worker *worker = job->worker;
    struct supply *supply = &job->supply;
    char text[NOTE_TEXT_MAX];
    if (!has_room(worker, supply->bytes_total)) {
        give_up_idle(worker, job);
    }
    if (!has_room(worker, supply->bytes_total)) {
        (void)snprintf(
            text, sizeof text,
            "its inputs (%.0f MB) wait for room on worker %.100s: %.0f of %.0f MB are in "
            "use",
            (double)supply->bytes_total / MEGABYTE, worker->options->name,
            (double)worker->pinned_bytes / MEGABYTE,
            (double)input_cache_size_max(worker->input_cache) / MEGABYTE);
        note_set(job, NOTE_WAITING, text,
                 "it goes on when other jobs there end; more room: lode worker --cache-size SIZE");
        return;
    }
    worker->pinned_bytes += supply->bytes_total;
    supply->is_pinned = true;
    supply->step = SUPPLY_FETCHING;
}

static enum status keep_file(const struct file_order *order, struct error *error)
{
    const struct worker_job *job = order->job;
    int64_t modified_us = 0;
    AUTO_FREE char *path = memory_format("%s/" INPUTS_FETCHED "/%s/%s", job->folder,
                                         order->data->name, order->file->path);
    AUTO_FREE char *folder = memory_copy_string(path);
    *strrchr(folder, '/') = '\0';
    TRY(file_make_folder(folder, error));
    return input_cache_link(job->worker->input_cache, &order->file->digest, path, &modified_us,
                            error);
}

static void on_file(void *context, enum status status, const struct error *error)
{
    struct file_order *order = context;
    struct supply *supply = &order->job->supply;
    struct error fault = {0};
    order->fetch = NULL;
    if (status == OK) {
        status = keep_file(order, &fault);
    } else {
        fault = *error;
    }
    supply->files_done += status == OK;
    supply->bytes_done += status == OK ? order->file->size : 0;
    if (status != OK && supply->fault.status == OK) {
        supply->fault =
            fault; // The other files are left alone by supplies_work: one of them may have called.
        supply->fault.status = status;
    }
}

static const struct job_data_file *next_file(struct worker_job *job, const struct job_data **data)
{
    struct supply *supply = &job->supply;
    for (; supply->data_at < job->spec->data_count; supply->data_at++, supply->file_at = 0) {
        *data = &job->spec->data[supply->data_at];
        if ((*data)->is_fetched && supply->file_at < (*data)->file_count) {
            return &(*data)->files[supply->file_at++];
        }
    }
    return NULL;
}

static struct fetch_order order_of(const struct worker_job *job, const struct job_data *data,
                                   const struct job_data_file *file)
{
    return (struct fetch_order){.digest = file->digest,
                                .size = file->size,
                                .modified_us = file->modified_us,
                                .job = job->spec->id,
                                .data = data->name,
                                .path = file->path};
}

static void tell_again(const struct worker_job *job)
{
    int told = 0;
    for (size_t i = 0; i < job->spec->data_count; i++) {
        const struct job_data *data = &job->spec->data[i];
        for (size_t k = 0; data->is_fetched && k < data->file_count && told < TOLD_MAX; k++) {
            const struct fetch_order order = order_of(job, data, &data->files[k]);
            told += fetches_tell(job->worker->fetches, &order);
        }
    }
    if (told > 0) {
        log_line(LOG_LEVEL_INFO, "event=inputs-told job=%" PRId64 " files=%d", job->spec->id, told);
    }
}

void supplies_tell_again(struct worker *worker)
{
    size_t at = 0;
    for (const struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        if (job->lease_count > 0 && job->supply.step == SUPPLY_READY) {
            tell_again(job);
        }
    }
}

static void order_files(struct worker_job *job)
{
    struct supply *supply = &job->supply;
    for (size_t i = 0; i < SUPPLY_ORDERS_MAX; i++) {
        struct file_order *order = &supply->orders[i];
        const struct job_data *data = NULL;
        const struct job_data_file *file = order->fetch ? NULL : next_file(job, &data);
        if (!file) {
            continue;
        }
        *order = (struct file_order){.job = job, .data = data, .file = file};
        const struct fetch_order wanted = order_of(job, data, file);
        order->fetch = fetches_order(job->worker->fetches, &wanted, on_file, order);
    }
}

static void note_progress(struct worker_job *job, int64_t now_us)
{
    struct supply *supply = &job->supply;
    char text[NOTE_TEXT_MAX];
    int64_t bytes = supply->bytes_done;
    if (now_us - job->note.said_us < NOTE_PAUSE_US) {
        return;
    }
    for (size_t i = 0; i < SUPPLY_ORDERS_MAX; i++) {
        bytes += supply->orders[i].fetch ? fetch_have(supply->orders[i].fetch) : 0;
    }
    (void)snprintf(text, sizeof text,
                   "worker %.100s fetches its inputs: %" PRId64 " of %" PRId64 " files, %.1f of "
                   "%.1f MB",
                   job->worker->options->name, supply->files_done, supply->files_total,
                   (double)bytes / MEGABYTE, (double)supply->bytes_total / MEGABYTE);
    note_set(job, NOTE_WAITING, text, "nothing needs to be done");
}

static void fetch_files(struct worker_job *job, int64_t now_us)
{
    struct supply *supply = &job->supply;
    if (supply->fault.status != OK) {
        end_failed(job);
    } else if (supply->files_done == supply->files_total) {
        supply->step = SUPPLY_READY;
        note_set(job, NOTE_NONE, "", "");
        worker_job_finish(job);
    } else {
        order_files(job);
        note_progress(job, now_us);
    }
}

static void feed_leases(struct worker *worker)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct task_lease *lease = worker->leases[i];
        if (lease->job->item_data && lease->seat && !lease->seat->is_broken) {
            supply_feed_items(lease);
        }
    }
}

int64_t supplies_work(struct worker *worker, int64_t now_us)
{
    bool is_proving = false;
    bool is_fetching = false;
    bool is_ready = false;
    size_t at = 0;
    for (struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        if (job->supply.step == SUPPLY_PROVING && !is_proving) {
            prove(job);
            is_proving = true; // One at a time: others are served in between.
        }
        if (job->supply.step == SUPPLY_ROOM) {
            take_room(job);
        }
        seen_turn(job);
        if (job->supply.step == SUPPLY_FETCHING) {
            fetch_files(job, now_us);
            is_fetching = job->supply.step == SUPPLY_FETCHING;
            is_ready = is_ready || !is_fetching;
        }
    }
    int64_t fetch_us = fetches_work(worker->fetches, now_us);
    feed_leases(worker);
    is_proving = seen_prove(worker) || is_proving;
    int64_t note_us = is_fetching ? NOTE_PAUSE_US : -1;
    return is_proving || is_ready                                 ? 0
           : fetch_us < 0 || (note_us >= 0 && note_us < fetch_us) ? note_us
                                                                  : fetch_us;
}
