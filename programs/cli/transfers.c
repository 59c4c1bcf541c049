// Replicas on order: data replicate, transfers, transfers cancel.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/submission.h"
#include "cli/words.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

// A transfer's version does not rise with each byte: a bar needs a look a second, lines one in ten.
enum { WAIT_SECONDS_BAR = 1, WAIT_SECONDS_LINES = 10 };
static const int64_t LOOK_PAUSE_US = 100000;
static const int64_t LOOK_PAUSE_MAX_US = 2000000;

// A transfer by its number and where that number holds.
struct transfer_name {
    int64_t number;
    const char *at; // As typed, or a fingerprint; NULL: at the site that is asked.
};

static void transfer_path(const struct transfer_name *name, int wait_seconds, int64_t version,
                          struct buffer *path)
{
    const char *separator = "?";
    buffer_printf(path, "/v1/transfers/%lld", (long long)name->number);
    if (wait_seconds > 0) {
        buffer_printf(path, "?wait=%d&version=%lld", wait_seconds, (long long)version);
        separator = "&";
    }
    if (name->at) {
        buffer_printf(path, "%ssite=", separator);
        percent_append(path, text_of(name->at));
    }
}

// "3" or "3 --at ocean": what is typed behind "lode transfers".
static void append_name(const struct transfer_name *name, struct buffer *out)
{
    buffer_append_int64(out, name->number);
    if (name->at) {
        AUTO_BUFFER struct buffer at = {0};
        display_text(&at, text_of(name->at));
        buffer_append_string(out, " --at ");
        words_quote(out, buffer_text(&at));
    }
}

static bool has_ended(const json_t *transfer)
{
    struct text state = field_text(transfer, "state");
    return text_equal(state, TEXT("done")) || text_equal(state, TEXT("failed")) ||
           text_equal(state, TEXT("cancelled"));
}

static bool is_done(const json_t *transfer)
{
    return text_equal(field_text(transfer, "state"), TEXT("done"));
}

// --- watching

struct watch {
    struct contact *contact;
    struct transfer_name name;
    struct progress progress;
    struct buffer problem; // The last one that was said.
    char note[16];         // Of the bar: the state, where that is not copying.
    bool is_quiet;
};

// A transfer goes on by itself after a failure; why it does not get on is said once.
static void say_problem(struct watch *watch, const json_t *transfer)
{
    AUTO_BUFFER struct buffer words = {0};
    display_text(&words, field_text(transfer, "problem"));
    if (watch->is_quiet || words.length == 0 ||
        display_says_same(buffer_text(&words), buffer_text(&watch->problem))) {
        return;
    }
    buffer_clear(&watch->problem);
    buffer_append_text(&watch->problem, buffer_text(&words));
    progress_hide(&watch->progress);
    (void)fprintf(stderr, "lode: %s\n      it is tried again by itself\n", words.bytes);
}

static void show(struct watch *watch, const json_t *transfer)
{
    struct text state = field_text(transfer, "state");
    int64_t total = field_int64(transfer, "bytes_total");
    bool is_copying = text_equal(state, TEXT("copying"));
    (void)snprintf(watch->note, sizeof(watch->note), "%.*s",
                   TEXT_ARGS(text_slice(state, 0, sizeof(watch->note) - 1)));
    watch->progress.view.note = is_copying ? NULL : watch->note;
    say_problem(watch, transfer);
    progress_update(&watch->progress, field_int64(transfer, "bytes_done"), total > 0 ? total : -1);
}

// Watches a transfer to its end; *transfer is replaced by its last state.
static enum status watch_transfer(struct watch *watch, json_t **transfer, struct error *error)
{
    int wait = watch->progress.view.width > 0 ? WAIT_SECONDS_BAR : WAIT_SECONDS_LINES;
    int64_t pause_us = LOOK_PAUSE_US;
    while (!has_ended(*transfer)) {
        AUTO_BUFFER struct buffer path = {0};
        json_t *now = NULL;
        int64_t version = field_int64(*transfer, "version");
        show(watch, *transfer);
        transfer_path(&watch->name, wait, version > 0 ? version : 0, &path);
        TRY(contact_json(watch->contact, "GET", path.bytes, NULL, &now, error));
        bool has_changed = field_int64(now, "version") != version ||
                           field_int64(now, "bytes_done") != field_int64(*transfer, "bytes_done");
        json_decref(*transfer);
        *transfer = now;
        // A transfer at another site is answered at once, changed or not.
        pause_us = has_changed ? LOOK_PAUSE_US : pause_us * 2;
        pause_us = pause_us < LOOK_PAUSE_MAX_US ? pause_us : LOOK_PAUSE_MAX_US;
        if (!has_ended(now)) {
            contact_sleep(watch->contact, pause_us);
        }
    }
    return OK;
}

