#include "cli/follow.h"

#include "base/hex.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/waiting.h"
#include "http/event_stream.h"

#include <stdio.h>

enum { FAILURES_SHOWN_MAX = 5 };

static const int64_t EMPTY_PAUSE_US = 1000000; // After a connection that brought nothing.

static const char *const STREAMS[2] = {"stdout", "stderr"};

struct follower {
    struct contact *contact;
    const struct follow_options *options;
    struct event_stream events;
    struct buffer last_id; // Of the last event that was handled whole.
    int64_t printed[2];    // Bytes of the first task's output that were printed.
    int64_t attempt;       // That they are of; 0: it is not known.
    int64_t task_count;    // 0 until it is known.
    int64_t failures_shown;
    struct progress progress;
    struct waiting waiting;
    json_t *end;        // The job, once it has ended or is held.
    bool is_stream;     // The answer is a stream of events, by its type.
    bool has_events;    // At least one came over this connection.
    enum status status; // Of the handling of events.
    struct error error;
};

static FILE *stream_of(int which)
{
    return which == 0 ? stdout : stderr;
}

static enum status write_out(int which, struct text bytes, struct error *error)
{
    FILE *stream = stream_of(which);
    if (fwrite(bytes.bytes ? bytes.bytes : "", 1, bytes.length, stream) != bytes.length ||
        fflush(stream) != 0) {
        return error_set(error, UNSUPPORTED, "nobody reads standard output any more");
    }
    return OK;
}

// Output of a task that is copied as it comes.
struct copy {
    int which;
    int64_t *offset;
    int64_t *attempt; // That wrote what is printed already; NULL: it does not matter.
    bool is_other;    // Another one wrote what comes: nothing is copied.
    enum status status;
    struct error *error;
};

static bool copy_piece(void *context, struct text bytes)
{
    struct copy *copy = context;
    if (copy->is_other) {
        return false;
    }
    copy->status = write_out(copy->which, bytes, copy->error);
    *copy->offset += (int64_t)bytes.length;
    return copy->status == OK;
}

// A site keeps a limited part of the output of running tasks; what it dropped is said and passed over.
static void take_copy_header(void *context, struct text name, struct text value)
{
    struct copy *copy = context;
    int64_t dropped = 0;
    int64_t attempt = 0;
    if (copy->attempt && text_equal_no_case(name, TEXT("lode-attempt")) &&
        text_to_int64(text_trim(value), &attempt)) {
        copy->is_other = *copy->attempt != 0 && *copy->attempt != attempt;
        *copy->attempt = attempt;
    }
    if (copy->is_other) {
        return;
    }
    if (text_equal_no_case(name, TEXT("lode-dropped")) &&
        text_to_int64(text_trim(value), &dropped) && dropped > 0) {
        (void)fprintf(
            stderr, "lode: %lld bytes are left out here; they are shown when the task has ended\n",
            (long long)dropped);
        *copy->offset += dropped;
    }
}

static enum status copy_output(struct contact *contact, bool is_aside, const char *path,
                               struct copy *copy, struct error *error)
{
    const struct http_ask ask = {
        .method = "GET",
        .path = path,
        .on_data = copy_piece,
        .on_header = take_copy_header,
        .context = copy,
    };
    struct error failure;
    copy->error = error;
    enum status status = is_aside ? contact_ask_aside(contact, &ask, NULL, &failure)
                                  : contact_ask(contact, &ask, NULL, &failure);
    if (copy->is_other || copy->status != OK) {
        return copy->status;
    }
    if (status != OK && error) {
        *error = failure;
    }
    return status;
}

static void output_path(struct buffer *path, int64_t job, int64_t task, const char *which,
                        int64_t offset)
{
    buffer_printf(path, "/v1/jobs/%lld/tasks/%lld/%s?offset=%lld", (long long)job, (long long)task,
                  which, (long long)offset);
}

static void say_attempt(int64_t attempt)
{
    (void)fprintf(stderr,
                  "lode: the task began again (attempt %lld): what it prints follows, from its "
                  "beginning\n",
                  (long long)attempt);
}

enum status follow_copy_output(struct contact *contact, int64_t job, int64_t task, int which,
                               struct printed *printed, struct error *error)
{
    int64_t *offset = &printed->bytes[which];
    for (;;) {
        AUTO_BUFFER struct buffer path = {0};
        output_path(&path, job, task, STREAMS[which], *offset);
        int64_t before = *offset;
        struct copy copy = {.which = which, .offset = offset, .attempt = &printed->attempt};
        enum status status = copy_output(contact, false, path.bytes, &copy, error);
        if (copy.is_other) {
            if (printed->bytes[0] > 0 || printed->bytes[1] > 0) {
                say_attempt(printed->attempt);
            }
            printed->bytes[0] = 0;
            printed->bytes[1] = 0;
            continue;
        }
        bool is_cut = contact_is_absence(status) && *offset > before && contact->is_patient;
        if (!is_cut || !contact_pause(contact)) {
            return status;
        }
    }
}

