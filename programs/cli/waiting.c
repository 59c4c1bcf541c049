#include "cli/waiting.h"

#include "base/memory.h"
#include "cli/output.h"
#include "os/clock.h"

#include <stdio.h>

enum { FINGERPRINT_SHOWN = 23 }; // "sha256:" and 16 digits, as in the names of guests.
static const int64_t FIRST_LOOK_US = 3000000;
static const int64_t LOOK_PAUSE_MAX_US = 30000000;

static bool is_elsewhere(const json_t *job)
{
    return field_text(job, "place").length > 0;
}

// "runs at ocean (sha256:12ab...)"
static void append_place(const json_t *job, struct buffer *out)
{
    struct text place = field_text(job, "place");
    struct text name = field_text(job, "at");
    if (name.length == 0) {
        name = field_text(json_object_get(job, "spec"), "at");
    }
    bool has_name = name.length > 0 && !text_equal(name, place);
    buffer_append_string(out, "runs at ");
    if (has_name) {
        display_text(out, name);
        buffer_append_string(out, " (");
    }
    display_text(out, text_slice(place, 0, FINGERPRINT_SHOWN));
    buffer_append_string(out, place.length > FINGERPRINT_SHOWN ? "..." : "");
    buffer_append_string(out, has_name ? ")" : "");
}

// "runs over the outputs of jobs 15 and 16, when they have succeeded"
static void append_parts(const json_t *parts, struct buffer *out)
{
    size_t count = json_array_size(parts);
    buffer_append_string(out, "runs over the outputs of jobs ");
    for (size_t i = 0; i < count; i++) {
        buffer_append_string(out, i == 0 ? "" : i + 1 == count ? " and " : ", ");
        buffer_append_int64(out, json_integer_value(json_array_get(parts, i)));
    }
    buffer_append_string(out, ", when they have succeeded");
}

bool waiting_say_place(const json_t *job)
{
    const json_t *parts = json_object_get(json_object_get(job, "spec"), "input_from");
    AUTO_BUFFER struct buffer words = {0};
    if (is_elsewhere(job)) {
        append_place(job, &words);
    }
    if (json_array_size(parts) > 1) {
        buffer_append_string(&words, words.length > 0 ? "; " : "");
        append_parts(parts, &words);
    }
    if (words.length > 0) {
        (void)fprintf(stderr, "lode: %s\n", words.bytes);
    }
    return words.length > 0;
}

static void say_reason(struct waiting *waiting, json_t *answer)
{
    AUTO_BUFFER struct buffer why = {0};
    AUTO_BUFFER struct buffer change = {0};
    display_text(&why, field_text(answer, "why"));
    display_text(&change, field_text(answer, "change"));
    if (why.length == 0 || display_says_same(buffer_text(&why), buffer_text(&waiting->reason))) {
        return;
    }
    buffer_clear(&waiting->reason);
    buffer_append_text(&waiting->reason, buffer_text(&why));
    if (waiting->is_json) {
        (void)json_object_set_new(answer, "event", json_string("why"));
        (void)print_json(answer);
        return;
    }
    if (waiting->progress) {
        progress_hide(waiting->progress);
    }
    (void)fprintf(stderr, "lode: job %lld: %s\n", (long long)waiting->job, why.bytes);
    if (change.length > 0) {
        (void)fprintf(stderr, "      %s\n", change.bytes);
    }
}

// A job that runs here needs no words; one elsewhere may have lost its site.
static bool needs_words(struct waiting *waiting, const json_t *job)
{
    bool is_running = field_int64(json_object_get(job, "tasks"), "running") > 0;
    if (!waiting->has_said_place && !waiting->is_json && is_elsewhere(job)) {
        if (waiting->progress) {
            progress_hide(waiting->progress);
        }
        waiting->has_said_place = waiting_say_place(job);
    }
    return !job_has_ended(job) && !job_is_held(job) && (!is_running || is_elsewhere(job));
}

// What cannot be learnt now is left for the next time: the request that is awaited meets the same trouble, and says it.
static void look(struct waiting *waiting)
{
    AUTO_FREE char *job_path = memory_format("/v1/jobs/%lld", (long long)waiting->job);
    AUTO_FREE char *why_path = memory_format("/v1/jobs/%lld/why", (long long)waiting->job);
    AUTO_JSON json_t *job = NULL;
    AUTO_JSON json_t *answer = NULL;
    struct error ignored;
    if (contact_json_aside(waiting->contact, job_path, &job, &ignored) != OK ||
        !needs_words(waiting, job) ||
        contact_json_aside(waiting->contact, why_path, &answer, &ignored) != OK) {
        return;
    }
    say_reason(waiting, answer);
}

static int64_t on_idle(void *context)
{
    struct waiting *waiting = context;
    int64_t quiet_us = clock_steady_us() - waiting->heard_us;
    if (quiet_us < FIRST_LOOK_US) {
        return FIRST_LOOK_US - quiet_us;
    }
    look(waiting);
    int64_t pause_us = waiting->pause_us;
    waiting->pause_us = pause_us * 2 < LOOK_PAUSE_MAX_US ? pause_us * 2 : LOOK_PAUSE_MAX_US;
    return pause_us;
}

void waiting_begin(struct waiting *waiting, struct contact *contact, int64_t job,
                   struct progress *progress, bool is_json)
{
    *waiting = (struct waiting){
        .contact = contact,
        .progress = progress,
        .job = job,
        .is_json = is_json,
        .heard_us = clock_steady_us(),
        .pause_us = FIRST_LOOK_US,
    };
    contact_on_idle(contact, FIRST_LOOK_US, on_idle, waiting);
}

void waiting_end(struct waiting *waiting)
{
    contact_on_idle(waiting->contact, 0, NULL, NULL);
    buffer_done(&waiting->reason);
}

void waiting_note_life(struct waiting *waiting)
{
    waiting->heard_us = clock_steady_us();
    waiting->pause_us = FIRST_LOOK_US;
}
