// What a site is and who may use it: status, workers, tokens.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/runner_class.h"

#include "base/memory.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>

static void say_list(struct buffer *out, const char *name, const json_t *array)
{
    if (json_array_size(array) == 0) {
        return;
    }
    buffer_printf(out, "%-14s", name);
    for (size_t i = 0; i < json_array_size(array); i++) {
        buffer_append_string(out, i > 0 ? ", " : "");
        display_text(out, json_text(json_array_get(array, i)));
    }
    buffer_append_byte(out, '\n');
}

static void say_jobs(struct buffer *out, const json_t *jobs)
{
    static const char *const STATES[] = {"waiting",   "running", "held",
                                         "succeeded", "failed",  "cancelled"};
    buffer_printf(out, "%-14s", "Jobs:");
    for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++) {
        buffer_printf(out, "%s%lld %s", i > 0 ? ", " : "", (long long)field_int64(jobs, STATES[i]),
                      STATES[i]);
    }
    buffer_append_byte(out, '\n');
}

// On the local network. Sites of older versions say nothing of it.
static void say_announcement(struct buffer *out, const json_t *announcement)
{
    struct text state = field_text(announcement, "state");
    struct text problem = field_text(announcement, "problem");
    struct text change = field_text(announcement, "change");
    struct text by = field_text(announcement, "by");
    if (state.length == 0) {
        return;
    }
    buffer_printf(out, "%-14s", "Announced:");
    if (problem.length == 0) {
        display_text(out, text_equal(state, TEXT("announced")) ? TEXT("yes")
                          : text_equal(state, TEXT("off"))     ? TEXT("no")
                                                               : state);
        buffer_append_string(out, text_equal(by, TEXT("avahi-daemon")) ? ", by avahi-daemon" : "");
    } else {
        buffer_append_string(out, "no, ");
        display_text(out, problem);
        buffer_append_string(out, change.length > 0 ? "; " : "");
        display_text(out, change);
    }
    buffer_append_byte(out, '\n');
}

// What of trust in workers an operator should know or do.
static void say_worker_keys(const json_t *keys, struct buffer *out)
{
    if (field_bool(keys, "open")) {
        buffer_append_string(out,
                             "  OPEN:       any worker that reaches this site joins at once\n");
    }
    if (field_int64(keys, "pending") > 0) {
        buffer_printf(out, "  pending:    %lld; lode workers lists them, lode worker accept NAME\n",
                      (long long)field_int64(keys, "pending"));
    }
    if (field_int64(keys, "rivals") > 0) {
        buffer_printf(out,
                      "  REFUSED:    names that came with another key: %lld; see lode workers\n",
                      (long long)field_int64(keys, "rivals"));
    }
}

// That of the site's machine; and whether some worker, there or elsewhere, has none.
static void say_sandbox(const json_t *status, struct buffer *out)
{
    const json_t *sandbox = json_object_get(status, "sandbox");
    struct text kind = field_text(sandbox, "kind");
    int64_t without = field_int64(status, "workers_without_sandbox");
    buffer_append_string(out, "Sandbox:      ");
    if (text_equal(kind, TEXT("unknown"))) {
        buffer_append_string(out, "no worker on this machine");
    } else {
        display_text(out, kind);
    }
    buffer_append_byte(out, '\n');
    say_list(out, "  enforced:", json_object_get(sandbox, "enforced"));
    say_list(out, "  unenforced:", json_object_get(sandbox, "not_enforced"));
    if (without > 0) {
        buffer_printf(out, "  NONE:       at %lld of %lld workers; lode workers --json has which\n",
                      (long long)without, (long long)field_int64(status, "workers"));
    }
}

static void show_status(const struct contact *contact, const json_t *status, struct buffer *out)
{
    const json_t *tasks = json_object_get(status, "tasks");
    buffer_append_string(out, "Site:         ");
    display_text(out, field_text(status, "name"));
    buffer_printf(out, " at %s\nFingerprint:  %s\nUp for:       ", contact->site.url,
                  contact->site.pin.text);
    display_duration(out, field_int64(status, "uptime_seconds") * 1000000);
    buffer_append_byte(out, '\n');
    say_jobs(out, json_object_get(status, "jobs"));
    if (json_is_object(tasks)) {
        buffer_printf(out, "%-14s%lld running, %lld waiting\n",
                      "Tasks:", (long long)field_int64(tasks, "running"),
                      (long long)field_int64(tasks, "waiting"));
    }
    buffer_printf(out, "%-14s%lld\n", "Workers:", (long long)field_int64(status, "workers"));
    say_list(out, "Reached at:", json_object_get(status, "reached_at"));
    say_announcement(out, json_object_get(status, "announcement"));
    say_worker_keys(json_object_get(status, "worker_keys"), out);
    say_sandbox(status, out);
    say_list(out, "Software:", json_object_get(status, "software"));
    buffer_append_string(out, "Memory:       ");
    display_bytes(out, field_int64(status, "memory_bytes"));
    buffer_append_byte(out, '\n');
}

