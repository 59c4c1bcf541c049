// lode worker: runs tasks for a site until SIGTERM.
#include "commands.h"

#include "base/json.h"
#include "base/memory.h"
#include "helper/run.h"
#include "jobs/signal_names.h"
#include "jobs/spec.h"
#include "os/file.h"
#include "os/process.h"
#include "worker/choose.h"
#include "worker/trust.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum {
    EXIT_NO_SANDBOX = 3,
    EXIT_NO_RUNNER = 4,
    GRACE_SECONDS = 600,
    NOTICE_SECONDS = 5,
    WARNING_SECONDS = 60, // As Slurm's.
    HOST_MAX = 256,
    TOKEN_FILE_MAX = 4096,
};
enum { WORKER_LABELS_MAX = 64 };

// What the two know of each other before they talk.
struct meeting {
    struct worker_site site;
    struct worker_key own;
};

// "USR1@60": the signal that says that the end comes, and how soon.
static enum status read_warning(const char *text, struct worker_options *options,
                                struct error *error)
{
    if (!text) {
        return OK;
    }
    struct text whole = text_of(text);
    size_t at = text_find_byte(whole, 0, '@');
    struct text time = at < whole.length ? text_slice(whole, at + 1, whole.length) : TEXT("60");
    options->warning_signal = signal_from_name(text_slice(whole, 0, at));
    if (options->warning_signal == 0 || !text_to_duration_us(time, &options->warning_us)) {
        (void)error_set(error, INVALID, "lode worker: --warning-signal \"%.60s\" is no signal",
                        text);
        error_fix(error, "write %s, and how long after it the end comes: USR1@120", SIGNAL_NAMES);
        return INVALID;
    }
    return OK;
}

static enum status read_labels(const struct options *given, const char **labels,
                               struct worker_options *options, struct error *error)
{
    size_t at = 0;
    for (const char *label; (label = options_next(given, "label", &at)) != NULL;) {
        if (options->label_count == WORKER_LABELS_MAX) {
            return error_set(error, INVALID, "lode worker: more than %d labels", WORKER_LABELS_MAX);
        }
        TRY(label_check(text_of(label), error));
        labels[options->label_count++] = label;
    }
    options->labels = labels;
    return OK;
}

static enum status read_gpus(const struct options *given, struct arena *arena,
                             struct worker_options *options, struct error *error)
{
    return gpu_names_choose("", getenv("CUDA_VISIBLE_DEVICES"), options_int64(given, "gpus", -1),
                            arena, &options->gpus, error);
}

static enum status read_options(const struct options *given, struct worker_options *options,
                                struct error *error)
{
    options->site_file = options_text(given, "site-file", NULL);
    options->token_file = options_text(given, "token-file", NULL);
    options->key_path = options_text(given, "key", NULL);
    options->certificate_path = options_text(given, "certificate", NULL);
    options->name = options_text(given, "name", options->name);
    options->groups = options_text(given, "groups", NULL);
    options->runner = options_text(given, "runner", options->runner);
    options->cpus = options_number(given, "cpus", options->cpus);
    options->memory_bytes = options_int64(given, "memory", options->memory_bytes);
    options->serve_address = options_text(given, "serve", NULL);
    options->cache_bytes = options_int64(given, "cache-size", -1);
    options->grace_us = options_int64(given, "grace", options->grace_us);
    options->lifetime_us = options_int64(given, "lifetime", 0);
    options->notice_us = options_int64(given, "notice", options->notice_us);
    TRY(read_warning(options_text(given, "warning-signal", NULL), options, error));
    options->has_sandbox = strcmp(options_text(given, "sandbox", "bubblewrap"), "none") != 0;
    if (options->memory_bytes <= 0) {
        return error_set(error, INVALID, "lode worker: --memory must be above 0");
    }
    if (!options->key_path != !options->certificate_path) {
        return error_set(error, INVALID, "lode worker: --certificate and --key go together");
    }
    if (options->token_file && options->key_path) {
        return error_set(error, INVALID,
                         "lode worker: --token-file and --certificate exclude each other");
    }
    return OK;
}

// A file that goes later may come back, and is awaited; one that is not there at the start is a mistake.
static enum status check_token_file(const char *path, struct error *error)
{
    AUTO_BUFFER struct buffer token = {0};
    enum status status = file_read(path, TOKEN_FILE_MAX, &token, error);
    if (status != OK) {
        error_fix(error, "--token-file names a file with a token of the site, which `lode token "
                         "create --role worker` makes there");
    }
    return status;
}

// Who the worker is to the site, and who the site is to the worker.
static enum status settle_trust(const struct options *given, struct worker_options *options,
                                struct meeting *meeting, struct error *error)
{
    if (options->token_file) {
        TRY(check_token_file(options->token_file, error));
    }
    if (!options->token_file && !options->key_path) {
        TRY(worker_key_ensure(options->directory, options->name, &meeting->own, error));
        options->key_path = meeting->own.key_path;
        options->certificate_path = meeting->own.certificate_path;
    } else if (options->certificate_path) {
        TRY(worker_certificate_read(options->certificate_path, &meeting->own.fingerprint, error));
    }
    if (options->site_file) {
        return OK;
    }
    TRY(worker_site_choose(given, &meeting->site, error));
    if (!meeting->site.key.text[0]) {
        TRY(worker_meet_site(given, meeting->site.url, &meeting->site.key, error));
    }
    options->site = meeting->site.url;
    options->fingerprint = meeting->site.key.text;
    return OK;
}

