// Says in words why a job or a task is not running. People ask this, not the program: it may look at all workers and leases.
#include "jobs/why.h"

void group_write_name(const struct group_state *group, struct buffer *out)
{
    if (group->name) {
        buffer_printf(out, "\"%s\"", group->name);
    } else {
        buffer_append_int64(out, group->id);
    }
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
