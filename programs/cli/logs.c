// `lode logs` and `lode outputs`.
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/follow.h"
#include "cli/output.h"

#include "base/hex.h"
#include "base/memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIVE_WAIT_SECONDS = 1 };

static const char *const STREAMS[2] = {"stdout", "stderr"};

struct logs {
    struct contact *contact;
    int64_t job;
    bool is_json;
    bool has_printed;
};

// One output of a task as JSON: {"index", "stream", "base64"}; nothing when it is empty.
static enum status print_log_json(struct logs *logs, int64_t task, const char *which,
                                  struct error *error)
{
    AUTO_BUFFER struct buffer bytes = {0};
    AUTO_BUFFER struct buffer base64 = {0};
    AUTO_FREE char *path =
        memory_format("/v1/jobs/%lld/tasks/%lld/%s", (long long)logs->job, (long long)task, which);
    const struct http_ask ask = {.method = "GET", .path = path};
    TRY(contact_ask(logs->contact, &ask, &bytes, error));
    if (bytes.length == 0) {
        return OK;
    }
    base64_append(&base64, bytes.bytes, bytes.length);
    AUTO_JSON json_t *line =
        json_pack("{s:s, s:I, s:s, s:i, s:s}", "event", "log", "index", (json_int_t)task, "stream",
                  which, "offset", 0, "base64", base64.bytes);
    return print_json(line) ? OK : error_set(error, UNSUPPORTED, "nobody reads standard output");
}

static enum status print_log(struct logs *logs, int64_t task, int which, struct error *error)
{
    if (logs->is_json) {
        return print_log_json(logs, task, STREAMS[which], error);
    }
    struct printed printed = {0};
    enum status status = follow_copy_output(logs->contact, logs->job, task, which, &printed, error);
    logs->has_printed = logs->has_printed || printed.bytes[which] > 0;
    return status;
}

// A task of the list: what it has written, if anything.
static enum status print_task(void *context, json_t *task, struct error *error)
{
    for (int i = 0; i < 2; i++) {
        const json_t *output = json_object_get(task, STREAMS[i]);
        bool is_empty = json_is_object(output) && field_int64(output, "size_bytes") == 0;
        if (!is_empty) {
            TRY(print_log(context, field_int64(task, "index"), i, error));
        }
    }
    return OK;
}

// Has the task ended? Its job's state says so for tasks that are not listed.
static enum status task_has_ended(struct logs *logs, int64_t task, bool *out, struct error *error)
{
    AUTO_JSON json_t *record = NULL;
    AUTO_FREE char *path =
        memory_format("/v1/jobs/%lld/tasks/%lld", (long long)logs->job, (long long)task);
    TRY(contact_json(logs->contact, "GET", path, NULL, &record, error));
    struct text state = field_text(record, "state");
    *out = text_equal(state, TEXT("succeeded")) || text_equal(state, TEXT("failed")) ||
           text_equal(state, TEXT("cancelled"));
    return OK;
}

// Copies both outputs of one task until it has ended.
static enum status follow_task(struct logs *logs, int64_t task, struct error *error)
{
    struct printed printed = {0};
    for (bool has_ended = false; !has_ended;) {
        TRY(task_has_ended(logs, task, &has_ended, error));
        int64_t before = printed.bytes[0] + printed.bytes[1];
        for (int i = 0; i < 2; i++) {
            TRY(follow_copy_output(logs->contact, logs->job, task, i, &printed, error));
        }
        if (!has_ended && printed.bytes[0] + printed.bytes[1] == before) {
            contact_sleep(logs->contact, LIVE_WAIT_SECONDS * INT64_C(200000));
        }
    }
    return OK;
}

// Of tasks that were cancelled nothing is kept, and silence would look like tasks that wrote nothing.
static enum status say_unkept(struct logs *logs, int64_t task, struct error *error)
{
    AUTO_JSON json_t *found = NULL;
    AUTO_FREE char *path =
        task < 0 ? memory_format("/v1/jobs/%lld", (long long)logs->job)
                 : memory_format("/v1/jobs/%lld/tasks/%lld", (long long)logs->job, (long long)task);
    TRY(contact_json(logs->contact, "GET", path, NULL, &found, error));
    int64_t cancelled = field_int64(json_object_get(found, "tasks"), "cancelled");
    if (task >= 0 && text_equal(field_text(found, "state"), TEXT("cancelled"))) {
        (void)fprintf(stderr,
                      "lode: task %lld/%lld was cancelled: what it had written is not kept\n",
                      (long long)logs->job, (long long)task);
    } else if (task < 0 && cancelled > 0) {
        (void)fprintf(stderr,
                      "lode: %lld task%s of job %lld %s cancelled: what %s had written is not "
                      "kept\n",
                      (long long)cancelled, cancelled == 1 ? "" : "s", (long long)logs->job,
                      cancelled == 1 ? "was" : "were", cancelled == 1 ? "it" : "they");
    }
    return OK;
}

static enum status follow_whole(struct logs *logs, struct error *error)
{
    AUTO_JSON json_t *job = NULL;
    AUTO_JSON json_t *end = NULL;
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld", (long long)logs->job);
    TRY(contact_json(logs->contact, "GET", path, NULL, &job, error));
    if (job_has_ended(job)) {
        TRY(say_unkept(logs, -1, error));
    }
    const struct follow_options follow = {
        .job = logs->job,
        .task_count = field_int64(json_object_get(job, "tasks"), "total"),
        .is_json = logs->is_json,
    };
    return follow_job(logs->contact, &follow, &end, error);
}