// Prints what is not printed yet of an output, from the site.
static enum status fetch_rest(struct follower *follower, int64_t task, int which, int64_t *printed,
                              struct error *error)
{
    AUTO_BUFFER struct buffer path = {0};
    output_path(&path, follower->options->job, task, STREAMS[which], *printed);
    struct copy copy = {.which = which, .offset = printed};
    return copy_output(follower->contact, true, path.bytes, &copy, error);
}

// What was printed of an earlier attempt is none of this one's, which is printed from its beginning.
static void begin_attempt(struct follower *follower, int64_t attempt)
{
    bool is_other = attempt != 0 && follower->attempt != 0 && attempt != follower->attempt;
    if (is_other && (follower->printed[0] > 0 || follower->printed[1] > 0)) {
        progress_hide(&follower->progress);
        say_attempt(attempt);
        follower->printed[0] = 0;
        follower->printed[1] = 0;
    }
    follower->attempt = attempt != 0 ? attempt : follower->attempt;
}

// Live output of the single task: what was printed before a reconnection is not printed again.
static enum status handle_log(struct follower *follower, const json_t *data, struct error *error)
{
    AUTO_BUFFER struct buffer bytes = {0};
    int which = text_equal(field_text(data, "stream"), TEXT("stderr")) ? 1 : 0;
    int64_t offset = field_int64(data, "offset");
    int64_t *printed = &follower->printed[which];
    TRY(base64_decode(field_text(data, "base64"), &bytes, error));
    begin_attempt(follower, field_int64(data, "attempt"));
    if (offset > *printed) {
        // The site keeps a limited part of running output; the rest is fetched when the task has ended.
        return OK;
    }
    int64_t old = *printed - offset;
    if (old >= (int64_t)bytes.length) {
        return OK;
    }
    struct text fresh = text_slice(buffer_text(&bytes), (size_t)old, bytes.length);
    TRY(write_out(which, fresh, error));
    *printed += (int64_t)fresh.length;
    return OK;
}

static enum status print_output(struct follower *follower, const json_t *data, int which,
                                struct error *error)
{
    int64_t none = 0;
    // Only the first task can have been shown live, in a job that has no other.
    bool is_first = field_int64(data, "index") == 0;
    int64_t *printed = is_first ? &follower->printed[which] : &none;
    const json_t *given = json_object_get(data, STREAMS[which]);
    if (json_is_string(given)) {
        struct text text = json_text(given);
        struct text fresh = text_slice(text, (size_t)*printed, text.length);
        *printed += (int64_t)fresh.length;
        return write_out(which, fresh, error);
    }
    int64_t size = field_int64(data, which == 0 ? "stdout_size" : "stderr_size");
    return size > *printed ? fetch_rest(follower, field_int64(data, "index"), which, printed, error)
                           : OK;
}

// Of several tasks the first that failed are named as they fail; the job's end tells of the single one.
static void say_failure(struct follower *follower, const json_t *data)
{
    if (follower->task_count == 1 || !text_equal(field_text(data, "state"), TEXT("failed"))) {
        return;
    }
    if (follower->failures_shown++ == FAILURES_SHOWN_MAX) {
        (void)fputs("lode: more tasks fail; they are not named here\n", stderr);
    }
    if (follower->failures_shown > FAILURES_SHOWN_MAX) {
        return;
    }
    AUTO_BUFFER struct buffer message = {0};
    display_text(&message, field_text(data, "message"));
    (void)fprintf(stderr, "lode: task %lld failed", (long long)field_int64(data, "index"));
    if (message.length > 0) {
        (void)fprintf(stderr, ": %s\n", message.bytes);
    } else {
        (void)fprintf(stderr, " with exit status %lld\n",
                      (long long)field_int64(data, "exit_code"));
    }
}

static enum status handle_task(struct follower *follower, const json_t *data, struct error *error)
{
    progress_hide(&follower->progress);
    if (field_int64(data, "index") == 0) {
        begin_attempt(follower, field_int64(data, "attempts"));
    }
    TRY(print_output(follower, data, 0, error));
    TRY(print_output(follower, data, 1, error));
    say_failure(follower, data);
    return OK;
}

