// Commands on jobs: jobs, job show, wait, cancel, retry, why.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/waiting.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIST_LIMIT = 20, WAIT_SECONDS = 30, RUNNING_SHOWN_MAX = 10 };
static const int64_t WAIT_PAUSE_US =
    200000; // Between two looks at a job that changes all the time.

static const struct table_column JOB_COLUMNS[] = {
    {"JOB", true, false},        {"NAME", false, true},     {"STATE", false, false},
    {"TASKS", true, false},      {"FAILED", true, false},   {"OWNER", false, true},
    {"SUBMITTED", false, false}, {"DURATION", true, false},
};

// The command, where a job has no name.
static void add_job_name(struct table *table, const json_t *job)
{
    struct text name = field_text(job, "name");
    struct text command = field_text(job, "command");
    table_add(table, name.length > 0 ? name : command.length > 0 ? command : TEXT("-"));
}

// "running, 2 held"
static void add_job_state(struct table *table, const json_t *job)
{
    int64_t held = field_int64(json_object_get(job, "tasks"), "held");
    struct text state = field_text(job, "state");
    if (held > 0 && !job_is_held(job)) {
        table_addf(table, "%.*s, %lld held", TEXT_ARGS(state), (long long)held);
    } else {
        table_add(table, state);
    }
}

static enum status add_job(void *context, json_t *job, struct error *error)
{
    (void)error;
    struct table *table = context;
    int64_t now_us = clock_real_us();
    int64_t started_us = field_time(job, "started_at");
    int64_t finished_us = field_time(job, "finished_at");
    table_addf(table, "%lld", (long long)field_int64(job, "id"));
    add_job_name(table, job);
    add_job_state(table, job);
    table_addf(table, "%lld/%lld", (long long)job_tasks_ended(job),
               (long long)field_int64(json_object_get(job, "tasks"), "total"));
    table_addf(table, "%lld", (long long)field_int64(json_object_get(job, "tasks"), "failed"));
    table_add(table, field_text(job, "owner"));
    table_add_time(table, field_time(job, "submitted_at"), now_us);
    int64_t until_us = finished_us > 0 ? finished_us : now_us;
    table_add_duration(table, started_us > 0 ? until_us - started_us : 0);
    return OK;
}

static void jobs_path(const struct options *options, int64_t limit, struct buffer *path)
{
    static const char *const FILTERS[] = {"state", "owner"};
    buffer_printf(path, "/v1/jobs?limit=%lld", (long long)(limit < 1000 ? limit : 1000));
    for (size_t i = 0; i < sizeof(FILTERS) / sizeof(FILTERS[0]); i++) {
        const char *value = options_text(options, FILTERS[i], NULL);
        if (value) {
            buffer_printf(path, "&%s=", FILTERS[i]);
            percent_append(path, text_of(value));
        }
    }
}

static int run_jobs(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_BUFFER struct buffer path = {0};
    int64_t limit = options_int64(options, "limit", LIST_LIMIT);
    jobs_path(options, limit, &path);
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        AUTO_JSON json_t *page = NULL;
        return contact_json(&contact, "GET", path.bytes, NULL, &page, &error) == OK
                   ? (print_json(page) ? EXIT_SUCCESS : EXIT_FAILED)
                   : command_fail(&error, EXIT_FAILED);
    }
    struct table *table = table_new(JOB_COLUMNS, sizeof(JOB_COLUMNS) / sizeof(JOB_COLUMNS[0]));
    if (contact_list(&contact, path.bytes, "jobs", limit, add_job, table, &error) != OK) {
        table_free(table);
        return command_fail(&error, EXIT_FAILED);
    }
    return print_table(table) ? EXIT_SUCCESS : EXIT_FAILED;
}

static const struct command_option JOBS_OPTIONS[] = {
    {"state", 's', OPTION_TEXT, "STATE", "only jobs in this state",
     "waiting|running|held|succeeded|failed|cancelled"},
    {"owner", 0, OPTION_TEXT, "NAME", "only jobs of this principal", NULL},
    {"limit", 'l', OPTION_POSITIVE, "N", "at most N jobs (default: 20)", NULL},
};

static const struct command_example JOBS_EXAMPLES[] = {
    {"lode jobs", "lists the newest jobs"},
    {"lode jobs --state failed --json", "lists those that failed, for programs"},
};

