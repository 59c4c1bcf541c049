// A job on this worker: fetching what it needs once, and describing it to its runners.
#include "worker/state.h"

#include "base/memory.h"
#include "os/file.h"
#include "sandbox/inputs.h"

#include <inttypes.h>
#include <stdio.h>

enum { FILE_MODE = 0444, PROGRAM_MODE = 0555 };

void worker_job_fail(struct worker_job *job, enum runner_outcome outcome, const struct error *error)
{
    if (job->fault.status == OK) {
        job->fault = *error;
        job->fault.status = error->status == OK ? INTERNAL : error->status;
        job->fault_outcome = outcome;
    }
}

void worker_job_finish(struct worker_job *job)
{
    struct error error = {0};
    if (!job->worker->place.bubblewrap && job->fault.status == OK &&
        inputs_link(job->spec, job->folder, &error) != OK) {
        worker_job_fail(job, OUTCOME_WORKER, &error);
    }
    job->is_prepared = true;
}

// The blobs are here.
static void take_blobs(struct worker_job *job)
{
    struct error error = {0};
    if (job->spec->items_digest && job->fault.status == OK) {
        AUTO_FREE char *path = memory_format("%s/items", job->folder);
        if (item_list_open(path, &job->items, &error) != OK) {
            worker_job_fail(job, OUTCOME_WORKER, &error);
        }
    }
    if (job->fault.status == OK) {
        supply_begin(job);
    } else {
        worker_job_finish(job);
    }
}

static void on_fetched(void *context, const struct transfer_end *end)
{
    struct worker_job *job = context;
    if (end->status != OK) {
        worker_job_fail(job, OUTCOME_WORKER, end->error);
    }
    job->fetching--;
    if (job->fetching == 0) {
        take_blobs(job);
    }
}

// The folder of the file at this path.
static enum status make_folder_of(const char *path, struct error *error)
{
    AUTO_FREE char *folder = memory_copy_string(path);
    *strrchr(folder, '/') = '\0';
    return file_make_folder(folder, error);
}

static void on_software(void *context, const struct error *fault)
{
    struct worker_job *job = context;
    if (fault->status != OK) {
        worker_job_fail(job, fault->status == INVALID ? OUTCOME_INPUT : OUTCOME_WORKER, fault);
    }
    job->fetching--;
    if (job->fetching == 0) {
        take_blobs(job);
    }
}

static enum status start_fetching(struct worker_job *job, struct error *error)
{
    const struct job *spec = job->spec;
    struct transfers *transfers = job->worker->transfers;
    TRY(software_fetch(job, on_software, error));
    if (spec->file_count == 0 && !spec->items_digest) {
        return OK;
    }
    AUTO_FREE char *files = memory_format("%s/files", job->folder);
    TRY(file_make_folder(files, error));
    for (size_t i = 0; i < spec->file_count; i++) {
        AUTO_FREE char *path = memory_format("%s/%s", files, spec->files[i].name);
        TRY(make_folder_of(path, error));
        job->fetching++;
        const struct download download = {
            .digest = spec->files[i].digest,
            .path = path,
            .mode = spec->files[i].is_executable ? PROGRAM_MODE : FILE_MODE,
        };
        transfers_download(transfers, &download, on_fetched, job);
    }
    if (spec->items_digest) {
        AUTO_FREE char *path = memory_format("%s/items", job->folder);
        job->fetching++;
        const struct download download = {spec->items_digest, path, FILE_MODE, false};
        transfers_download(transfers, &download, on_fetched, job);
    }
    return OK;
}

struct worker_job *worker_job_find(const struct worker *worker, int64_t id)
{
    return map_find_int64(worker->jobs, id);
}

enum status worker_job_add(struct worker *worker, const json_t *document, struct error *error)
{
    struct job *spec = NULL;
    struct error fault = {0};
    int64_t id = 0;
    TRY(json_field_int64(document, "job", JSON_REQUIRED, 0, INT64_MAX, &id, error));
    if (job_parse(document, &spec, &fault) != OK) {
        spec = job_stub(id); // Its tasks are reported with what is wrong with it.
    }
    struct worker_job *known = worker_job_find(worker, spec->id);
    if (known) {
        known->is_dropped = false;
        job_free(spec);
        return OK;
    }
    struct worker_job *job = NEW(struct worker_job);
    job->worker = worker;
    job->spec = spec;
    job->folder = memory_format("%s/%" PRId64, worker->jobs_folder, spec->id);
    (void)map_set_int64(worker->jobs, spec->id, job);
    if (fault.status != OK || start_fetching(job, &fault) != OK) {
        worker_job_fail(job, OUTCOME_WORKER, &fault);
    }
    if (job->fetching == 0) {
        take_blobs(job);
    }
    return OK;
}

void worker_job_free(struct worker_job *job)
{
    supply_end(job);
    (void)file_remove_tree(job->folder, NULL);
    item_list_free(job->items);
    shelf_give_back(job->software);
    arena_done(&job->arena);
    job_free(job->spec);
    free(job->folder);
    free(job);
}

void worker_job_drop(struct worker_job *job)
{
    job->is_dropped = true;
}

