#include "cli/merged.h"

#include "base/memory.h"
#include "cli/output.h"

#include <stdio.h>

enum {
    TASKS_SHOWN_MAX = 100,  // Of a part; those beyond are not looked at.
    SHOWN_SIZE_MAX = 65536, // Of what one task wrote: the end of it.
};

struct part {
    struct contact *contact;
    int64_t job;
    struct buffer name; // "ocean, job 12"
};

static void say_lines(const struct part *part, struct text rest)
{
    while (rest.length > 0) {
        AUTO_BUFFER struct buffer words = {0};
        size_t end = text_find_byte(rest, 0, '\n');
        display_text(&words, text_slice(rest, 0, end));
        (void)fprintf(stderr, "[%s] %s\n", part->name.bytes, words.bytes ? words.bytes : "");
        rest = text_slice(rest, end + 1, rest.length);
    }
}

// The site's absence is an end of it all; what else is wrong with one task's output leaves that of the others.
static enum status say_task(void *context, json_t *task, struct error *error)
{
    const struct part *part = context;
    AUTO_BUFFER struct buffer bytes = {0};
    int64_t size = field_int64(json_object_get(task, "stderr"), "size_bytes");
    int64_t from = size > SHOWN_SIZE_MAX ? size - SHOWN_SIZE_MAX : 0;
    AUTO_FREE char *path =
        memory_format("/v1/jobs/%lld/tasks/%lld/stderr?offset=%lld", (long long)part->job,
                      (long long)field_int64(task, "index"), (long long)from);
    const struct http_ask ask = {.method = "GET", .path = path};
    enum status status = contact_ask(part->contact, &ask, &bytes, error);
    if (status != OK) {
        return contact_is_absence(status) ? status : OK;
    }
    if (from > 0) {
        (void)fprintf(stderr, "[%s] ... (lode logs %lld shows all)\n", part->name.bytes,
                      (long long)part->job);
    }
    say_lines(part, buffer_text(&bytes));
    return OK;
}

static void say_failure(const struct part *part, const json_t *job)
{
    AUTO_BUFFER struct buffer message = {0};
    if (!text_equal(field_text(job, "state"), TEXT("failed"))) {
        return;
    }
    display_text(&message, field_text(job, "message"));
    (void)fprintf(stderr, "lode: the part at %s failed%s%s\n      lode why %lld says more\n",
                  part->name.bytes, message.length > 0 ? ": " : "",
                  message.length > 0 ? message.bytes : "", (long long)part->job);
}

static void write_name(const json_t *job, int64_t id, struct buffer *out)
{
    struct text name = field_text(job, "at");
    name = name.length > 0 ? name : field_text(json_object_get(job, "spec"), "at");
    name = name.length > 0 ? name : field_text(job, "place");
    display_text(out, name.length > 0 ? name : TEXT("this site"));
    buffer_printf(out, ", job %lld", (long long)id);
}

static void say_part(struct contact *contact, int64_t id)
{
    AUTO_JSON json_t *job = NULL;
    struct error ignored;
    struct part part = {.contact = contact, .job = id};
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld", (long long)id);
    AUTO_FREE char *tasks = memory_format("/v1/jobs/%lld/tasks?limit=100", (long long)id);
    if (contact_json(contact, "GET", path, NULL, &job, &ignored) != OK) {
        return;
    }
    write_name(job, id, &part.name);
    // What cannot be had of a part does not matter more than the job itself.
    (void)contact_list(contact, tasks, "tasks", TASKS_SHOWN_MAX, say_task, &part, &ignored);
    say_failure(&part, job);
    buffer_done(&part.name);
}

void merged_say_parts(struct contact *contact, const json_t *job)
{
    const json_t *parts = json_object_get(json_object_get(job, "spec"), "input_from");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        say_part(contact, (int64_t)json_integer_value(json_array_get(parts, i)));
    }
}