const struct command COMMAND_JOBS = {
    .name = "jobs",
    .usage = "",
    .purpose = "lists jobs, newest first",
    .group = GROUP_JOBS,
    .options = OPTION_TABLE(JOBS_OPTIONS),
    .examples = EXAMPLES(JOBS_EXAMPLES),
    .run = run_jobs,
};

static void say_time(struct buffer *out, const char *name, const json_t *object, const char *field)
{
    struct text exact = field_text(object, field);
    if (exact.length > 0) {
        buffer_printf(out, "%-14s%.*s (", name, TEXT_ARGS(exact));
        display_time(out, field_time(object, field), clock_real_us());
        buffer_append_string(out, ")\n");
    }
}

static void say_command(struct buffer *out, const json_t *command)
{
    AUTO_BUFFER struct buffer words = {0};
    for (size_t i = 0; i < json_array_size(command); i++) {
        buffer_append_string(&words, i > 0 ? " " : "");
        buffer_append_text(&words, json_text(json_array_get(command, i)));
    }
    append_property(out, "Command:", buffer_text(&words));
}

// "3 failed by themselves, 1 reached a limit": attempts that came to nothing, where there were any.
static void say_failures(struct buffer *out, const json_t *object)
{
    static const char *const SAID[][2] = {
        {"fail", "failed by themselves"},    {"limit", "reached a limit"},
        {"lost", "lost their worker"},       {"input", "missed an input"},
        {"worker", "had a worker at fault"},
    };
    const json_t *failures = json_object_get(object, "failures");
    AUTO_BUFFER struct buffer words = {0};
    for (size_t i = 0; i < sizeof SAID / sizeof SAID[0]; i++) {
        int64_t count = field_int64(failures, SAID[i][0]);
        if (count > 0) {
            buffer_printf(&words, "%s%lld %s", words.length > 0 ? ", " : "", (long long)count,
                          SAID[i][1]);
        }
    }
    append_property(out, "Attempts:", buffer_text(&words));
}

// "78 succeeded, 0 failed, 0 running, 0 waiting of 3000; 2922 cancelled"
static void say_tasks(struct buffer *out, const json_t *tasks)
{
    static const char *const RARE[][2] = {
        {"cancelled", "cancelled"}, {"held", "held"}, {"cached", "from the cache"}};
    buffer_printf(out, "%-14s%lld succeeded, %lld failed, %lld running, %lld waiting of %lld",
                  "Tasks:", (long long)field_int64(tasks, "succeeded"),
                  (long long)field_int64(tasks, "failed"), (long long)field_int64(tasks, "running"),
                  (long long)field_int64(tasks, "waiting"), (long long)field_int64(tasks, "total"));
    for (size_t i = 0; i < sizeof RARE / sizeof RARE[0]; i++) {
        int64_t count = field_int64(tasks, RARE[i][0]);
        if (count > 0) {
            buffer_printf(out, "; %lld %s", (long long)count, RARE[i][1]);
        }
    }
    buffer_append_byte(out, '\n');
}

static void show_job(const json_t *job, struct buffer *out)
{
    const json_t *code = json_object_get(job, "exit_code");
    buffer_printf(out, "%-14s%lld\n", "Job:", (long long)field_int64(job, "id"));
    append_property(out, "Name:", field_text(job, "name"));
    append_property(out, "State:", field_text(job, "state"));
    append_property(out, "Message:", field_text(job, "message"));
    say_command(out, json_object_get(json_object_get(job, "spec"), "command"));
    say_tasks(out, json_object_get(job, "tasks"));
    say_failures(out, job);
    if (json_is_integer(code)) {
        buffer_printf(out, "%-14s%lld\n", "Exit status:", (long long)json_integer_value(code));
    }
    append_property(out, "Runs at:", field_text(job, "at"));
    append_property(out, "Place:", field_text(job, "place"));
    append_property(out, "Owner:", field_text(job, "owner"));
    append_property(out, "Group:", field_text(job, "group"));
    say_time(out, "Submitted:", job, "submitted_at");
    say_time(out, "Started:", job, "started_at");
    say_time(out, "Finished:", job, "finished_at");
    append_property(out, "Identity:", field_text(job, "identity"));
}