// --- data replicate

// "doi:10.5065/coads is at ocean: 3 files, 1.2 GiB in 12 s"; without a source nothing was to be brought.
static void say_done(const json_t *transfer, const char *to, struct buffer *out)
{
    int64_t files = field_int64(transfer, "files_total");
    int64_t took_us = field_time(transfer, "finished_at") - field_time(transfer, "ordered_at");
    display_text(out, field_text(transfer, "dataset"));
    buffer_append_string(out, " is at ");
    display_text(out, text_of(to));
    if (field_text(transfer, "source").length == 0) {
        buffer_append_string(out, " already\n");
        return;
    }
    buffer_printf(out, ": %lld %s, ", (long long)files, files == 1 ? "file" : "files");
    display_bytes(out, field_int64(transfer, "bytes_total"));
    if (took_us > 0) {
        buffer_append_string(out, " in ");
        display_duration(out, took_us);
    }
    buffer_append_byte(out, '\n');
}

static int fail_transfer(const json_t *transfer, const char *to)
{
    struct error error;
    AUTO_BUFFER struct buffer id = {0};
    AUTO_BUFFER struct buffer problem = {0};
    struct text state = field_text(transfer, "state");
    display_text(&id, field_text(transfer, "dataset"));
    display_text(&problem, field_text(transfer, "problem"));
    bool has_problem = problem.length > 0;
    (void)error_set(&error, CONFLICT, "%.100s is not at %.60s: the transfer %s%s%.250s",
                    id.length > 0 ? id.bytes : "it", to,
                    text_equal(state, TEXT("cancelled")) ? "was cancelled" : "failed",
                    has_problem ? ": " : "", has_problem ? problem.bytes : "");
    error_fix(&error, "the same command orders it again, and goes on with what is there");
    return command_fail(&error, EXIT_FAILED);
}

static int finish(const json_t *transfer, const char *to, bool is_json)
{
    AUTO_BUFFER struct buffer out = {0};
    if (is_json && !print_json(transfer)) {
        return EXIT_FAILED;
    }
    if (!is_done(transfer)) {
        return fail_transfer(transfer, to);
    }
    if (!is_json) {
        say_done(transfer, to, &out);
    }
    return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
}

static void say_ways(const struct transfer_name *name, const char *said)
{
    AUTO_BUFFER struct buffer typed = {0};
    append_name(name, &typed);
    (void)fprintf(stderr,
                  "lode: %s\n"
                  "      lode transfers %s           shows how far it is\n"
                  "      lode transfers cancel %s    ends it\n",
                  said, typed.bytes, typed.bytes);
}

static int watch_to_end(struct contact *contact, const struct options *options, json_t **transfer)
{
    struct error error;
    AUTO_FREE char *site = text_copy(field_text(*transfer, "site"));
    const char *to = options_text(options, "to", "this site");
    bool is_json = options_has(options, "json");
    struct watch watch = {.contact = contact, .is_quiet = is_json};
    watch.name.number = field_int64(*transfer, "id");
    watch.name.at = site && site[0] ? site : NULL;
    progress_init(&watch.progress, options->operands[0], PROGRESS_BYTES, is_json);
    enum status status = watch_transfer(&watch, transfer, &error);
    progress_hide(&watch.progress);
    buffer_done(&watch.problem);
    watch.name.at = watch.name.at ? to : NULL; // As people call it.
    if (contact->is_interrupted) {
        say_ways(&watch.name, "detached; the transfer goes on");
        return EXIT_SIGNAL + SIGINT;
    }
    if (status != OK) {
        int exit_status = command_fail(&error, EXIT_FAILED);
        say_ways(&watch.name, "the transfer may go on");
        return exit_status;
    }
    return finish(*transfer, to, is_json);
}