void worker_job_free_unused(struct worker *worker)
{
    size_t at = 0;
    for (struct worker_job *job = map_next(worker->jobs, &at); job;
         job = map_next(worker->jobs, &at)) {
        if (!job->is_dropped || job->lease_count > 0 || job->fetching > 0) {
            continue;
        }
        seats_remove_idle(worker, job);
        bool has_seat = false;
        for (size_t i = 0; i < worker->seat_count; i++) {
            has_seat = has_seat || worker->seats[i]->job == job;
        }
        if (!has_seat) {
            (void)map_set_int64(worker->jobs, job->spec->id, NULL);
            worker_job_free(job);
            at = 0; // The map has changed.
        }
    }
}

static bool has_line(const struct text *lines, size_t count, struct text name)
{
    for (size_t i = 0; i < count; i++) {
        if (lines[i].length > name.length && lines[i].bytes[name.length] == '=' &&
            text_starts_with(lines[i], name)) {
            return true;
        }
    }
    return false;
}

static void add_variable(struct runner_job *out, const struct job *spec, struct arena *arena,
                         const char *name, const char *value)
{
    if (!has_line(spec->environment, spec->environment_count, text_of(name))) {
        out->environment[out->environment_count++] =
            text_of(arena_format(arena, "%s=%s", name, value));
    }
}

// What an image sets, unless the job does. Its home is read-only, so tasks have another one.
static void add_image_variables(struct runner_job *out, const struct job *spec,
                                const struct tree *tree)
{
    for (size_t i = 0; tree && i < tree->environment_count; i++) {
        struct text line = tree->environment[i];
        struct text name = text_slice(line, 0, text_find_byte(line, 0, '='));
        bool is_own = text_equal(name, TEXT("HOME")) || text_equal(name, TEXT("TMPDIR")) ||
                      text_equal(name, TEXT("CUDA_VISIBLE_DEVICES")) ||
                      text_starts_with(name, TEXT("LODE_"));
        if (!is_own && !has_line(spec->environment, spec->environment_count, name)) {
            out->environment[out->environment_count++] = line;
        }
    }
}

static void add_default(struct runner_job *out, const struct job *spec, struct arena *arena,
                        const char *name, const char *value)
{
    if (!has_line(out->environment, (size_t)out->environment_count, text_of(name))) {
        add_variable(out, spec, arena, name, value);
    }
}

struct runner_job worker_job_for_runner(const struct worker_job *job, const struct seat *seat,
                                        struct arena *arena)
{
    enum { OWN_VARIABLES = 8 };
    const struct job *spec = job->spec;
    const struct slot_place *place = &job->worker->place;
    bool is_boxed = place->bubblewrap != NULL;
    bool has_memory = place->cgroups && cgroups_has(place->cgroups, CGROUP_MEMORY);
    bool has_pids = place->cgroups && cgroups_has(place->cgroups, CGROUP_PIDS);
    struct runner_job out = {
        .is_stream = spec->is_stream,
        .items = spec->items,
        .first_index = spec->first_index,
        .holds = (spec->output_count > 0 ? HOLD_SUCCESS | HOLD_FAILURE : 0) |
                 (has_memory || has_pids ? HOLD_FAILURE : 0) |
                 (spec->checkpoint_count > 0 ? HOLD_WARNED : 0),
        .walltime_us = spec->walltime_us,
        .disk_bytes = spec->disk_bytes,
        .memory_bytes = has_memory ? 0 : spec->memory_bytes,
        .pids_rlimit = has_pids || !is_boxed ? 0 : SEAT_PIDS_MAX,
        .keeps_beneath = is_boxed,
        .arguments = spec->command,
        .argument_count = (int64_t)spec->command_count,
    };
    const struct tree *tree = software_tree(job);
    size_t variables =
        spec->environment_count + OWN_VARIABLES + (tree ? tree->environment_count : 0);
    out.environment = arena_new(arena, variables * sizeof *out.environment);
    const char *folder = arena_format(arena, "%s/%" PRId64, place->folder, seat->number);
    add_variable(&out, spec, arena, "HOME",
                 is_boxed ? "/work" : arena_format(arena, "%s/work", folder));
    add_variable(&out, spec, arena, "TMPDIR",
                 is_boxed ? "/tmp" : arena_format(arena, "%s/tmp", folder));
    add_image_variables(&out, spec, tree);
    add_default(&out, spec, arena, "PATH", software_search_path(job));
    add_default(&out, spec, arena, "LANG", "C.UTF-8");
    if (spec->gpus > 0) {
        add_variable(&out, spec, arena, "CUDA_VISIBLE_DEVICES", gpus_text(seat, arena));
    }
    for (size_t i = 0; i < spec->environment_count; i++) {
        out.environment[out.environment_count++] = spec->environment[i];
    }
    out.environment[out.environment_count++] =
        text_of(arena_format(arena, "LODE_JOB=%" PRId64, spec->id));
    if (spec->has_api && job->worker->site_url) {
        add_variable(&out, spec, arena, "LODE_SITE", job->worker->site_url);
        add_variable(&out, spec, arena, "LODE_FINGERPRINT", job->worker->site_fingerprint);
    }
    out.data_folder =
        spec->items != ITEMS_FILES ? TEXT("")
        : is_boxed                 ? text_of(arena_format(arena, "/data/%s", spec->items_name))
                   : text_of(arena_format(arena, "%s/data/%s", job->folder, spec->items_name));
    out.kept = arena_new(arena, (spec->top_count + 1) * sizeof *out.kept);
    for (size_t i = 0; i < spec->top_count; i++) {
        out.kept[out.kept_count++] = text_of(spec->tops[i].name);
    }
    return out;
}