// "17/3 on desk, 17/8 on desk"
static void say_running(struct buffer *out, const json_t *page)
{
    AUTO_BUFFER struct buffer words = {0};
    const json_t *tasks = json_object_get(page, "tasks");
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        const json_t *task = json_array_get(tasks, i);
        buffer_printf(&words, "%s%lld/%lld on %.*s", i > 0 ? ", " : "",
                      (long long)field_int64(task, "job"), (long long)field_int64(task, "index"),
                      TEXT_ARGS(field_text(task, "worker")));
    }
    buffer_append_string(&words, json_is_string(json_object_get(page, "next")) ? ", ..." : "");
    append_property(out, "Running:", buffer_text(&words));
}

static enum status show_running(struct contact *contact, const json_t *job, struct buffer *out,
                                struct error *error)
{
    AUTO_JSON json_t *page = NULL;
    AUTO_BUFFER struct buffer path = {0};
    if (field_int64(json_object_get(job, "tasks"), "running") == 0) {
        return OK;
    }
    buffer_printf(&path, "/v1/jobs/%lld/tasks?state=running&limit=%d",
                  (long long)field_int64(job, "id"), RUNNING_SHOWN_MAX);
    TRY(contact_json(contact, "GET", path.bytes, NULL, &page, error));
    say_running(out, page);
    return OK;
}

static void say_bytes(struct buffer *out, const char *name, int64_t bytes)
{
    if (bytes > 0) {
        buffer_printf(out, "%-14s", name);
        display_bytes(out, bytes);
        buffer_append_byte(out, '\n');
    }
}

static void say_seconds(struct buffer *out, const char *name, const json_t *task, const char *field)
{
    const json_t *seconds = json_object_get(task, field);
    if (json_is_number(seconds)) {
        buffer_printf(out, "%-14s", name);
        display_duration(out, (int64_t)(json_number_value(seconds) * 1e6));
        buffer_append_byte(out, '\n');
    }
}

static void show_task(const json_t *task, struct buffer *out)
{
    const json_t *cache = json_object_get(task, "cache");
    buffer_printf(out, "%-14s%lld/%lld\n", "Task:", (long long)field_int64(task, "job"),
                  (long long)field_int64(task, "index"));
    append_property(out, "State:", field_text(task, "state"));
    append_property(out, "Outcome:", field_text(task, "outcome"));
    append_property(out, "Message:", field_text(task, "message"));
    say_failures(out, task);
    say_command(out, json_object_get(task, "command"));
    append_property(out, "Program:", field_text(task, "executable"));
    append_property(out, "Worker:", field_text(task, "worker"));
    append_property(out, "Host:", field_text(task, "host"));
    append_property(out, "Sandbox:", field_text(task, "sandbox"));
    say_time(out, "Started:", task, "started_at");
    say_seconds(out, "Took:", task, "wall_seconds");
    say_seconds(out, "CPU time:", task, "cpu_seconds");
    say_bytes(out, "Peak memory:", field_int64(task, "peak_memory_bytes"));
    const json_t *inputs = json_object_get(task, "inputs");
    const json_t *outputs = json_object_get(task, "outputs");
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const json_t *input = json_array_get(inputs, i);
        struct text path = field_text(input, "path");
        append_property(out, "Input:", path.length > 0 ? path : field_text(input, "name"));
    }
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        append_property(out, "Output:", field_text(json_array_get(outputs, i), "path"));
    }
    if (field_bool(cache, "hit")) {
        buffer_printf(out, "%-14sfirst run as task %lld/%lld\n",
                      "Cache:", (long long)field_int64(cache, "first_job"),
                      (long long)field_int64(cache, "first_index"));
    }
}

// "/v1/jobs/17<rest>" or "/v1/jobs/17/tasks/3<rest>" for what was typed; *task is -1 without a task.
static enum status job_path(const char *operand, const char *rest, struct buffer *path,
                            int64_t *task, struct error *error)
{
    int64_t job = 0;
    TRY(parse_job(operand, &job, task, error));
    buffer_printf(path, "/v1/jobs/%lld", (long long)job);
    if (*task >= 0) {
        buffer_printf(path, "/tasks/%lld", (long long)*task);
    }
    buffer_append_string(path, rest);
    return OK;
}

