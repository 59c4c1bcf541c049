#include "runner/runner.h"

#include "base/memory.h"
#include "jobs/spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

// The command of a job. Arguments without braces are made once; the others for each task, one behind the other in
// `expanded`.
enum { OWN_VARIABLES = 5 }; // LODE_INDEX, LODE_ITEM, LODE_TOKEN, LODE_ATTEMPT, LODE_CHECKPOINT.

struct command {
    const struct runner_job *job;
    char **fixed;     // NULL where an argument depends on the task.
    char **arguments; // What is executed; NULL-terminated.
    char **environment;
    size_t *offsets; // Of each argument that depends on the task, in `expanded`.
    bool has_templates;
    struct buffer expanded;
    struct buffer item; // "LODE_ITEM=..."
    char index[48];     // "LODE_INDEX=..."
    char attempt[48];   // "LODE_ATTEMPT=..."
    char restored[24];  // "LODE_CHECKPOINT=1"
    char *program;      // Found along PATH.
    bool is_program_fixed;
};

static bool is_template(struct text argument)
{
    return text_contains_byte(argument, '{') || text_contains_byte(argument, '}');
}

struct command *command_new(const struct runner_job *job)
{
    struct command *command = NEW(struct command);
    size_t arguments = (size_t)job->argument_count;
    size_t variables = (size_t)job->environment_count;
    command->job = job;
    command->fixed = memory_new(arguments + 1, sizeof *command->fixed);
    command->arguments = memory_new(arguments + 1, sizeof *command->arguments);
    command->offsets = memory_new(arguments + 1, sizeof *command->offsets);
    command->environment = memory_new(variables + OWN_VARIABLES + 1, sizeof *command->environment);
    for (size_t i = 0; i < arguments; i++) {
        if (is_template(job->arguments[i])) {
            command->has_templates = true;
        } else {
            command->fixed[i] = text_copy(job->arguments[i]);
            command->arguments[i] = command->fixed[i];
        }
    }
    for (size_t i = 0; i < variables; i++) {
        command->environment[i] = text_copy(job->environment[i]);
    }
    return command;
}

void command_free(struct command *command)
{
    if (!command) {
        return;
    }
    for (int64_t i = 0; i < command->job->argument_count; i++) {
        free(command->fixed[i]);
    }
    for (int64_t i = 0; i < command->job->environment_count; i++) {
        free(command->environment[i]);
    }
    free(command->fixed);
    free(command->arguments);
    free(command->offsets);
    free(command->environment);
    free(command->program);
    buffer_done(&command->expanded);
    buffer_done(&command->item);
    free(command);
}

// The item as the task sees it: the file's path, the line, or the index.
static enum status describe_item(struct command *command, int64_t index, struct text line,
                                 struct error *error)
{
    const struct runner_job *job = command->job;
    buffer_clear(&command->item);
    buffer_append_string(&command->item, "LODE_ITEM=");
    if (job->items == ITEMS_FILES) {
        struct item_file file;
        TRY(item_file_parse(line, &file, error));
        buffer_append_text(&command->item, job->data_folder);
        buffer_append_byte(&command->item, '/');
        buffer_append_text(&command->item, file.path);
    } else if (job->items == ITEMS_LINES) {
        buffer_append_text(&command->item, line);
    } else {
        buffer_append_int64(&command->item, index);
    }
    if (text_contains_byte(buffer_text(&command->item), '\0')) {
        return error_set(error, INVALID, "item %" PRId64 " has a NUL byte: no argument can hold it",
                         index);
    }
    return OK;
}

enum status command_prepare(struct command *command, int64_t index, struct text item,
                            struct error *error)
{
    const struct runner_job *job = command->job;
    size_t variables = (size_t)job->environment_count;
    index += job->first_index;
    TRY(describe_item(command, index, item, error));
    (void)snprintf(command->index, sizeof command->index, "LODE_INDEX=%" PRId64, index);
    command->environment[variables] = command->index;
    command->environment[variables + 1] = command->item.bytes;
    if (!command->has_templates) {
        return OK;
    }
    struct text whole = buffer_text(&command->item);
    struct text shown = text_slice(whole, sizeof "LODE_ITEM=" - 1, whole.length);
    struct text file = job->items == ITEMS_FILES ? shown : TEXT_NONE;
    buffer_clear(&command->expanded);
    for (int64_t i = 0; i < job->argument_count; i++) {
        if (!command->fixed[i]) {
            command->offsets[i] = command->expanded.length;
            spec_expand(job->arguments[i], index, shown, file, &command->expanded);
            buffer_append_byte(&command->expanded, '\0');
        }
    }
    for (int64_t i = 0; i < job->argument_count; i++) {
        if (!command->fixed[i]) {
            command->arguments[i] = command->expanded.bytes + command->offsets[i];
        }
    }
    return OK;
}

void command_tell_range(struct command *command, const struct queued_range *range)
{
    size_t count = 0;
    char **place = &command->environment[command->job->environment_count + 2];
    (void)snprintf(command->attempt, sizeof command->attempt, "LODE_ATTEMPT=%" PRId64,
                   range->attempt);
    (void)snprintf(command->restored, sizeof command->restored, "LODE_CHECKPOINT=1");
    if (range->token) {
        place[count++] = range->token;
    }
    if (range->attempt > 0) {
        place[count++] = command->attempt;
    }
    if (range->attempt > 0 && range->is_restored) {
        place[count++] = command->restored;
    }
    place[count] = NULL;
}

char *const *command_arguments(const struct command *command)
{
    return command->arguments;
}

char *const *command_environment(const struct command *command)
{
    return command->environment;
}

static bool is_executable(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

// The value of PATH that the task will see.
static struct text search_path(const struct runner_job *job)
{
    struct text path = TEXT("/usr/local/bin:/usr/bin:/bin");
    for (int64_t i = 0; i < job->environment_count; i++) {
        if (text_starts_with(job->environment[i], TEXT("PATH="))) {
            path = text_slice(job->environment[i], 5, job->environment[i].length);
        }
    }
    return path;
}

enum status command_program(struct command *command, const char **out, struct error *error)
{
    if (command->is_program_fixed) {
        *out = command->program;
        return OK;
    }
    const char *name = command->arguments[0];
    if (strchr(name, '/')) {
        *out = name;
        return OK;
    }
    struct text rest = search_path(command->job);
    struct text part;
    while (text_next_part(&rest, ':', &part)) {
        free(command->program);
        command->program = part.length == 0 ? memory_format("./%s", name)
                                            : memory_format("%.*s/%s", TEXT_ARGS(part), name);
        if (is_executable(command->program)) {
            // What tasks cannot write to stays where it is for the job's whole life.
            command->is_program_fixed = command->fixed[0] && text_starts_with(part, TEXT("/usr/"));
            *out = command->program;
            return OK;
        }
    }
    return error_set(error, NOT_FOUND, "command \"%.200s\" was not found along PATH", name);
}
