// `lode run` and `lode submit`.
#include "cli/answers.h"
#include "cli/fetch.h"
#include "cli/follow.h"
#include "cli/merged.h"
#include "cli/output.h"
#include "cli/submission.h"
#include "cli/waiting.h"

#include "base/calendar.h"
#include "base/memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int say_detached(int64_t job)
{
    long long id = (long long)job;
    (void)fprintf(stderr,
                  "lode: detached; job %lld goes on\n"
                  "      lode logs -f %lld    shows its output\n"
                  "      lode wait %lld       waits for its end\n"
                  "      lode cancel %lld     ends it\n",
                  id, id, id, id);
    return EXIT_SIGNAL + SIGINT;
}

// "from the cache: first run as job 12 on 2026-11-21 10:00 UTC".
static void say_first_run(struct contact *contact, const json_t *job)
{
    AUTO_JSON json_t *task = NULL;
    AUTO_BUFFER struct buffer path = {0};
    struct error ignored;
    buffer_printf(&path, "/v1/jobs/%lld/tasks/0", (long long)field_int64(job, "id"));
    if (contact_json(contact, "GET", path.bytes, NULL, &task, &ignored) != OK) {
        return;
    }
    int64_t first = field_int64(json_object_get(task, "cache"), "first_job");
    AUTO_JSON json_t *first_job = NULL;
    buffer_clear(&path);
    buffer_printf(&path, "/v1/jobs/%lld", (long long)first);
    if (first <= 0 || contact_json(contact, "GET", path.bytes, NULL, &first_job, &ignored) != OK) {
        return;
    }
    char date[CALENDAR_TEXT_SIZE];
    (void)calendar_format(field_time(first_job, "finished_at"), date);
    (void)fprintf(stderr, ": first run as job %lld on %.10s %.5s UTC", (long long)first, date,
                  date + 11);
}

static void say_cached(struct contact *contact, const json_t *job)
{
    const json_t *tasks = json_object_get(job, "tasks");
    int64_t cached = field_int64(tasks, "cached");
    int64_t total = field_int64(tasks, "total");
    if (cached <= 0) {
        return;
    }
    if (total == 1) {
        (void)fputs("lode: from the cache", stderr);
    } else {
        (void)fprintf(stderr, "lode: %lld of %lld tasks from the cache", (long long)cached,
                      (long long)total);
    }
    if (cached == total) {
        say_first_run(contact, job);
    }
    (void)fputc('\n', stderr);
}

static void say_counts(const json_t *job)
{
    const json_t *tasks = json_object_get(job, "tasks");
    AUTO_BUFFER struct buffer took = {0};
    display_duration(&took, field_time(job, "finished_at") - field_time(job, "submitted_at"));
    (void)fprintf(stderr, "lode: job %lld: %lld of %lld tasks succeeded",
                  (long long)field_int64(job, "id"), (long long)field_int64(tasks, "succeeded"),
                  (long long)field_int64(tasks, "total"));
    if (field_int64(tasks, "failed") > 0) {
        (void)fprintf(stderr, ", %lld failed", (long long)field_int64(tasks, "failed"));
    }
    (void)fprintf(stderr, " in %s\n", took.bytes);
}

// How to have the output files, or that there are none.
static void say_outputs(struct contact *contact, long long job)
{
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld/outputs?limit=1", job);
    AUTO_JSON json_t *page = NULL;
    struct error ignored;
    bool is_known = contact_json(contact, "GET", path, NULL, &page, &ignored) == OK;
    if (is_known && json_array_size(json_object_get(page, "outputs")) == 0) {
        (void)fprintf(stderr, "lode: no file matched --output: job %lld has kept none\n", job);
    } else {
        (void)fprintf(stderr, "lode: lode outputs %lld DIR fetches its output files\n", job);
    }
}

