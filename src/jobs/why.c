// Says in words why a job or a task is not running. People ask this, not the program: it may look at all workers and leases.
#include "jobs/state.h"

#include <stdio.h>

enum { AMOUNT_SIZE = 48 };

// What there is to say, sentence by sentence: why it is so, and what would change it.
struct answer {
    const struct scheduler *scheduler;
    const struct job_state *job;
    const struct place_words *words; // NULL: it runs here.
    struct buffer *why;
    struct buffer *change;
};

// What all workers together say about one job.
struct survey {
    int64_t workers;
    int64_t permitted;    // Not limited to other jobs.
    int64_t serving;      // Its group.
    int64_t draining;     // Of these.
    int64_t labelled;     // Has all labels that it requires, and is not draining.
    int64_t refused;      // Cannot run it, as they have said.
    int64_t large_enough; // None of these, not draining, and its whole capacity would do.
    int64_t with_room;    // And it has the room now.
    int64_t leaving;      // Large enough, but they leave before a task could end,
    const struct worker_state *last; // the last of them.
    struct resources largest;        // In each dimension.
    int64_t
        next_left_us; // Until the first lease on a large enough worker ends; -1 when nothing is known.
    int64_t slots;    // On the large enough workers.
};

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

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

// "in about 5 min".
static void append_distance(struct buffer *out, int64_t duration_us)
{
    buffer_append_string(out, "in ");
    append_amount(out, duration_us);
}

static const char *format_bytes(int64_t bytes, char out[AMOUNT_SIZE])
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