static enum status handle_json(struct text name, json_t *data, struct error *error)
{
    (void)json_object_set_new(data, "event", json_from_text(name));
    return print_json(data)
               ? OK
               : error_set(error, UNSUPPORTED, "nobody reads standard output any more");
}

static enum status handle(struct follower *follower, const struct event *event, struct error *error)
{
    AUTO_JSON json_t *data = NULL;
    TRY(json_parse(event->data, &data, error));
    bool is_held = text_equal(event->name, TEXT("job")) && job_is_held(data);
    if (text_equal(event->name, TEXT("end")) || is_held) {
        json_decref(follower->end);
        follower->end = json_incref(data);
    }
    if (!text_equal(event->name, TEXT("job"))) { // Counters alone are no life.
        waiting_note_life(&follower->waiting);
    }
    if (follower->options->is_json) {
        TRY(handle_json(event->name, data, error));
    } else if (text_equal(event->name, TEXT("log"))) {
        TRY(handle_log(follower, data, error));
    } else if (text_equal(event->name, TEXT("task"))) {
        TRY(handle_task(follower, data, error));
    } else if (text_equal(event->name, TEXT("job"))) {
        int64_t total = field_int64(json_object_get(data, "tasks"), "total");
        follower->task_count = total > 0 ? total : follower->task_count;
        progress_update(&follower->progress, job_tasks_ended(data), follower->task_count);
    }
    return OK;
}

static bool on_event(void *context, const struct event *event)
{
    struct follower *follower = context;
    follower->status = handle(follower, event, &follower->error);
    if (follower->status != OK) {
        return false;
    }
    follower->has_events = true;
    buffer_clear(&follower->last_id);
    buffer_append_text(&follower->last_id, event->id);
    return !follower->end;
}

static void on_header(void *context, struct text name, struct text value)
{
    struct follower *follower = context;
    if (text_equal_no_case(name, TEXT("content-type"))) {
        follower->is_stream = text_starts_with(value, TEXT("text/event-stream"));
    }
}

static bool on_data(void *context, struct text bytes)
{
    struct follower *follower = context;
    struct error error;
    if (!follower->is_stream) {
        follower->status =
            error_set(&follower->error, CORRUPT, "the site's answer is not a stream of events");
        return false;
    }
    enum status status = event_stream_feed(&follower->events, bytes, on_event, follower, &error);
    if (status == INVALID) {
        follower->status = status;
        follower->error = error;
    }
    return status == OK;
}

// One connection's worth of events. OK when it broke off and can be taken up again.
static enum status follow_once(struct follower *follower, struct error *error)
{
    AUTO_BUFFER struct buffer path = {0};
    buffer_printf(&path, "/v1/jobs/%lld/events", (long long)follower->options->job);
    event_stream_restart(&follower->events);
    follower->status = OK;
    follower->is_stream = false;
    follower->has_events = false;
    const struct http_ask ask = {
        .method = "GET",
        .path = path.bytes,
        .last_event_id = follower->last_id.length > 0 ? follower->last_id.bytes : NULL,
        .on_data = on_data,
        .on_header = on_header,
        .context = follower,
    };
    enum status status = contact_ask(follower->contact, &ask, NULL, error);
    if (follower->end) {
        return OK;
    }
    if (follower->status != OK) {
        *error = follower->error;
        status = follower->status;
    }
    return contact_is_absence(status) && follower->contact->has_met ? OK : status;
}

enum status follow_job(struct contact *contact, const struct follow_options *options, json_t **job,
                       struct error *error)
{
    struct follower follower = {
        .contact = contact, .options = options, .task_count = options->task_count};
    AUTO_FREE char *label = memory_format("job %lld", (long long)options->job);
    event_stream_init(&follower.events);
    progress_init(&follower.progress, label, PROGRESS_TASKS, !options->has_progress);
    waiting_begin(&follower.waiting, contact, options->job, &follower.progress, options->is_json);
    follower.waiting.has_said_place = options->has_said_place;
    enum status status = OK;
    while (status == OK && !follower.end) {
        status = follow_once(&follower, error);
        if (status == OK && !follower.end) {
            progress_hide(&follower.progress);
            if (!follower.has_events) {
                contact_sleep(contact, EMPTY_PAUSE_US);
            }
            if (!contact_pause(contact)) {
                status = error_set(error, CONFLICT, "interrupted");
            }
        }
    }
    progress_hide(&follower.progress);
    waiting_end(&follower.waiting);
    if (status == OK) {
        *job = TAKE(follower.end);
    }
    json_decref(follower.end);
    event_stream_done(&follower.events);
    buffer_done(&follower.last_id);
    return status;
}
