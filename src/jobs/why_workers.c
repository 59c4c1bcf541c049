// What all workers together say about one job: whether any could take it, and what is wrong with those that cannot.
#include "jobs/why.h"

#include <stdio.h>

// "about 5 min".
static void append_amount(struct buffer *out, int64_t duration_us)
{
    double seconds = (double)duration_us / 1e6;
    if (seconds < 1) {
        buffer_append_string(out, "less than a second");
    } else if (seconds < 90) {
        buffer_printf(out, "about %.0f s", seconds);
    } else if (seconds < 5400) {
        buffer_printf(out, "about %.0f min", seconds / 60);
    } else {
        buffer_printf(out, "about %.1f h", seconds / 3600);
    }
}

void append_distance(struct buffer *out, int64_t duration_us)
{
    buffer_append_string(out, "in ");
    append_amount(out, duration_us);
}

const char *format_bytes(int64_t bytes, char out[AMOUNT_SIZE])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double amount = (double)bytes;
    size_t unit = 0;
    while (amount >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        amount /= 1024;
        unit++;
    }
    (void)snprintf(out, AMOUNT_SIZE, "%.4g %s", amount, units[unit]);
    return out;
}

static int64_t slots_of(const struct resources *need, const struct resources *capacity)
{
    int64_t slots = capacity->cpu_millis / need->cpu_millis;
    if (need->memory_bytes > 0 && capacity->memory_bytes / need->memory_bytes < slots) {
        slots = capacity->memory_bytes / need->memory_bytes;
    }
    if (need->disk_bytes > 0 && capacity->disk_bytes / need->disk_bytes < slots) {
        slots = capacity->disk_bytes / need->disk_bytes;
    }
    if (need->gpus > 0 && capacity->gpus / need->gpus < slots) {
        slots = capacity->gpus / need->gpus;
    }
    return slots;
}

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void survey_worker(const struct answer *answer, const struct worker_state *worker,
                          struct survey *survey)
{
    const struct resources *need = &answer->job->plan.need;
    const struct resources *capacity = &worker->capacity;
    survey->workers++;
    if (!worker_may_have(worker, answer->job)) {
        return;
    }
    survey->permitted++;
    if (worker_rank(worker, answer->job->plan.group) < 0) {
        return;
    }
    survey->serving++;
    survey->draining += worker->is_draining;
    if (!worker_has_labels(worker, answer->job)) {
        return;
    }
    survey->labelled += !worker->is_draining;
    survey->largest.gpus = greater(survey->largest.gpus, capacity->gpus);
    survey->largest.cpu_millis = greater(survey->largest.cpu_millis, capacity->cpu_millis);
    survey->largest.memory_bytes = greater(survey->largest.memory_bytes, capacity->memory_bytes);
    survey->largest.disk_bytes = greater(survey->largest.disk_bytes, capacity->disk_bytes);
    survey->largest.software = greater(survey->largest.software, capacity->software);
    if (ranges_contains(&answer->job->refused, worker->id)) {
        survey->refused++;
        return;
    }
    if (worker->is_draining || !resources_fit(need, capacity)) {
        return;
    }
    if (!worker_has_time(worker, answer->job, answer->scheduler->now_us)) {
        survey->leaving++;
        survey->last =
            survey->last && survey->last->end_us >= worker->end_us ? survey->last : worker;
        return;
    }
    struct resources held = resources_sum(&worker->started.need, &worker->waiting.need);
    struct resources room = resources_rest(capacity, &held);
    for (const struct lease_state *lease = worker->started.first; lease; lease = lease->next) {
        int64_t left_us = lease_left_us(lease, answer->scheduler->now_us);
        if (left_us >= 0 && (survey->next_left_us < 0 || left_us < survey->next_left_us)) {
            survey->next_left_us = left_us;
        }
    }
    survey->large_enough++;
    survey->slots += slots_of(need, capacity);
    survey->with_room += resources_fit(need, &room);
}

struct survey survey_workers(const struct answer *answer)
{
    struct survey survey = {.next_left_us = -1};
    size_t at = 0;
    for (const struct worker_state *worker; (worker = map_next(answer->scheduler->workers, &at));) {
        if (worker->place == answer->job->group->place) {
            survey_worker(answer, worker, &survey);
        }
    }
    return survey;
}

// No worker can give tasks the kind of software that the job brings.
static void say_no_software(const struct answer *answer)
{
    const char *kind = spec_software_name((enum spec_software)answer->job->plan.need.software);
    buffer_printf(answer->why, "it brings its own software (%s), which no worker gives to tasks",
                  kind);
    buffer_append_string(answer->change, "start a worker with a sandbox, of this version of Lode "
                                         "or a later one; lode workers shows what each one gives");
}