void group_write_name(const struct group_state *group, struct buffer *out)
{
    if (group->name) {
        buffer_printf(out, "\"%s\"", group->name);
    } else {
        buffer_append_int64(out, group->id);
    }
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

static struct survey survey_workers(const struct answer *answer)
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

// Workers cannot take it whatever the others do; true when that is so.
static bool say_no_worker(const struct answer *answer, const struct survey *survey)
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

// Which groups and jobs come first.
static void say_who_is_first(const struct answer *answer)
{
    const struct job_state *job = answer->job;
    const struct jobs_ahead ahead = jobs_ahead_of(answer->scheduler, job);
    const struct group_state *group = ahead.group;
    if (group) {
        buffer_append_string(answer->why, "; group ");
        group_write_name(group, answer->why);
        buffer_append_string(answer->why, " comes first: ");
        buffer_append_string(answer->why, group_share(group) > group_share(job->group)
                                              ? "it had less than its share of late, and "
                                              : "it ");
        buffer_printf(answer->why,
                      "uses %.1f %% of the site, this job's group "
                      "%.1f %% (each divided by its weight)",
                      100 * group_share(group), 100 * group_share(job->group));
    }
    if (ahead.count > 0) {
        buffer_printf(answer->why,
                      "; %s%lld job%s of the same group come%s first by priority or age",
                      ahead.count == JOBS_AHEAD_MAX ? "more than " : "", (long long)ahead.count,
                      plural(ahead.count), ahead.count == 1 ? "s" : "");
        buffer_append_string(answer->change, "; give this job a higher priority");
    }
}

static void say_busy(const struct answer *answer, const struct survey *survey)
{
    const struct job_state *job = answer->job;
    if (job->promised > 0 && yield_explain(answer->scheduler, job, answer->why)) {
        buffer_append_string(answer->change, "nothing needs to be done");
        return;
    }
    if (job->reserved != 0) {
        buffer_printf(answer->why,
                      "it is first in line, and worker %lld is being emptied for it; smaller jobs "
                      "no longer pass it there",
                      (long long)job->reserved);
        buffer_append_string(answer->change, "nothing needs to be done");
        return;
    }
    if (job_is_held_back(job, answer->scheduler->now_us)) {
        char amount[AMOUNT_SIZE];
        buffer_printf(answer->why,
                      "it waits for a worker that has its inputs (%s), at most as long as others "
                      "would take to fetch them",
                      format_bytes(job->plan.input_bytes, amount));
        buffer_append_string(answer->change, "nothing needs to be done");
        say_who_is_first(answer);
        return;
    }
    if (survey->with_room > 0) {
        buffer_printf(answer->why, "%lld worker%s ha%s room for it", (long long)survey->with_room,
                      plural(survey->with_room), survey->with_room == 1 ? "s" : "ve");
        buffer_append_string(answer->change,
                             "it gets tasks when that worker next asks, in a moment");
    } else {
        buffer_printf(answer->why, "all workers are busy that could run it (%lld slot%s)",
                      (long long)survey->slots, plural(survey->slots));
        if (survey->next_left_us >= 0) {
            buffer_append_string(answer->why, "; the next work there ends ");
            append_distance(answer->why, survey->next_left_us);
        }
        buffer_append_string(answer->change, "wait, or add workers");
    }
    say_who_is_first(answer);
}

// Of a job of which another place has tasks: since when, and whether any of these has begun.
static void say_handed_over(const struct answer *answer)
{
    static const char *const SAID[] = {
        [PLACE_BEGUN_UNKNOWN] = "",
        [PLACE_BEGUN_NOTHING] = "; none of its tasks has begun there yet",
        [PLACE_BEGUN_SOMETHING] = "; it runs there",
    };
    const struct job_state *job = answer->job;
    const struct place_words *words = answer->words;
    buffer_printf(answer->why, "%lld of its tasks %s handed to site %s",
                  (long long)job->leased_count, job->leased_count == 1 ? "was" : "were",
                  words->name);
    if (words->handed) {
        buffer_printf(answer->why, " at %s", words->handed);
    }
    buffer_append_string(answer->why, SAID[words->begun]);
}

// Of a job whose tasks run at another place: what is there, and what keeps the rest from getting there.
static void say_travelling(const struct answer *answer, int64_t waiting)
{
    const struct job_state *job = answer->job;
    const struct place_words *words = answer->words;
    if (job->leased_count > 0) {
        say_handed_over(answer);
    }
    if (waiting > 0) {
        buffer_append_string(answer->why, job->leased_count > 0 ? "; the rest " : "it ");
        buffer_printf(answer->why, "waits for site %s", words->name);
    }
    if (words->problem) {
        buffer_printf(answer->why, "%s%s", waiting > 0 ? ": " : "; ", words->problem);
        buffer_append_string(answer->change, words->change);
    } else if (words->said && job->leased_count > 0) {
        buffer_printf(answer->why, "; site %s says: %s", words->name, words->said);
        buffer_printf(answer->change, "at site %s: %s", words->name, words->said_change);
    } else if (waiting == 0) {
        buffer_append_string(answer->change, "nothing needs to be done");
    } else if (job->group->place->worker_count == 0) {
        buffer_append_string(answer->why, ": nothing here takes jobs there at present");
        buffer_append_string(answer->change,
                             "the site's own link to it starts by itself; if it does not, the "
                             "site's log says why");
    } else {
        buffer_append_string(answer->why, ": it is being handed over");
        buffer_append_string(answer->change, "nothing needs to be done");
    }
}

// Nothing is left of the job but tasks that were lost too often.
static void say_held(const struct answer *answer)
{
    const struct job_state *job = answer->job;
    long long id = (long long)job->plan.id;
    buffer_printf(answer->why, "%lld of its tasks %s held, as workers were lost while running %s",
                  (long long)job->held_count, job->held_count == 1 ? "is" : "are",
                  job->held_count == 1 ? "it" : "them");
    buffer_printf(answer->change,
                  "`lode why %lld/%lld` has the evidence; `lode retry %lld` lets them run again, "
                  "`lode cancel %lld` ends the job",
                  id, (long long)job->held.items[0].from, id, id);
}

static void say_job(const struct answer *answer)
{
    const struct job_state *job = answer->job;
    int64_t waiting = job_waiting(job);
    if (job->done_count == job->plan.count) {
        buffer_printf(answer->why, "all %lld task%s of it have finished",
                      (long long)job->plan.count, plural(job->plan.count));
        return;
    }
    if (job->is_held) {
        buffer_append_string(answer->why,
                             "it is held until the jobs it comes after have succeeded");
        buffer_append_string(answer->change,
                             "it starts by itself then; why of those jobs says more");
        return;
    }
    if (answer->words) {
        say_travelling(answer, waiting);
        return;
    }
    if (waiting + job->leased_count == 0) {
        say_held(answer);
        return;
    }
    if (waiting == 0) {
        buffer_printf(answer->why, "its last %lld task%s %s with workers already",
                      (long long)job->leased_count, plural(job->leased_count),
                      job->leased_count == 1 ? "is" : "are");
        buffer_append_string(answer->change, "nothing needs to be done");
        return;
    }
    if (job->leased_count > 0) {
        buffer_printf(answer->why, "%lld of its tasks %s with workers, %lld wait: ",
                      (long long)job->leased_count, job->leased_count == 1 ? "is" : "are",
                      (long long)waiting);
    }
    struct survey survey = survey_workers(answer);
    if (!say_no_worker(answer, &survey)) {
        say_busy(answer, &survey);
    }
}

static void say_leased(const struct answer *answer, const struct piece *found, int64_t index)
{
    const struct lease_state *lease = found->lease;
    int64_t before = 0;
    for (const struct piece *piece = lease->pieces; piece; piece = piece->next) {
        int64_t from = piece->node.key.second;
        int64_t to = piece == found ? index : piece->to;
        before += to - from;
        if (piece == found) {
            break;
        }
    }
    long long worker = (long long)lease->worker->id;
    if (!lease->is_started) {
        buffer_printf(answer->why, "it is with worker %lld, behind work that is nearly done",
                      worker);
    } else if (before > 0) {
        buffer_printf(answer->why, "it is with worker %lld, behind %lld other task%s in its slot",
                      worker, (long long)before, plural(before));
    } else {
        buffer_printf(answer->why, "it is running on worker %lld", worker);
    }
    yield_explain_lease(lease, answer->why);
    double mean_us = answer->job->mean_wall_us;
    if (answer->job->walls_seen > 0 && before > 0) {
        buffer_append_string(answer->why, "; its turn is ");
        append_distance(answer->why, (int64_t)((double)before * mean_us));
    }
    buffer_append_string(answer->change, "nothing needs to be done");
}

// What was tried before came to nothing: how often, by cause, and how often it may.
static void say_attempts(const struct answer *answer, int64_t index)
{
    static const char *const SAID[CAUSE_COUNT] = {
        [CAUSE_FAIL] = "it has failed",
        [CAUSE_LIMIT] = "it has reached a limit",
        [CAUSE_LOST] = "its worker was lost",
        [CAUSE_INPUT] = "an input was not as it should be",
        [CAUSE_WORKER] = "a worker could not run it",
    };
    const struct job_state *job = answer->job;
    const struct attempts *attempts = job->attempts ? map_find_int64(job->attempts, index) : NULL;
    for (int i = 0; i < CAUSE_COUNT && attempts; i++) {
        int64_t left = job->plan.retries.times[i] - attempts->times[i];
        if (attempts->times[i] == 0) {
            continue;
        }
        buffer_printf(answer->why, "%s %d time%s", SAID[i], attempts->times[i],
                      plural(attempts->times[i]));
        if (left > 0) {
            buffer_printf(answer->why, " and may %lld more; ", (long long)left);
        } else {
            buffer_append_string(answer->why, left == 0 ? ", which is as often as it may; "
                                                        : ", which is more than it may; ");
        }
    }
}

static void say_task(const struct answer *answer, int64_t index)
{
    const struct job_state *job = answer->job;
    if (index >= job->plan.count) {
        buffer_printf(answer->why, "the job has no task %lld: its tasks are 0 to %lld",
                      (long long)index, (long long)job->plan.count - 1);
        return;
    }
    if (ranges_contains(&job->done, index)) {
        buffer_append_string(answer->why, "it has finished");
        return;
    }
    say_attempts(answer, index);
    if (ranges_contains(&job->held, index)) {
        long long id = (long long)job->plan.id;
        buffer_append_string(answer->why, "it is held");
        buffer_printf(answer->change,
                      "look at what it does to a machine; `lode retry %lld/%lld` lets it run "
                      "again, `lode cancel %lld` ends the job",
                      id, (long long)index, id);
        return;
    }
    const struct piece *piece = job_find_piece(job, index);
    if (piece && !answer->words) {
        say_leased(answer, piece, index);
    } else {
        yield_explain_waiting(job, index, answer->why);
        say_job(answer);
    }
}

void scheduler_why(const struct scheduler *scheduler, int64_t job, int64_t index,
                   const struct place_words *words, struct buffer *why, struct buffer *change)
{
    struct answer answer = {scheduler, map_find_int64(scheduler->jobs, job), words, why, change};
    if (!answer.job) {
        buffer_printf(why, "job %lld is not waiting here: it has ended, or never was here",
                      (long long)job);
    } else if (index >= 0) {
        say_task(&answer, index);
    } else {
        say_job(&answer);
    }
}