// What is worth saying of a job at its end: nothing, of a single command that ended by itself.
static void say_end(struct contact *contact, const json_t *job, int exit_status, bool will_fetch)
{
    long long id = (long long)field_int64(job, "id");
    bool is_single = field_int64(json_object_get(job, "tasks"), "total") == 1;
    if (job_is_held(job)) {
        job_say_held(job);
        return;
    }
    struct text state = field_text(job, "state");
    if (!is_single) {
        say_counts(job);
    }
    say_cached(contact, job);
    AUTO_BUFFER struct buffer message = {0};
    display_text(&message, field_text(job, "message"));
    bool is_plain =
        is_single && exit_status < EXIT_WALLTIME; // The command has said what it had to say.
    if (!text_equal(state, TEXT("succeeded")) && message.length > 0 && !is_plain) {
        (void)fprintf(stderr, "lode: job %lld %.*s: %s\n      lode why %lld says more\n", id,
                      TEXT_ARGS(state), message.bytes, id);
    }
    if (!will_fetch &&
        json_array_size(json_object_get(json_object_get(job, "spec"), "outputs")) > 0) {
        say_outputs(contact, id);
    }
}

static enum status fetch_and_say(struct contact *contact, int64_t job, const char *folder,
                                 bool is_json, struct error *error)
{
    AUTO_JSON json_t *list = NULL;
    TRY(fetch_outputs(contact, job, folder, is_json, &list, error));
    size_t count = json_array_size(list);
    if (!is_json) {
        (void)fprintf(stderr, "lode: %zu %s in %s\n", count, count == 1 ? "file" : "files", folder);
    }
    return OK;
}

// Follows a job that was submitted to its end; returns the exit status.
static int follow_to_end(struct contact *contact, const struct options *options,
                         const json_t *submitted)
{
    struct error error;
    AUTO_JSON json_t *job = NULL;
    bool is_json = options_has(options, "json");
    struct follow_options follow = {
        .job = field_int64(submitted, "id"),
        .task_count = field_int64(json_object_get(submitted, "tasks"), "total"),
        .is_json = is_json,
    };
    follow.has_progress = !is_json && follow.task_count > 1;
    follow.has_said_place = !is_json && waiting_say_place(submitted);
    enum status status = options_has(options, "stream") && !is_json
                             ? answers_follow(contact, &follow, &job, &error)
                             : follow_job(contact, &follow, &job, &error);
    if (contact->is_interrupted) {
        return say_detached(follow.job);
    }
    if (status != OK) {
        (void)command_fail(&error, EXIT_LODE);
        (void)say_detached(follow.job);
        return status == UNSUPPORTED ? EXIT_SIGNAL + SIGPIPE : EXIT_LODE;
    }
    int exit_status = job_exit_status(job);
    const char *folder = options_text(options, "fetch", NULL);
    if (!is_json && options_text(options, "merge", NULL)) {
        merged_say_parts(contact, job);
    }
    if (!is_json) {
        say_end(contact, job, exit_status, folder != NULL);
    }
    if (folder && fetch_and_say(contact, follow.job, folder, is_json, &error) != OK) {
        (void)command_fail(&error, EXIT_LODE);
        exit_status = exit_status == 0 ? EXIT_LODE : exit_status;
    }
    return exit_status;
}

static int run_run(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    if (submission_check(options, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_LODE);
    }
    contact.is_patient = true;
    contact_catch_interrupts(&contact);
    AUTO_JSON json_t *job = NULL;
    bool is_json = options_has(options, "json");
    if (submission_make(&contact, options, is_json, &job, &error) != OK) {
        if (contact.is_interrupted) {
            (void)fputs(
                "lode: interrupted before the site had answered; \"lode jobs\" shows whether the "
                "job was taken\n",
                stderr);
            return EXIT_SIGNAL + SIGINT;
        }
        return command_fail(&error, EXIT_LODE);
    }
    if (is_json) {
        AUTO_JSON json_t *event = json_pack("{s:s, s:O}", "event", "submitted", "job", job);
        (void)print_json(event);
    }
    return follow_to_end(&contact, options, job);
}

static const struct command_option RUN_OPTIONS[] = {
    SUBMISSION_OPTIONS,
    {"fetch", 0, OPTION_TEXT, "DIR", "fetch the output files into this folder at the end", NULL},
};