static int run_status(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *status = NULL;
    AUTO_BUFFER struct buffer out = {0};
    if (contact_open(options, &contact, &error) != OK ||
        contact_json(&contact, "GET", "/v1/status", NULL, &status, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        return print_json(status) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    show_status(&contact, status, &out);
    return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
}

static const struct command_example STATUS_EXAMPLES[] = {
    {"lode status", "shows the site, its jobs and workers, and what the sandbox does not enforce"},
};

const struct command COMMAND_STATUS = {
    .name = "status",
    .usage = "",
    .purpose = "shows how a site is doing",
    .group = GROUP_SITE,
    .examples = EXAMPLES(STATUS_EXAMPLES),
    .run = run_status,
};

static const struct table_column WORKER_COLUMNS[] = {
    {"WORKER", true, false}, {"NAME", false, true},   {"STATE", false, false},
    {"CPUS", true, false},   {"MEMORY", true, false}, {"RUNNING", true, false},
    {"DONE", true, false},   {"HEARD", false, false}, {"LEAVES", false, false},
    {"GROUPS", false, true}, {"CLASS", false, true},
};

static void add_groups(struct table *table, const json_t *groups)
{
    AUTO_BUFFER struct buffer names = {0};
    for (size_t i = 0; i < json_array_size(groups); i++) {
        buffer_append_string(&names, i > 0 ? "," : "");
        buffer_append_text(&names, json_text(json_array_get(groups, i)));
    }
    table_add(table, names.length > 0 ? buffer_text(&names) : TEXT("all"));
}

static void add_class(struct table *table, const json_t *document)
{
    AUTO_BUFFER struct buffer text = {0};
    runner_class_show(document, &text);
    table_add(table, buffer_text(&text));
}

static enum status add_worker(void *table, json_t *worker, struct error *error)
{
    (void)error;
    table_addf(table, "%lld", (long long)field_int64(worker, "id"));
    table_add(table, field_text(worker, "name"));
    table_add(table, field_text(worker, "state"));
    table_addf(table, "%g", json_number_value(json_object_get(worker, "cpus")));
    table_add_bytes(table, field_int64(worker, "memory_bytes"));
    table_addf(table, "%lld", (long long)field_int64(worker, "running"));
    table_addf(table, "%lld", (long long)field_int64(worker, "tasks_done"));
    table_add_time(table, field_time(worker, "last_heard_at"), clock_real_us());
    table_add_time(table, field_time(worker, "leaves_at"), clock_real_us());
    add_groups(table, json_object_get(worker, "groups"));
    add_class(table, worker);
    return OK;
}

static const struct table_column KEY_COLUMNS[] = {
    {"NAME", false, true}, {"KEY", false, false},         {"TRUST", false, false},
    {"BY", false, true},   {"FINGERPRINT", false, false}, {"SEEN", false, false},
    {"FROM", false, true}, {"CLASS", false, true},
};

static enum status add_key(void *table, json_t *key, struct error *error)
{
    (void)error;
    table_add(table, field_text(key, "name"));
    table_add(table, field_text(key, "state"));
    table_add(table, field_text(key, "trust"));
    table_add(table, field_text(key, "decided_by"));
    table_add(table, field_text(key, "fingerprint"));
    table_add_time(table, field_time(key, "last_seen_at"), clock_real_us());
    table_add(table, field_text(key, "address"));
    add_class(table, key);
    return OK;
}

static enum status append_key(void *array, json_t *key, struct error *error)
{
    (void)error;
    (void)json_array_append(array, key);
    return OK;
}

// Keys that came with the name of another worker.
static void say_rivals(const json_t *keys, struct buffer *out)
{
    size_t at = 0;
    json_t *key = NULL;
    json_array_foreach(keys, at, key)
    {
        const json_t *rival = json_object_get(key, "rival");
        if (!json_is_object(rival)) {
            continue;
        }
        buffer_append_string(out, "REFUSED: another key came with the name ");
        display_text(out, field_text(key, "name"));
        buffer_printf(out, " from %.*s at %.*s:\n  %.*s\n", TEXT_ARGS(field_text(rival, "address")),
                      TEXT_ARGS(field_text(rival, "seen_at")),
                      TEXT_ARGS(field_text(rival, "fingerprint")));
    }
}

static int print_workers(const json_t *workers, const json_t *keys)
{
    struct table *table =
        table_new(WORKER_COLUMNS, sizeof(WORKER_COLUMNS) / sizeof(WORKER_COLUMNS[0]));
    size_t at = 0;
    json_t *item = NULL;
    json_array_foreach(workers, at, item)
    {
        (void)add_worker(table, item, NULL);
    }
    if (!print_table(table) || json_array_size(keys) == 0) {
        return EXIT_SUCCESS;
    }
    AUTO_BUFFER struct buffer rivals = {0};
    table = table_new(KEY_COLUMNS, sizeof(KEY_COLUMNS) / sizeof(KEY_COLUMNS[0]));
    json_array_foreach(keys, at, item)
    {
        (void)add_key(table, item, NULL);
    }
    say_rivals(keys, &rivals);
    (void)puts("");
    return print_table(table) && print_text(&rivals) ? EXIT_SUCCESS : EXIT_FAILED;
}

static int run_workers(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *workers = NULL;
    AUTO_JSON json_t *keys = json_array();
    if (contact_open(options, &contact, &error) != OK ||
        contact_list_all(&contact, "/v1/workers", "workers", &workers, &error) != OK ||
        contact_list(&contact, "/v1/worker-keys", "worker_keys", 0, append_key, keys, &error) !=
            OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        (void)json_object_set(workers, "worker_keys", keys);
        return print_json(workers) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    return print_workers(json_object_get(workers, "workers"), keys);
}

static const struct command_example WORKERS_EXAMPLES[] = {
    {"lode workers", "lists the workers of the site with what they run, and the keys that came"},
};

const struct command COMMAND_WORKERS = {
    .name = "workers",
    .usage = "",
    .purpose = "lists the workers of a site, and who waits to be one",
    .description =
        "The first list has the workers that are here, and those that were during the last ten "
        "minutes: \"gone\" have left in order (drained, ended by a signal or at the end of their "
        "time), \"lost\" have not. The second list has the workers that have shown a key: those "
        "that wait to be accepted "
        "(pending), accepted ones with how that came, and refused ones. CLASS says what a worker "
        "may do: \"lode "
        "help token create\" has the classes.",
    .group = GROUP_SITE,
    .examples = EXAMPLES(WORKERS_EXAMPLES),
    .run = run_workers,
};

// Whose it is: of a runner for a user's jobs that user, and he may be left out.
static bool add_principal(const struct options *options, json_t *body, struct error *error)
{
    const char *kind = options_text(options, "class", NULL);
    const char *name = options->operand_count > 0 ? options->operands[0] : NULL;
    if (!name && !kind) {
        (void)error_set(error, INVALID, "whose token it is to be is missing");
        error_fix(error,
                  "lode token create PRINCIPAL, or for a runner of your own jobs: lode token "
                  "create --class user");
        return false;
    }
    struct text said = text_of(kind);
    bool is_for_user = text_equal(said, TEXT("user")) || text_equal(said, TEXT("session")) ||
                       text_equal(said, TEXT("job")) || text_equal(said, TEXT("job-token"));
    if (name) {
        (void)json_object_set_new(body, is_for_user ? "user" : "principal",
                                  json_from_text(text_of(name)));
    }
    if (!kind || options_has(options, "role")) {
        (void)json_object_set_new(body, "role", json_string(options_text(options, "role", "user")));
    }
    runner_class_add(options, body);
    return true;
}

static int run_token_create(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *answer = NULL;
    AUTO_JSON json_t *body = json_object();
    const char *label = options_text(options, "label", NULL);
    if (!add_principal(options, body, &error)) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (label) {
        (void)json_object_set_new(body, "label", json_from_text(text_of(label)));
    }
    if (options_has(options, "expires")) {
        int64_t seconds = options_int64(options, "expires", 0) / 1000000;
        (void)json_object_set_new(body, "expires_seconds", json_integer(seconds));
    }
    if (contact_open(options, &contact, &error) != OK ||
        contact_json(&contact, "POST", "/v1/tokens", body, &answer, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        return print_json(answer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    // The token alone on standard output, so that it can go to a file or another command.
    (void)printf("%.*s\n", TEXT_ARGS(field_text(answer, "token")));
    (void)fflush(stdout);
    (void)fprintf(stderr, "lode: this is token %lld of %.*s; its text is not shown again\n",
                  (long long)field_int64(answer, "token_id"),
                  TEXT_ARGS(field_text(answer, "principal")));
    return EXIT_SUCCESS;
}

static const struct command_option TOKEN_CREATE_OPTIONS[] = {
    {"role", 0, OPTION_TEXT, "ROLE", "what its holder may do (default: user)", "user|worker|admin"},
    {"label", 0, OPTION_TEXT, "TEXT", "what it is for", NULL},
    {"expires", 0, OPTION_DURATION, "TIME", "end it after this time (default: never)", NULL},
    RUNNER_CLASS_OPTIONS("site|group|user|session|job|job-token|spare"),
};

static const struct command_example TOKEN_CREATE_EXAMPLES[] = {
    {"lode token create alice --expires 30d", "prints a token with which alice can log in"},
    {"umask 077; lode token create desk-2 --role worker > worker.token",
     "makes the token of a worker on another machine"},
    {"lode token create --class session --expires 8h",
     "makes one for a worker that runs what you submit from now on, for a working day"},
    {"lode token create --class job-token --job 17",
     "makes one for a computer that is to be used for job 17, and of which nothing is to be kept"},
    {"lode token create lab --class group --group physics",
     "makes one for workers that run jobs of the group physics"},
};

const struct command COMMAND_TOKEN_CREATE = {
    .name = "token create",
    .usage = "[PRINCIPAL]",
    .purpose = "makes a token with which a person or a program can use the site",
    .description = "With --class it is a token of workers (lode worker --token-file), and says "
                   "what these may do. "
                   "Everybody may make those for his own jobs: user, session, job and job-token; "
                   "PRINCIPAL is then whose "
                   "jobs, and you without it.\n\n" RUNNER_CLASS_WORDS
                   " Of class session it runs one user's jobs that were submitted since the token "
                   "was made, and answers "
                   "his; of class job-token it runs one job, stays unknown, ends with the job, and "
                   "answers no other.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(TOKEN_CREATE_OPTIONS),
    .examples = EXAMPLES(TOKEN_CREATE_EXAMPLES),
    .operands_min = 0,
    .operands_max = 1,
    .run = run_token_create,
};

static const struct table_column TOKEN_COLUMNS[] = {
    {"TOKEN", true, false},    {"PRINCIPAL", false, true}, {"ROLE", false, false},
    {"CREATED", false, false}, {"EXPIRES", false, false},  {"REVOKED", false, false},
    {"LABEL", false, true},    {"CLASS", false, true},
};

static enum status add_token(void *table, json_t *token, struct error *error)
{
    (void)error;
    int64_t now_us = clock_real_us();
    table_addf(table, "%lld", (long long)field_int64(token, "token_id"));
    table_add(table, field_text(token, "principal"));
    table_add(table, field_text(token, "role"));
    table_add_time(table, field_time(token, "created_at"), now_us);
    table_add_time(table, field_time(token, "expires_at"), now_us);
    table_add_time(table, field_time(token, "revoked_at"), now_us);
    table_add(table, field_text(token, "label"));
    if (text_equal(field_text(token, "role"), TEXT("worker"))) {
        add_class(table, token);
    } else {
        table_add(table, TEXT("-"));
    }
    return OK;
}

static int run_token_list(const struct command *command, const struct options *options)
{
    (void)command;
    return print_list(options, "/v1/tokens", "tokens", TOKEN_COLUMNS,
                      sizeof(TOKEN_COLUMNS) / sizeof(TOKEN_COLUMNS[0]), add_token);
}

static const struct command_example TOKEN_LIST_EXAMPLES[] = {
    {"lode token list", "lists tokens without their texts"},
};

const struct command COMMAND_TOKEN_LIST = {
    .name = "token list",
    .usage = "",
    .purpose = "lists the tokens of a site: your own, or all for administrators",
    .group = GROUP_SITE,
    .examples = EXAMPLES(TOKEN_LIST_EXAMPLES),
    .run = run_token_list,
};

static int run_token_revoke(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    int exit_status = EXIT_SUCCESS;
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    for (size_t i = 0; i < options->operand_count; i++) {
        AUTO_JSON json_t *answer = NULL;
        int64_t token = 0;
        if (!text_to_int64(text_of(options->operands[i]), &token)) {
            (void)error_set(&error, INVALID, "\"%.100s\" is no token's number",
                            options->operands[i]);
            error_fix(&error, "lode token list shows the numbers");
            return command_fail(&error, EXIT_USAGE);
        }
        AUTO_FREE char *path = memory_format("/v1/tokens/%lld", (long long)token);
        if (contact_json(&contact, "DELETE", path, NULL, &answer, &error) != OK) {
            exit_status = command_fail(&error, EXIT_FAILED);
        } else if (options_has(options, "json")) {
            (void)print_json(answer);
        } else {
            (void)printf("token %lld is revoked\n", (long long)token);
        }
    }
    return fflush(stdout) == 0 ? exit_status : EXIT_FAILED;
}

static const struct command_example TOKEN_REVOKE_EXAMPLES[] = {
    {"lode token revoke 4", "makes token 4 worthless at once"},
};

const struct command COMMAND_TOKEN_REVOKE = {
    .name = "token revoke",
    .usage = "TOKEN...",
    .purpose = "makes tokens worthless at once",
    .group = GROUP_SITE,
    .examples = EXAMPLES(TOKEN_REVOKE_EXAMPLES),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_token_revoke,
};