static int run_job_show(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_BUFFER struct buffer path = {0};
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *answer = NULL;
    int64_t task = -1;
    if (job_path(options->operands[0], "", &path, &task, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK ||
        contact_json(&contact, "GET", path.bytes, NULL, &answer, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        return print_json(answer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    if (task >= 0) {
        show_task(answer, &out);
        return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    show_job(answer, &out);
    if (show_running(&contact, answer, &out, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
}

static const struct command_example JOB_SHOW_EXAMPLES[] = {
    {"lode job show 17", "shows the state of job 17"},
    {"lode job show 17/3 --json",
     "prints the whole record of its task 3: inputs and outputs with digests"},
};

const struct command COMMAND_JOB_SHOW = {
    .name = "job show",
    .usage = "JOB[/TASK]",
    .purpose = "shows a job, or the record of one of its tasks",
    .group = GROUP_JOBS,
    .examples = EXAMPLES(JOB_SHOW_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_job_show,
};

// Waits until a job has ended or is held; *out gets it (a new reference).
static enum status wait_for(struct contact *contact, int64_t job, bool is_quiet, json_t **out,
                            struct error *error)
{
    AUTO_FREE char *label = memory_format("job %lld", (long long)job);
    struct progress progress;
    progress_init(&progress, label, PROGRESS_TASKS, is_quiet);
    struct waiting waiting;
    waiting_begin(&waiting, contact, job, &progress, false);
    int64_t version = -1;
    enum status status = OK;
    while (status == OK && !*out) {
        AUTO_JSON json_t *now = NULL;
        AUTO_BUFFER struct buffer path = {0};
        buffer_printf(&path, "/v1/jobs/%lld", (long long)job);
        if (version >= 0) {
            buffer_printf(&path, "?wait=%d", WAIT_SECONDS);
        }
        if (version >= 0 && progress.view.width > 0) {
            buffer_printf(&path, "&after_version=%lld", (long long)version);
            contact_sleep(contact, WAIT_PAUSE_US);
        }
        status = contact_json(contact, "GET", path.bytes, NULL, &now, error);
        if (status == OK) {
            version = field_int64(now, "version");
            progress_update(&progress, job_tasks_ended(now),
                            field_int64(json_object_get(now, "tasks"), "total"));
            *out = job_has_ended(now) || job_is_held(now) ? TAKE(now) : NULL;
        }
    }
    progress_hide(&progress);
    waiting_end(&waiting);
    return status;
}

static int run_wait(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    bool is_json = options_has(options, "json");
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_LODE);
    }
    contact.is_patient = true;
    contact_catch_interrupts(&contact);
    int exit_status = EXIT_SUCCESS;
    for (size_t i = 0; i < options->operand_count; i++) {
        AUTO_JSON json_t *job = NULL;
        int64_t id = 0;
        if (parse_job_only(options->operands[i], &id, &error) != OK) {
            return command_fail(&error, EXIT_USAGE);
        }
        enum status status = wait_for(&contact, id, is_json, &job, &error);
        if (contact.is_interrupted) {
            return EXIT_SIGNAL + SIGINT;
        }
        if (status != OK) {
            return command_fail(&error, EXIT_LODE);
        }
        if (is_json) {
            (void)print_json(job);
        } else if (job_is_held(job)) {
            job_say_held(job);
        } else if (!text_equal(field_text(job, "state"), TEXT("succeeded"))) {
            AUTO_BUFFER struct buffer message = {0};
            display_text(&message, field_text(job, "message"));
            (void)fprintf(stderr, "lode: job %lld %.*s%s%s\n", (long long)id,
                          TEXT_ARGS(field_text(job, "state")), message.length > 0 ? ": " : "",
                          message.length > 0 ? message.bytes : "");
        }
        exit_status = exit_status == 0 ? job_exit_status(job) : exit_status;
    }
    return exit_status;
}

static const struct command_example WAIT_EXAMPLES[] = {
    {"lode wait 17", "waits for job 17 and exits as its command did"},
    {"lode wait 17 18 && lode submit -- ./merge", "goes on when both have succeeded"},
};

const struct command COMMAND_WAIT = {
    .name = "wait",
    .usage = "JOB...",
    .purpose = "waits until jobs have ended, or are held",
    .statuses = EXIT_RUN_STATUSES,
    .group = GROUP_JOBS,
    .examples = EXAMPLES(WAIT_EXAMPLES),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_wait,
};

// The path that changes the job of an operand, or its task where one may be named.
static enum status change_path(const char *operand, const char *verb, bool takes_task,
                               struct buffer *path, struct error *error)
{
    int64_t job = 0;
    int64_t task = -1;
    TRY(takes_task ? parse_job(operand, &job, &task, error) : parse_job_only(operand, &job, error));
    buffer_printf(path, "/v1/jobs/%lld", (long long)job);
    if (task >= 0) {
        buffer_printf(path, "/tasks/%lld", (long long)task);
    }
    buffer_printf(path, "/%s", verb);
    return OK;
}

// POSTs to /v1/jobs/<job>/<verb> for each operand and says what came of it.
static int change_jobs(const struct options *options, const char *verb, bool takes_task,
                       const char *said)
{
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    int exit_status = EXIT_SUCCESS;
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    for (size_t i = 0; i < options->operand_count; i++) {
        AUTO_JSON json_t *answer = NULL;
        AUTO_BUFFER struct buffer path = {0};
        if (change_path(options->operands[i], verb, takes_task, &path, &error) != OK) {
            return command_fail(&error, EXIT_USAGE);
        }
        if (contact_json(&contact, "POST", path.bytes, NULL, &answer, &error) != OK) {
            exit_status = command_fail(&error, EXIT_FAILED);
        } else if (options_has(options, "json")) {
            (void)print_json(answer);
        } else {
            (void)printf("%s %s %s\n", strchr(options->operands[i], '/') ? "task" : "job",
                         options->operands[i], said);
        }
    }
    return fflush(stdout) == 0 ? exit_status : EXIT_FAILED;
}

static int run_cancel(const struct command *command, const struct options *options)
{
    (void)command;
    return change_jobs(options, "cancel", false, "is cancelled");
}

static const struct command_example CANCEL_EXAMPLES[] = {
    {"lode cancel 17", "stops its running tasks and drops those that wait"},
};

const struct command COMMAND_CANCEL = {
    .name = "cancel",
    .usage = "JOB...",
    .purpose = "cancels jobs",
    .group = GROUP_JOBS,
    .examples = EXAMPLES(CANCEL_EXAMPLES),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_cancel,
};

static int run_retry(const struct command *command, const struct options *options)
{
    (void)command;
    return change_jobs(options, "retry", true,
                       "runs again what has failed, was cancelled or is held");
}

static const struct command_example RETRY_EXAMPLES[] = {
    {"lode retry 17", "runs the failed, cancelled or held tasks of job 17 again, and no other"},
    {"lode retry 17/3", "lets its task 3 run again, which is held"},
};

const struct command COMMAND_RETRY = {
    .name = "retry",
    .usage = "JOB[/TASK]...",
    .purpose = "runs failed, cancelled and held tasks again",
    .description =
        "Of a job that has ended, the failed and cancelled tasks run again. Of one that has "
        "not, those that are held: workers were lost while running them, more often than "
        "--retries allows. \"lode why JOB/TASK\" says what is known of these workers.",
    .group = GROUP_JOBS,
    .examples = EXAMPLES(RETRY_EXAMPLES),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_retry,
};

static void say_why(const void *context, const json_t *answer, struct buffer *out)
{
    (void)context;
    display_text(out, field_text(answer, "why"));
    buffer_append_byte(out, '\n');
    if (field_text(answer, "stderr_line").length > 0) {
        buffer_append_string(out, "its last line on standard error: ");
        display_text(out, field_text(answer, "stderr_line"));
        buffer_append_byte(out, '\n');
    }
    if (field_text(answer, "change").length > 0) {
        display_text(out, field_text(answer, "change"));
        buffer_append_byte(out, '\n');
    }
    const json_t *evidence = json_object_get(answer, "evidence");
    for (size_t i = 0; i < json_array_size(evidence); i++) {
        const json_t *each = json_array_get(evidence, i);
        buffer_printf(out, "%.*s  ", TEXT_ARGS(field_text(each, "at")));
        display_text(out, field_text(each, "text"));
        buffer_append_byte(out, '\n');
    }
}

static int run_why(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    int64_t task = -1;
    AUTO_BUFFER struct buffer path = {0};
    if (job_path(options->operands[0], "/why", &path, &task, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    return print_request(options, &(struct request){"GET", path.bytes, NULL}, say_why, NULL);
}

static const struct command_example WHY_EXAMPLES[] = {
    {"lode why 17", "says what job 17 waits for, or why it failed, and what would change that"},
    {"lode why 17/3", "the same of its task 3, with the last line that it printed as it failed"},
};

const struct command COMMAND_WHY = {
    .name = "why",
    .usage = "JOB[/TASK]",
    .purpose = "says why a job or task waits, failed or was cancelled",
    .group = GROUP_JOBS,
    .examples = EXAMPLES(WHY_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_why,
};
