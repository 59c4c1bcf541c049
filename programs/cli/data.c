// Commands on data: data add, list, show, verify, remove.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_SECONDS = 30 };
static const int64_t LOOK_EVERY_US = 100000;

// "/v1/datasets/<id><behind>".
static void dataset_path(const char *id, const char *behind, struct buffer *path)
{
    buffer_append_string(path, "/v1/datasets/");
    percent_append(path, text_of(id));
    buffer_append_string(path, behind);
}

static bool is_working(const json_t *dataset)
{
    struct text state = field_text(dataset, "state");
    return text_equal(state, TEXT("registering")) || text_equal(state, TEXT("verifying"));
}

// Watches a dataset until the site has done with it; *dataset is replaced by its last state.
static enum status watch(struct contact *contact, const char *id, bool is_quiet, json_t **dataset,
                         struct error *error)
{
    AUTO_BUFFER struct buffer path = {0};
    dataset_path(id, "", &path);
    buffer_printf(&path, "?wait=%d", WAIT_SECONDS);
    struct progress progress;
    progress_init(&progress, id, PROGRESS_BYTES, is_quiet);
    enum status status = OK;
    while (status == OK && is_working(*dataset)) {
        const json_t *done = json_object_get(*dataset, "progress");
        int64_t total = field_int64(done, "bytes_total");
        progress_update(&progress, field_int64(done, "bytes_done"), total > 0 ? total : -1);
        json_t *now = NULL;
        status = contact_json(contact, "GET", path.bytes, NULL, &now, error);
        if (status == OK) {
            json_decref(*dataset);
            *dataset = now;
        }
        if (status == OK && is_working(now) &&
            field_int64(json_object_get(now, "progress"), "bytes_done") > 0) {
            contact_sleep(contact, LOOK_EVERY_US);
        }
    }
    progress_hide(&progress);
    return status;
}

// "doi:10.5065/coads: available, 3 files, 1.2 GiB".
static void say_dataset(const json_t *dataset, struct buffer *out)
{
    int64_t files = field_int64(dataset, "file_count");
    display_text(out, field_text(dataset, "id"));
    buffer_printf(out, ": %.*s, %lld %s, ", TEXT_ARGS(field_text(dataset, "state")),
                  (long long)files, files == 1 ? "file" : "files");
    display_bytes(out, field_int64(dataset, "size_bytes"));
    if (field_text(dataset, "problem").length > 0) {
        buffer_append_string(out, "; ");
        display_text(out, field_text(dataset, "problem"));
    }
    buffer_append_byte(out, '\n');
}

// The end of data add and data verify: prints the dataset; fails unless it is available.
static int finish(const json_t *dataset, bool is_json)
{
    bool is_available = text_equal(field_text(dataset, "state"), TEXT("available"));
    bool is_printed = false;
    if (is_json) {
        is_printed = print_json(dataset);
    } else {
        AUTO_BUFFER struct buffer out = {0};
        say_dataset(dataset, &out);
        is_printed = print_text(&out);
    }
    return is_available && is_printed ? EXIT_SUCCESS : EXIT_FAILED;
}

static enum status add_paths(const struct options *options, json_t *paths, struct error *error)
{
    for (size_t i = 1; i < options->operand_count; i++) {
        const char *path = options->operands[i];
        char *real = realpath(path, NULL);
        if (!real && path[0] != '/') {
            (void)error_set_errno(error, errno, "cannot find %s", path);
            error_fix(error,
                      "check the name; of a site on another machine give the whole path there");
            return error->status;
        }
        // A whole path that is not here may be there: the site says.
        (void)json_array_append_new(paths, json_from_text(text_of(real ? real : path)));
        free(real);
    }
    return OK;
}

static enum status dataset_document(const struct options *options, json_t *document,
                                    struct error *error)
{
    AUTO_JSON json_t *paths = json_array();
    AUTO_JSON json_t *aliases = json_array();
    const char *alias = NULL;
    const char *title = options_text(options, "title", NULL);
    TRY(add_paths(options, paths, error));
    for (size_t at = 0; (alias = options_next(options, "alias", &at));) {
        (void)json_array_append_new(aliases, json_from_text(text_of(alias)));
    }
    (void)json_object_set_new(document, "id", json_from_text(text_of(options->operands[0])));
    (void)json_object_set(document, "paths", paths);
    if (json_array_size(aliases) > 0) {
        (void)json_object_set(document, "aliases", aliases);
    }
    if (title) {
        (void)json_object_set_new(document, "title", json_from_text(text_of(title)));
    }
    return OK;
}