static enum status show_logs(struct logs *logs, int64_t task, bool is_followed, struct error *error)
{
    if (task >= 0 && is_followed && !logs->is_json) {
        return follow_task(logs, task, error);
    }
    if (task >= 0) {
        TRY(print_log(logs, task, 0, error));
        TRY(print_log(logs, task, 1, error));
        return say_unkept(logs, task, error);
    }
    if (is_followed) {
        return follow_whole(logs, error);
    }
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld/tasks?limit=1000", (long long)logs->job);
    TRY(contact_list(logs->contact, path, "tasks", 0, print_task, logs, error));
    return say_unkept(logs, -1, error);
}

// Nothing has come of what runs still: who reads along is told of the way to see it.
static void say_running(const struct logs *logs)
{
    AUTO_JSON json_t *job = NULL;
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld", (long long)logs->job);
    struct error ignored;
    if (isatty(STDERR_FILENO) &&
        contact_json(logs->contact, "GET", path, NULL, &job, &ignored) == OK &&
        field_int64(json_object_get(job, "tasks"), "running") > 0) {
        (void)fprintf(stderr, "lode: job %lld is running; lode logs -f %lld follows it\n",
                      (long long)logs->job, (long long)logs->job);
    }
}

static int run_logs(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    int64_t job = 0;
    int64_t task = -1;
    if (parse_job(options->operands[0], &job, &task, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    bool is_followed = options_has(options, "follow");
    if (is_followed) {
        contact.is_patient = true;
        contact_catch_interrupts(&contact);
    }
    struct logs logs = {&contact, job, options_has(options, "json"), false};
    enum status status = show_logs(&logs, task, is_followed, &error);
    if (status == OK && !is_followed && !logs.is_json && !logs.has_printed) {
        say_running(&logs);
    }
    if (contact.is_interrupted) {
        return EXIT_SIGNAL + SIGINT;
    }
    if (status == UNSUPPORTED) {
        return EXIT_SIGNAL + SIGPIPE;
    }
    return status == OK ? EXIT_SUCCESS : command_fail(&error, EXIT_FAILED);
}

static const struct command_option LOGS_OPTIONS[] = {
    {"follow", 'f', OPTION_FLAG, NULL, "go on until the job has ended", NULL},
};

static const struct command_example LOGS_EXAMPLES[] = {
    {"lode logs 17", "prints what the tasks of job 17 have written"},
    {"lode logs -f 17", "the same, and goes on as more is written"},
    {"lode logs 17/3 2>errors", "one task's output; its standard error into a file"},
};

const struct command COMMAND_LOGS = {
    .name = "logs",
    .usage = "JOB[/TASK]",
    .purpose = "prints what tasks have written",
    .description = "Standard output of the tasks goes to standard output, their standard error to "
                   "standard error.",
    .statuses = "130: Ctrl-C was typed here; the job goes on.",
    .group = GROUP_JOBS,
    .options = OPTION_TABLE(LOGS_OPTIONS),
    .examples = EXAMPLES(LOGS_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_logs,
};

static const struct table_column OUTPUT_COLUMNS[] = {
    {"TASK", true, false}, {"SIZE", true, false}, {"PATH", false, true}};

static void say_no_outputs(int64_t job)
{
    (void)fprintf(stderr,
                  "lode: job %lld has kept no files; --output of lode run says which to keep\n",
                  (long long)job);
}

static bool print_outputs(const json_t *outputs)
{
    struct table *table = table_new(OUTPUT_COLUMNS, 3);
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const json_t *output = json_array_get(outputs, i);
        table_addf(table, "%lld", (long long)field_int64(output, "index"));
        table_add_bytes(table, field_int64(output, "size_bytes"));
        table_add(table, field_text(output, "path"));
    }
    return print_table(table);
}

static enum status list_outputs(struct contact *contact, int64_t job, bool is_json,
                                struct error *error)
{
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld/outputs?limit=1000", (long long)job);
    AUTO_JSON json_t *document = NULL;
    TRY(contact_list_all(contact, path, "outputs", &document, error));
    const json_t *outputs = json_object_get(document, "outputs");
    if (!is_json && json_array_size(outputs) == 0) {
        say_no_outputs(job);
        return OK;
    }
    bool is_read = is_json ? print_json(document) : print_outputs(outputs);
    return is_read ? OK : error_set(error, UNSUPPORTED, "nobody reads");
}

static int run_outputs(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *list = NULL;
    int64_t job = 0;
    bool is_json = options_has(options, "json");
    const char *folder = options->operands[1];
    if (parse_job_only(options->operands[0], &job, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    contact.is_patient = true;
    enum status status = folder ? fetch_outputs(&contact, job, folder, is_json, &list, &error)
                                : list_outputs(&contact, job, is_json, &error);
    if (status != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (list && is_json) {
        AUTO_JSON json_t *document = json_pack("{s:s, s:O}", "folder", folder, "outputs", list);
        return print_json(document) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    if (list) {
        size_t count = json_array_size(list);
        if (count == 0) {
            say_no_outputs(job);
        } else {
            (void)printf("%zu %s in %s\n", count, count == 1 ? "file" : "files", folder);
        }
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILED;
}

static const struct command_example OUTPUTS_EXAMPLES[] = {
    {"lode outputs 17", "lists the files that job 17 has kept (--output of lode run)"},
    {"lode outputs 17 plots", "fetches them: plots/PATH for one task, plots/TASK/PATH for several"},
};

const struct command COMMAND_OUTPUTS = {
    .name = "outputs",
    .usage = "JOB [DIR]",
    .purpose = "lists a job's output files, or fetches them into a folder",
    .description =
        "Files are checked against their digests. Run again after a break it goes on where it was; "
        "what is there already is not fetched again. Nothing outside the folder is touched.",
    .group = GROUP_JOBS,
    .examples = EXAMPLES(OUTPUTS_EXAMPLES),
    .operands_min = 1,
    .operands_max = 2,
    .run = run_outputs,
};