// lode-runner beside this program, in a build folder or installed.
static char *find_runner(void)
{
    static const char *const places[] = {"lode-runner", "runner/lode-runner",
                                         "../libexec/lode/lode-runner", "../lib/lode/lode-runner"};
    AUTO_FREE char *program = process_program();
    char *slash = program ? strrchr(program, '/') : NULL;
    if (!slash) {
        return NULL;
    }
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        AUTO_FREE char *path = memory_format("%s/%s", program, places[i]);
        if (access(path, X_OK) == 0) {
            return TAKE(path);
        }
    }
    return NULL;
}

// Writes one JSON document in a line of its own at once.
static void print_line(const json_t *document)
{
    AUTO_BUFFER struct buffer text = {0};
    json_write(document, false, &text);
    (void)printf("%s\n", text.bytes);
    (void)fflush(stdout);
}

static void print_welcome(enum worker_welcome welcome)
{
    AUTO_JSON json_t *document =
        json_pack("{s:s}", "state", welcome == WORKER_PENDING ? "pending" : "registered");
    print_line(document);
}

// For programs that start workers: why this one does not serve.
static void print_failure(const struct options *given, const struct error *error)
{
    if (!options_has(given, "json")) {
        return;
    }
    AUTO_JSON json_t *document = json_pack(
        "{s:s, s:s, s:o, s:o}", "state", "failed", "status", status_name(error->status), "detail",
        json_from_text(text_of(error->detail)), "fix", json_from_text(text_of(error->fix)));
    print_line(document);
}

static int fail(const struct options *given, const struct error *error)
{
    print_failure(given, error);
    return command_fail(error, error->status == INVALID       ? EXIT_USAGE
                               : error->status == UNSUPPORTED ? EXIT_NO_SANDBOX
                                                              : EXIT_FAILED);
}

// For programs that start workers: who it is and what it brings, before it registers.
static void print_offer(const struct worker_options *options, const struct meeting *meeting)
{
    AUTO_JSON json_t *offer = json_pack(
        "{s:o, s:o, s:f, s:I, s:I, s:s, s:I}", "name", json_from_text(text_of(options->name)),
        "directory", json_from_text(text_of(options->directory)), "cpus", options->cpus,
        "memory_bytes", (json_int_t)options->memory_bytes, "gpus", (json_int_t)options->gpus.count,
        "sandbox", options->has_sandbox ? "bubblewrap" : "none", "pid", (json_int_t)getpid());
    const char *key = meeting->own.fingerprint.text;
    (void)json_object_set_new(offer, "fingerprint", *key ? json_string(key) : json_null());
    print_line(offer);
}

static int serve(const struct options *given, struct worker_options *options)
{
    struct error error = {0};
    struct meeting meeting = {0};
    enum status status = settle_trust(given, options, &meeting, &error);
    bool is_settled = status == OK;
    if (is_settled) {
        if (options_has(given, "json")) {
            print_offer(options, &meeting);
            options->on_welcome = print_welcome;
        }
        status = worker_run(options, &error);
    }
    worker_key_done(&meeting.own);
    if (status == CONFLICT && is_settled) {
        (void)fprintf(stderr, "lode: %s\n", error.detail);
        print_failure(given, &error);
        return 0; // It does what this one was meant for.
    }
    return status == OK ? 0 : fail(given, &error);
}

int command_worker(const struct command *command, const struct options *given)
{
    (void)command;
    if (options_has(given, "stdio") || options_has(given, "listen")) {
        return helper_run(given);
    }
    struct error error = {0};
    struct sysinfo machine = {0};
    char host[HOST_MAX] = "worker";
    (void)sysinfo(&machine);
    (void)gethostname(host, sizeof host - 1);
    AUTO_FREE char *program = process_program();
    AUTO_FREE char *runner = find_runner();
    struct worker_options options = {
        .name = host,
        .runner = runner,
        .program = program,
        .cpus = (double)sysconf(_SC_NPROCESSORS_ONLN),
        .memory_bytes = (int64_t)machine.totalram * (int64_t)machine.mem_unit,
        .grace_us = INT64_C(1000000) * GRACE_SECONDS,
        .notice_us = INT64_C(1000000) * NOTICE_SECONDS,
        .warning_us = INT64_C(1000000) * WARNING_SECONDS,
        .has_sandbox = true,
    };
    const char *labels[WORKER_LABELS_MAX];
    struct arena arena AUTO_ARENA = {0};
    if (read_options(given, &options, &error) != OK ||
        read_labels(given, labels, &options, &error) != OK ||
        read_gpus(given, &arena, &options, &error) != OK) {
        return fail(given, &error);
    }
    if (!options.runner) {
        (void)error_set(&error, NOT_FOUND,
                        "lode-runner is not beside the program lode; give --runner PATH");
        print_failure(given, &error);
        return command_fail(&error, EXIT_NO_RUNNER);
    }
    AUTO_FREE char *directory = NULL;
    if (worker_directory(given, &directory, &error) != OK) {
        return fail(given, &error);
    }
    options.directory = directory;
    return serve(given, &options);
}