// It fits on no worker: which resource is short, with both numbers.
static void say_too_big(const struct answer *answer, const struct survey *survey)
{
    const struct resources *need = &answer->job->plan.need;
    const struct resources *largest = &survey->largest;
    char needed[AMOUNT_SIZE];
    char there[AMOUNT_SIZE];
    if (need->software > largest->software) {
        say_no_software(answer);
        return;
    }
    if (need->cpu_millis > largest->cpu_millis) {
        buffer_printf(answer->why, "a task needs %g cpus; the largest worker has %g",
                      (double)need->cpu_millis / 1000, (double)largest->cpu_millis / 1000);
        buffer_printf(answer->change, "ask for at most %g cpus, or add a larger worker",
                      (double)largest->cpu_millis / 1000);
        return;
    }
    if (need->gpus > largest->gpus) {
        buffer_printf(answer->why, "a task needs %lld gpu%s; no worker has more than %lld",
                      (long long)need->gpus, plural(need->gpus), (long long)largest->gpus);
        buffer_append_string(
            answer->change,
            "ask for fewer, or add a worker that offers them: lode worker --gpus N");
        return;
    }
    bool is_memory = need->memory_bytes > largest->memory_bytes;
    if (is_memory || need->disk_bytes > largest->disk_bytes) {
        const char *kind = is_memory ? "memory" : "disk";
        format_bytes(is_memory ? need->memory_bytes : need->disk_bytes, needed);
        format_bytes(is_memory ? largest->memory_bytes : largest->disk_bytes, there);
        buffer_printf(answer->why, "a task needs %s of %s; the largest worker has %s", needed, kind,
                      there);
        buffer_printf(answer->change, "ask for at most %s of %s, or add a larger worker", there,
                      kind);
        return;
    }
    buffer_printf(answer->why, "no worker that takes tasks has %g cpus, %s of memory and ",
                  (double)need->cpu_millis / 1000, format_bytes(need->memory_bytes, needed));
    buffer_printf(answer->why, "%s of disk together", format_bytes(need->disk_bytes, needed));
    if (need->software != SPEC_SOFTWARE_HOST) {
        buffer_printf(answer->why, ", and gives tasks their own software (%s)",
                      spec_software_name((enum spec_software)need->software));
    }
    buffer_append_string(answer->change, "ask for less, or add a larger worker");
}

// Those that could take it leave too soon.
static void say_leaving(const struct answer *answer, const struct survey *survey)
{
    int64_t now_us = answer->scheduler->now_us;
    int64_t left_us = survey->last->end_us > now_us ? survey->last->end_us - now_us : 0;
    int64_t need_us = job_need_us(answer->job);
    buffer_printf(answer->why, "worker %lld leaves ", (long long)survey->last->id);
    append_distance(answer->why, left_us);
    if (survey->leaving > 1) {
        buffer_printf(answer->why, ", as the last of %lld that are large enough",
                      (long long)survey->leaving);
    }
    bool has_checkpoints = answer->job->plan.checkpoint_us > 0;
    buffer_printf(answer->why, "; a task%s needs ", has_checkpoints ? " with checkpoints" : "");
    append_amount(answer->why, need_us);
    buffer_append_string(answer->why, ", ");
    append_amount(answer->why, need_us - left_us);
    buffer_append_string(answer->why, " more");
    buffer_printf(answer->change,
                  "add a worker that stays, or say with a shorter walltime, or with checkpoints%s, "
                  "that it may be begun there",
                  has_checkpoints ? " at shorter intervals" : "");
}

// Has a worker the label, though it may be draining?
static bool is_label_there(const struct answer *answer, const char *label, bool may_drain)
{
    size_t at = 0;
    for (const struct worker_state *worker; (worker = map_next(answer->scheduler->workers, &at));) {
        if (worker->place == answer->job->group->place && worker_has_label(worker, label) &&
            (may_drain || !worker->is_draining)) {
            return true;
        }
    }
    return false;
}

// No worker has all labels: which one nobody has, or that they are nowhere together.
static void say_no_label(const struct answer *answer)
{
    const struct job_state *job = answer->job;
    for (size_t i = 0; i < job->label_count; i++) {
        if (!is_label_there(answer, job->labels[i], false)) {
            bool is_draining = is_label_there(answer, job->labels[i], true);
            buffer_printf(answer->why, "it needs %s; no worker %shas it", job->labels[i],
                          is_draining ? "that takes tasks " : "");
            buffer_printf(answer->change, "add a worker that has it: lode worker --label %s%s",
                          job->labels[i], strchr(job->labels[i], '=') ? "" : "=VALUE");
            return;
        }
    }
    buffer_append_string(answer->why, "no worker that takes tasks has all that it needs together:");
    for (size_t i = 0; i < job->label_count; i++) {
        buffer_printf(answer->why, "%s %s", i > 0 ? "," : "", job->labels[i]);
    }
    buffer_append_string(answer->change, "ask for less, or add a worker that has all of it");
}

bool say_no_worker(const struct answer *answer, const struct survey *survey)
{
    if (survey->workers == 0) {
        buffer_append_string(answer->why, "there are no workers");
        buffer_append_string(answer->change, "start one: lode worker");
        return true;
    }
    if (survey->permitted == 0) {
        buffer_append_string(answer->why, "no worker may run it: those that there are are for "
                                          "certain jobs alone, and it is none of these");
        buffer_append_string(answer->change, "start a worker for all jobs: lode worker");
        return true;
    }
    if (survey->serving == 0) {
        buffer_append_string(answer->why, "no worker works for its group, ");
        group_write_name(answer->job->group, answer->why);
        buffer_append_string(answer->change, "move one to it (lode worker move WORKER GROUP), or "
                                             "start one that works for it or for all");
        return true;
    }
    if (survey->draining == survey->serving) {
        buffer_printf(answer->why, "no worker takes new tasks: %s draining",
                      survey->serving == 1 ? "the only one is" : "all are");
        buffer_append_string(answer->change, "add a worker, or let one take tasks again");
        return true;
    }
    if (survey->labelled == 0) {
        say_no_label(answer);
        return true;
    }
    if (survey->large_enough == 0 && survey->leaving > 0) {
        say_leaving(answer, survey);
        return true;
    }
    if (survey->large_enough == 0 && survey->refused > 0) {
        buffer_append_string(answer->why, "no worker can run it");
        return true;
    }
    if (survey->large_enough == 0) {
        say_too_big(answer, survey);
        return true;
    }
    return false;
}