// Watches on, unless it was told not to, and reports the end.
static int watch_to_end(struct contact *contact, const struct options *options, json_t **dataset)
{
    struct error error;
    const char *id = options->operands[0];
    bool is_json = options_has(options, "json");
    if (options_has(options, "no-wait")) {
        return print_json(*dataset) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    enum status status = watch(contact, id, is_json, dataset, &error);
    if (contact->is_interrupted) {
        (void)fprintf(
            stderr,
            "lode: detached; the site goes on\n      lode data show %s    shows how far it is\n",
            id);
        return EXIT_SIGNAL + SIGINT;
    }
    return status == OK ? finish(*dataset, is_json) : command_fail(&error, EXIT_FAILED);
}

static int run_data_add(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *document = json_object();
    AUTO_JSON json_t *dataset = NULL;
    if (dataset_document(options, document, &error) != OK ||
        contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    contact.is_patient = true;
    contact_catch_interrupts(&contact);
    if (contact_json(&contact, "POST", "/v1/datasets", document, &dataset, &error) != OK) {
        return contact.is_interrupted ? EXIT_SIGNAL + SIGINT : command_fail(&error, EXIT_FAILED);
    }
    return watch_to_end(&contact, options, &dataset);
}

static const struct command_option DATA_ADD_OPTIONS[] = {
    {"title", 0, OPTION_TEXT, "TEXT", "what it is, for people", NULL},
    {"alias", 0, OPTION_LIST, "ID", "another identifier of the same dataset", NULL},
    {"no-wait", 0, OPTION_FLAG, NULL, "do not wait for the checksums", NULL},
};

static const struct command_example DATA_ADD_EXAMPLES[] = {
    {"lode data add doi:10.5065/coads /data/coads.nc", "registers a file where it lies"},
    {"lode data add climate:monthly /data/monthly --title 'Monthly means'",
     "registers a folder with all files in it"},
};

const struct command COMMAND_DATA_ADD = {
    .name = "data add",
    .usage = "ID PATH...",
    .purpose = "registers files or folders of the site's machine where they lie",
    .description = "Nothing is copied. The site notes size, time and SHA-256 of each file; Ctrl-C "
                   "leaves it at that, and "
                   "the same command later goes on where it was. ID is a DOI, ARK, Handle, URN, "
                   "IVOID, URL, or "
                   "scope:name.",
    .statuses = "130: Ctrl-C was typed here; the site goes on.",
    .group = GROUP_DATA,
    .options = OPTION_TABLE(DATA_ADD_OPTIONS),
    .examples = EXAMPLES(DATA_ADD_EXAMPLES),
    .operands_min = 2,
    .operands_max = SIZE_MAX,
    .run = run_data_add,
};

static const struct table_column DATASET_COLUMNS[] = {
    {"ID", false, true},   {"STATE", false, false},      {"FILES", true, false},
    {"SIZE", true, false}, {"REGISTERED", false, false}, {"TITLE", false, true},
};

static enum status add_dataset(void *table, json_t *dataset, struct error *error)
{
    (void)error;
    table_add(table, field_text(dataset, "id"));
    table_add(table, field_text(dataset, "state"));
    table_addf(table, "%lld", (long long)field_int64(dataset, "file_count"));
    table_add_bytes(table, field_int64(dataset, "size_bytes"));
    table_add_time(table, field_time(dataset, "registered_at"), clock_real_us());
    table_add(table, field_text(dataset, "title"));
    return OK;
}

static int run_data_list(const struct command *command, const struct options *options)
{
    (void)command;
    AUTO_BUFFER struct buffer path = {0};
    buffer_append_string(&path, "/v1/datasets");
    if (options->operand_count > 0) {
        buffer_append_string(&path, "?prefix=");
        percent_append(&path, text_of(options->operands[0]));
    }
    return print_list(options, path.bytes, "datasets", DATASET_COLUMNS,
                      sizeof(DATASET_COLUMNS) / sizeof(DATASET_COLUMNS[0]), add_dataset);
}

static const struct command_example DATA_LIST_EXAMPLES[] = {
    {"lode data list", "lists all datasets of the site"},
    {"lode data list doi:10.5065/", "those whose identifiers begin so"},
};

const struct command COMMAND_DATA_LIST = {
    .name = "data list",
    .usage = "[PREFIX]",
    .purpose = "lists the datasets of a site",
    .group = GROUP_DATA,
    .examples = EXAMPLES(DATA_LIST_EXAMPLES),
    .operands_max = 1,
    .run = run_data_list,
};

static const struct table_column FILE_COLUMNS[] = {{"STATE", false, false},
                                                   {"SIZE", true, false},
                                                   {"MODIFIED", false, false},
                                                   {"PATH", false, true}};

static enum status add_file(void *table, json_t *file, struct error *error)
{
    (void)error;
    table_add(table, field_text(file, "state"));
    table_add_bytes(table, field_int64(file, "size_bytes"));
    table_add_time(table, field_time(file, "modified_at"), clock_real_us());
    table_add(table, field_text(file, "path"));
    return OK;
}

static void show_dataset(const void *context, const json_t *dataset, struct buffer *out)
{
    (void)context;
    say_dataset(dataset, out);
    if (field_text(dataset, "title").length > 0) {
        buffer_append_string(out, "  title       ");
        display_text(out, field_text(dataset, "title"));
        buffer_append_byte(out, '\n');
    }
    size_t at = 0;
    json_t *item = NULL;
    json_array_foreach(json_object_get(dataset, "aliases"), at, item)
    {
        buffer_append_string(out, "  alias       ");
        display_text(out, json_text(item));
        buffer_append_byte(out, '\n');
    }
    json_array_foreach(json_object_get(dataset, "roots"), at, item)
    {
        buffer_append_string(out, "  at          ");
        display_text(out, field_text(item, "path"));
        buffer_append_byte(out, '\n');
    }
    const json_t *progress = json_object_get(dataset, "progress");
    if (is_working(dataset) && progress) {
        buffer_append_string(out, "  done        ");
        display_bytes(out, field_int64(progress, "bytes_done"));
        buffer_append_string(out, " of ");
        display_bytes(out, field_int64(progress, "bytes_total"));
        buffer_append_byte(out, '\n');
    }
}

static int run_data_show(const struct command *command, const struct options *options)
{
    (void)command;
    AUTO_BUFFER struct buffer path = {0};
    bool has_files = options_has(options, "files");
    dataset_path(options->operands[0], has_files ? "/files?limit=1000" : "", &path);
    if (has_files) {
        return print_list(options, path.bytes, "files", FILE_COLUMNS,
                          sizeof(FILE_COLUMNS) / sizeof(FILE_COLUMNS[0]), add_file);
    }
    return print_request(options, &(struct request){"GET", path.bytes, NULL}, show_dataset, NULL);
}

static const struct command_option DATA_SHOW_OPTIONS[] = {
    {"files", 0, OPTION_FLAG, NULL, "list its files with size, time and state", NULL},
};

static const struct command_example DATA_SHOW_EXAMPLES[] = {
    {"lode data show doi:10.5065/coads", "shows where it lies and its state"},
    {"lode data show doi:10.5065/coads --files --json", "prints all files with their digests"},
};

const struct command COMMAND_DATA_SHOW = {
    .name = "data show",
    .usage = "ID",
    .purpose = "shows a dataset, or its files",
    .group = GROUP_DATA,
    .options = OPTION_TABLE(DATA_SHOW_OPTIONS),
    .examples = EXAMPLES(DATA_SHOW_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_data_show,
};

static int run_data_verify(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_BUFFER struct buffer path = {0};
    AUTO_JSON json_t *body =
        json_pack("{s:s, s:b}", "mode", options_has(options, "full") ? "full" : "quick",
                  "accept_changes", options_has(options, "accept-changes") ? 1 : 0);
    AUTO_JSON json_t *dataset = NULL;
    dataset_path(options->operands[0], "/verify", &path);
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    contact.is_patient = true;
    contact_catch_interrupts(&contact);
    if (contact_json(&contact, "POST", path.bytes, body, &dataset, &error) != OK) {
        return contact.is_interrupted ? EXIT_SIGNAL + SIGINT : command_fail(&error, EXIT_FAILED);
    }
    return watch_to_end(&contact, options, &dataset);
}

static const struct command_option DATA_VERIFY_OPTIONS[] = {
    {"full", 0, OPTION_FLAG, NULL, "compute all checksums again", NULL},
    {"accept-changes", 0, OPTION_FLAG, NULL, "take the files as they are now for the dataset",
     NULL},
    {"no-wait", 0, OPTION_FLAG, NULL, "do not wait for the end", NULL},
};

static const struct command_example DATA_VERIFY_EXAMPLES[] = {
    {"lode data verify doi:10.5065/coads", "looks again at size and time of each file"},
    {"lode data verify doi:10.5065/coads --full", "reads every byte again"},
};

const struct command COMMAND_DATA_VERIFY = {
    .name = "data verify",
    .usage = "ID",
    .purpose = "looks whether the files of a dataset are still what they were",
    .statuses = "1: A file is changed, missing or unreadable; lode data show ID --files names it.",
    .group = GROUP_DATA,
    .options = OPTION_TABLE(DATA_VERIFY_OPTIONS),
    .examples = EXAMPLES(DATA_VERIFY_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_data_verify,
};

static int run_data_remove(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    int exit_status = EXIT_SUCCESS;
    for (size_t i = 0; i < options->operand_count; i++) {
        AUTO_JSON json_t *answer = NULL;
        AUTO_BUFFER struct buffer path = {0};
        dataset_path(options->operands[i], "", &path);
        if (contact_json(&contact, "DELETE", path.bytes, NULL, &answer, &error) != OK) {
            exit_status = command_fail(&error, EXIT_FAILED);
        } else if (options_has(options, "json")) {
            (void)print_json(answer);
        } else {
            (void)printf("%s is not registered any more\n", options->operands[i]);
        }
    }
    return fflush(stdout) == 0 ? exit_status : EXIT_FAILED;
}

static const struct command_example DATA_REMOVE_EXAMPLES[] = {
    {"lode data remove climate:monthly",
     "forgets the dataset; what was registered where it lies stays there"},
};

const struct command COMMAND_DATA_REMOVE = {
    .name = "data remove",
    .usage = "ID...",
    .purpose = "forgets datasets; their files stay, but for copies that Lode made",
    .description = "Files that were registered where they lie are never touched. Those of a "
                   "replica that the site has copied "
                   "itself (lode data replicate, or for a job), below replicas/ in its directory, "
                   "are removed.",
    .group = GROUP_DATA,
    .examples = EXAMPLES(DATA_REMOVE_EXAMPLES),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_data_remove,
};
