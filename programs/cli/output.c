#include "cli/output.h"

#include "base/calendar.h"
#include "cli/command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const double SECONDS_MAX = 1e11; // Three thousand years.

bool print_text(const struct buffer *text)
{
    return text->length == 0 ||
           (fwrite(text->bytes, 1, text->length, stdout) == text->length && fflush(stdout) == 0);
}

bool print_json(const json_t *value)
{
    AUTO_BUFFER struct buffer text = {0};
    json_write(value, false, &text);
    buffer_append_byte(&text, '\n');
    return print_text(&text);
}

bool print_table(struct table *table)
{
    AUTO_BUFFER struct buffer text = {0};
    table_write(table, terminal_width(STDOUT_FILENO), &text);
    table_free(table);
    return print_text(&text);
}

int print_answer(const struct options *options, const json_t *answer, say_answer *say,
                 const void *context)
{
    AUTO_BUFFER struct buffer out = {0};
    if (options_has(options, "json")) {
        return print_json(answer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    say(context, answer, &out);
    return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
}

int print_request(const struct options *options, const struct request *request, say_answer *say,
                  const void *context)
{
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *answer = NULL;
    if (contact_open(options, &contact, &error) != OK ||
        contact_json(&contact, request->method, request->path, request->body, &answer, &error) !=
            OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    return print_answer(options, answer, say, context);
}

int64_t field_int64(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

struct text field_text(const json_t *object, const char *name)
{
    return json_text(json_object_get(object, name));
}

bool field_bool(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

int64_t field_time(const json_t *object, const char *name)
{
    int64_t time_us = 0;
    (void)calendar_parse(field_text(object, name), &time_us);
    return time_us;
}

int64_t field_seconds_us(const json_t *object, const char *name)
{
    double seconds = json_number_value(json_object_get(object, name));
    return seconds > 0 ? (int64_t)((seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * 1e6) : 0;
}

void append_core_hours(struct buffer *out, const json_t *object, const char *name)
{
    double hours = json_number_value(json_object_get(object, name));
    buffer_printf(out, hours > 0 && hours < 0.01 ? "%.4f" : hours < 10 ? "%.2f" : "%.1f", hours);
}

void append_property(struct buffer *out, const char *name, struct text text)
{
    if (text.length > 0) {
        buffer_printf(out, "%-14s", name);
        display_text(out, text);
        buffer_append_byte(out, '\n');
    }
}

void table_add_bytes(struct table *table, int64_t bytes)
{
    AUTO_BUFFER struct buffer cell = {0};
    display_bytes(&cell, bytes);
    table_add(table, buffer_text(&cell));
}

void table_add_duration(struct table *table, int64_t duration_us)
{
    AUTO_BUFFER struct buffer cell = {0};
    display_duration(&cell, duration_us);
    table_add(table, duration_us > 0 ? buffer_text(&cell) : TEXT("-"));
}

void table_add_time(struct table *table, int64_t time_us, int64_t now_us)
{
    AUTO_BUFFER struct buffer cell = {0};
    display_time(&cell, time_us, now_us);
    table_add(table, time_us > 0 ? buffer_text(&cell) : TEXT("-"));
}

enum status parse_job(const char *text, int64_t *job, int64_t *task, struct error *error)
{
    struct text whole = text_of(text);
    size_t slash = text_find_byte(whole, 0, '/');
    int64_t index = -1;
    bool is_read = text_to_int64(text_slice(whole, 0, slash), job) && *job > 0;
    if (is_read && slash < whole.length) {
        is_read = text_to_int64(text_slice(whole, slash + 1, whole.length), &index) && index >= 0;
    }
    if (!is_read) {
        (void)error_set(error, INVALID, "\"%.100s\" is neither a job nor a task", text);
        error_fix(error, "write a job's number, such as 17, or 17/3 for its task 3");
        return INVALID;
    }
    *task = index;
    return OK;
}

enum status parse_job_only(const char *text, int64_t *job, struct error *error)
{
    int64_t task = -1;
    TRY(parse_job(text, job, &task, error));
    if (task >= 0) {
        return error_set(error, INVALID, "\"%.100s\" names a task; a job is needed here", text);
    }
    return OK;
}

bool job_has_ended(const json_t *job)
{
    struct text state = field_text(job, "state");
    return text_equal(state, TEXT("succeeded")) || text_equal(state, TEXT("failed")) ||
           text_equal(state, TEXT("cancelled"));
}

bool job_is_held(const json_t *job)
{
    return text_equal(field_text(job, "state"), TEXT("held"));
}

void job_say_held(const json_t *job)
{
    long long id = (long long)field_int64(job, "id");
    AUTO_BUFFER struct buffer message = {0};
    display_text(&message, field_text(job, "message"));
    (void)fprintf(
        stderr,
        "lode: job %lld is held: %s\n"
        "      lode why JOB/TASK    says what is known of these workers\n"
        "      lode retry %lld       lets the tasks run again (lode retry JOB/TASK: one)\n"
        "      lode cancel %lld      ends the job; what has succeeded is kept\n",
        id, message.length > 0 ? message.bytes : "", id, id);
}

int64_t job_tasks_ended(const json_t *job)
{
    const json_t *tasks = json_object_get(job, "tasks");
    return field_int64(tasks, "succeeded") + field_int64(tasks, "failed");
}

int job_exit_status(const json_t *job)
{
    struct text state = field_text(job, "state");
    int64_t code = field_int64(job, "exit_code");
    if (text_equal(state, TEXT("succeeded"))) {
        return EXIT_SUCCESS;
    }
    if (text_equal(state, TEXT("cancelled"))) {
        return EXIT_SIGNAL + SIGTERM;
    }
    return code > 0 && code < 256 ? (int)code : EXIT_LODE;
}

int print_list(const struct options *options, const char *path, const char *things,
               const struct table_column *columns, size_t column_count,
               enum status (*add_row)(void *table, json_t *item, struct error *error))
{
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        AUTO_JSON json_t *all = NULL;
        return contact_list_all(&contact, path, things, &all, &error) == OK
                   ? (print_json(all) ? EXIT_SUCCESS : EXIT_FAILED)
                   : command_fail(&error, EXIT_FAILED);
    }
    struct table *table = table_new(columns, column_count);
    if (contact_list(&contact, path, things, 0, add_row, table, &error) != OK) {
        table_free(table);
        return command_fail(&error, EXIT_FAILED);
    }
    return print_table(table) ? EXIT_SUCCESS : EXIT_FAILED;
}