static const struct command_example RUN_EXAMPLES[] = {
    {"lode run -- hostname", "runs a command and prints what it prints"},
    {"lode run --data doi:10.5065/coads=coads -- ncdump -h /data/coads/coads_climatology.cdf",
     "runs it beside registered data"},
    {"lode run --file mean.py --count 12 -- python3 mean.py {index}",
     "runs a script of yours twelve times, with 0 to 11"},
    {"lode run --checkpoint state.bin --checkpoint-every 5m -- ./simulate",
     "goes on from the last state.bin, on any worker, when its worker leaves or dies"},
    {"lode run --over demo:images --output '*.png' --fetch plots -- convert {file} out.png",
     "runs once for each file of a dataset and fetches what came out"},
    {"seq 100000 | lode run --stream --items - --file square.py -- python3 square.py",
     "feeds lines to a program that answers each with a line"},
    {"lode run --at ocean --data doi:10.5065/coads -- ncdump -h "
     "/data/coads/coads_climatology.cdf",
     "runs it at the site ocean and brings its output here"},
    {"lode run --data ferret:coads --data ferret:levitus --output mean.txt --merge \"sh -c 'sort "
     "inputs/*/mean.txt'\" -- sh -c 'ncks -H /data/*/*.cdf > mean.txt'",
     "runs beside each of two datasets that lie at different sites, then over both results"},
};

const struct command COMMAND_RUN = {
    .name = "run",
    .usage = "[--] COMMAND...",
    .purpose = "runs a command beside the data and streams its output",
    .description =
        "The command runs on a worker of the site, shut in: it sees its working folder, "
        "the data and "
        "files named by options, and the programs of the machine. Output comes as it is "
        "written; of "
        "several tasks, each one's when it has ended. What was computed before from the "
        "same command, "
        "files and data is not computed again.\n\n"
        "Ctrl-C detaches: the job goes on, and lode says how to come back. A restart of "
        "the site is "
        "waited out.\n\n"
        "Where the data is not here, or --at says so, the job runs at another site that "
        "has it; lode "
        "says where, and why it waits when nothing happens for some seconds. \"lode "
        "plan\" shows the "
        "choice beforehand.\n\n"
        "A task during which workers were lost again and again is held: when nothing else "
        "is left of the job, lode run says so and returns with status 125; the job stays.\n\n"
        "In the command {index} is the task's number, {file} the path of its file, {} "
        "its item; {{ and }} "
        "are braces.",
    .statuses = EXIT_RUN_STATUSES,
    .group = GROUP_RUNNING,
    .options = OPTION_TABLE(RUN_OPTIONS),
    .examples = EXAMPLES(RUN_EXAMPLES),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .stops_at_operand = true,
    .run = run_run,
};

static int run_submit(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *job = NULL;
    if (submission_check(options, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    contact.is_patient = true;
    if (submission_make(&contact, options, options_has(options, "json"), &job, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        return print_json(job) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    return printf("%lld\n", (long long)field_int64(job, "id")) > 0 && fflush(stdout) == 0
               ? EXIT_SUCCESS
               : EXIT_FAILED;
}

static const struct command_option SUBMIT_OPTIONS[] = {SUBMISSION_OPTIONS};

static const struct command_example SUBMIT_EXAMPLES[] = {
    {"lode submit --count 1000 --walltime 1h -- ./simulate {index}",
     "prints the number of the new job"},
    {"lode submit --after 17 -- python3 merge.py", "runs when job 17 has succeeded"},
    {"lode submit --input-from 17 -- sh -c 'cat inputs/0/*/out.txt'",
     "runs over what the tasks of job 17 have left"},
    {"lode wait $(lode submit -- make)", "waits for what was submitted"},
};

const struct command COMMAND_SUBMIT = {
    .name = "submit",
    .usage = "[--] COMMAND...",
    .purpose = "submits a job and prints its number",
    .description =
        "As \"lode run\", without waiting. The job is durable when the number is printed.",
    .group = GROUP_RUNNING,
    .options = OPTION_TABLE(SUBMIT_OPTIONS),
    .examples = EXAMPLES(SUBMIT_EXAMPLES),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .stops_at_operand = true,
    .run = run_submit,
};