// What --detach says: the number for programs on standard output, the way back for people.
static int detach(const struct options *options, const json_t *transfer)
{
    bool is_elsewhere = field_text(transfer, "site").length > 0;
    const struct transfer_name name = {field_int64(transfer, "id"),
                                       is_elsewhere ? options_text(options, "to", NULL) : NULL};
    if (options_has(options, "json")) {
        return print_json(transfer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    if (printf("%lld\n", (long long)name.number) < 0 || fflush(stdout) != 0) {
        return EXIT_FAILED;
    }
    if (is_elsewhere) {
        say_ways(&name, "ordered; the number is that site's");
    }
    return EXIT_SUCCESS;
}

static enum status order(struct contact *contact, const struct options *options, json_t **transfer,
                         struct error *error)
{
    static const char *const SITES[] = {"to", "from"};
    AUTO_JSON json_t *body = json_object();
    submission_set_id(body, "id", "digest", text_of(options->operands[0]));
    for (size_t i = 0; i < sizeof(SITES) / sizeof(SITES[0]); i++) {
        const char *site = options_text(options, SITES[i], NULL);
        if (site) {
            (void)json_object_set_new(body, SITES[i], json_from_text(text_of(site)));
        }
    }
    // A second order of what is under way gives the same transfer, so it can be repeated.
    TRY(contact_json(contact, "POST", "/v1/transfers", body, transfer, error));
    return field_int64(*transfer, "id") > 0
               ? OK
               : error_set(error, CORRUPT, "the site's answer names no transfer");
}

static int run_replicate(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *transfer = NULL;
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    contact.is_patient = true;
    contact_catch_interrupts(&contact);
    if (order(&contact, options, &transfer, &error) != OK) {
        if (contact.is_interrupted) {
            (void)fputs("lode: interrupted before the site had answered; \"lode transfers\" shows "
                        "whether the order was taken\n",
                        stderr);
            return EXIT_SIGNAL + SIGINT;
        }
        return command_fail(&error, EXIT_FAILED);
    }
    return options_has(options, "detach") ? detach(options, transfer)
                                          : watch_to_end(&contact, options, &transfer);
}

static const struct command_option REPLICATE_OPTIONS[] = {
    {"to", 0, OPTION_TEXT, "SITE",
     "where it is to be, by name or fingerprint (default: the site that is asked)", NULL},
    {"from", 0, OPTION_TEXT, "SITE", "bring it from this site (default: the nearest that has it)",
     NULL},
    {"detach", 0, OPTION_FLAG, NULL, "print the transfer's number and do not wait", NULL},
};

static const struct command_example REPLICATE_EXAMPLES[] = {
    {"lode data replicate doi:10.5065/coads --to ocean",
     "brings a copy to the site ocean and shows how far it is"},
    {"lode data replicate doi:10.5065/coads --from ocean", "brings a copy here, from ocean"},
    {"lode data replicate doi:10.5065/coads@sha256:9f86d0...",
     "brings that content, where sites say different content of one identifier (the whole digest "
     "is given: lode resolve prints it)"},
    {"lode data replicate doi:10.5065/coads --to ocean --detach",
     "orders it and prints its number"},
};

const struct command COMMAND_DATA_REPLICATE = {
    .name = "data replicate",
    .usage = "ID[@DIGEST]",
    .purpose = "brings a copy of a dataset to a site",
    .description =
        "Files come from any site that has them, each is checked against its SHA-256 and the whole "
        "against the dataset's digest; then the copy is registered and resolves. Where sites say "
        "different content of the identifier, the digest or --from names the one that is meant; "
        "without, nothing is ordered. A break or a "
        "restart of either site is taken up where it was. Ctrl-C detaches: the transfer goes on, "
        "and the same command shows it again.",
    .statuses = "1: It could not be brought there; the reason is said.\n"
                "130: Ctrl-C was typed here; the transfer goes on.",
    .group = GROUP_DATA,
    .options = OPTION_TABLE(REPLICATE_OPTIONS),
    .examples = EXAMPLES(REPLICATE_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_replicate,
};

// --- transfers

static const struct table_column TRANSFER_COLUMNS[] = {
    {"TRANSFER", true, false}, {"DATASET", false, true},  {"STATE", false, false},
    {"DONE", true, false},     {"SIZE", true, false},     {"FROM", false, true},
    {"OWNER", false, true},    {"ORDERED", false, false},
};

static enum status add_transfer(void *table, json_t *transfer, struct error *error)
{
    (void)error;
    struct text source = field_text(transfer, "source");
    table_addf(table, "%lld", (long long)field_int64(transfer, "id"));
    table_add(table, field_text(transfer, "dataset"));
    table_add(table, field_text(transfer, "state"));
    table_add_bytes(table, field_int64(transfer, "bytes_done"));
    table_add_bytes(table, field_int64(transfer, "bytes_total"));
    table_add(table, source.length > 0 ? source : TEXT("-"));
    table_add(table, field_text(transfer, "owner"));
    table_add_time(table, field_time(transfer, "ordered_at"), clock_real_us());
    return OK;
}

static enum status parse_transfer(const char *text, int64_t *number, struct error *error)
{
    if (text_to_int64(text_of(text), number) && *number > 0) {
        return OK;
    }
    (void)error_set(error, INVALID, "\"%.100s\" is not a transfer", text);
    error_fix(error, "write its number, such as 3; \"lode transfers\" lists them");
    return INVALID;
}

static void say_amounts(const json_t *transfer, struct buffer *out)
{
    int64_t rate = field_int64(transfer, "bytes_per_second");
    buffer_printf(out, "%-14s", "Done:");
    display_bytes(out, field_int64(transfer, "bytes_done"));
    buffer_append_string(out, " of ");
    display_bytes(out, field_int64(transfer, "bytes_total"));
    buffer_printf(out, ", %lld of %lld files", (long long)field_int64(transfer, "files_done"),
                  (long long)field_int64(transfer, "files_total"));
    if (rate > 0) {
        buffer_append_string(out, ", ");
        display_bytes(out, rate);
        buffer_append_string(out, "/s");
    }
    buffer_append_byte(out, '\n');
}

static void show_transfer(const void *context, const json_t *transfer, struct buffer *out)
{
    (void)context;
    buffer_printf(out, "%-14s%lld\n", "Transfer:", (long long)field_int64(transfer, "id"));
    append_property(out, "At site:", field_text(transfer, "site"));
    append_property(out, "Dataset:", field_text(transfer, "dataset"));
    append_property(out, "State:", field_text(transfer, "state"));
    append_property(out, "Problem:", field_text(transfer, "problem"));
    say_amounts(transfer, out);
    append_property(out, "From:", field_text(transfer, "source"));
    append_property(out, "Owner:", field_text(transfer, "owner"));
    append_property(out, "Ordered:", field_text(transfer, "ordered_at"));
    append_property(out, "Finished:", field_text(transfer, "finished_at"));
}

static enum status path_of_operand(const struct options *options, struct transfer_name *name,
                                   struct buffer *path, struct error *error)
{
    name->at = options_text(options, "at", NULL);
    TRY(parse_transfer(options->operands[0], &name->number, error));
    transfer_path(name, 0, 0, path);
    return OK;
}

static int show_one(const struct options *options)
{
    struct error error;
    struct transfer_name name;
    AUTO_BUFFER struct buffer path = {0};
    if (path_of_operand(options, &name, &path, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    return print_request(options, &(struct request){"GET", path.bytes, NULL}, show_transfer, NULL);
}

static int run_transfers(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    if (options->operand_count > 0) {
        return show_one(options);
    }
    if (options_has(options, "at")) {
        (void)error_set(&error, INVALID, "--at needs the number of a transfer");
        error_fix(&error, "\"lode transfers\" lists those of the site that is asked; --site "
                          "asks another one where you have a login");
        return command_fail(&error, EXIT_USAGE);
    }
    return print_list(options, "/v1/transfers", "transfers", TRANSFER_COLUMNS,
                      sizeof(TRANSFER_COLUMNS) / sizeof(TRANSFER_COLUMNS[0]), add_transfer);
}

static const struct command_option TRANSFERS_OPTIONS[] = {
    {"at", 0, OPTION_TEXT, "SITE", "the number is that of a transfer to this other site", NULL},
};

static const struct command_example TRANSFERS_EXAMPLES[] = {
    {"lode transfers", "lists the datasets that were ordered, newest first"},
    {"lode transfers 3", "shows how far transfer 3 is, or why it failed"},
    {"lode transfers 3 --at ocean", "shows transfer 3 of the site ocean, ordered from here"},
};

const struct command COMMAND_TRANSFERS = {
    .name = "transfers",
    .usage = "[N]",
    .purpose = "lists the datasets on their way to a site, or shows one",
    .group = GROUP_DATA,
    .options = OPTION_TABLE(TRANSFERS_OPTIONS),
    .examples = EXAMPLES(TRANSFERS_EXAMPLES),
    .operands_max = 1,
    .run = run_transfers,
};

static void say_cancelled(const void *context, const json_t *answer, struct buffer *out)
{
    const struct transfer_name *name = context;
    (void)answer;
    buffer_printf(out, "transfer %lld is cancelled\n", (long long)name->number);
}

static int run_cancel(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    struct transfer_name name;
    AUTO_BUFFER struct buffer path = {0};
    if (path_of_operand(options, &name, &path, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    return print_request(options, &(struct request){"DELETE", path.bytes, NULL}, say_cancelled,
                         &name);
}

static const struct command_example TRANSFERS_CANCEL_EXAMPLES[] = {
    {"lode transfers cancel 3", "ends transfer 3"},
    {"lode transfers cancel 3 --at ocean", "ends transfer 3 of the site ocean"},
};

const struct command COMMAND_TRANSFERS_CANCEL = {
    .name = "transfers cancel",
    .usage = "N",
    .purpose = "ends a transfer",
    .group = GROUP_DATA,
    .options = OPTION_TABLE(TRANSFERS_OPTIONS),
    .examples = EXAMPLES(TRANSFERS_CANCEL_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_cancel,
};
