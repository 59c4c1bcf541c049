#include "cli/answers.h"

#include "base/memory.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/waiting.h"

#include <stdio.h>

enum { WAIT_SECONDS = 20 };

// What the headers of one piece of answers say.
struct piece {
    int64_t next; // The index with which the next piece begins; -1: not said.
    bool is_last;
};

static void take_header(void *context, struct text name, struct text value)
{
    struct piece *piece = context;
    if (text_equal_no_case(name, TEXT("lode-next"))) {
        (void)text_to_int64(text_trim(value), &piece->next);
    } else if (text_equal_no_case(name, TEXT("lode-complete"))) {
        piece->is_last = text_equal_no_case(text_trim(value), TEXT("true"));
    }
}

// Gets the answers from index *from on, as far as there are, prints them and moves *from.
static enum status print_piece(struct contact *contact, int64_t job, int64_t *from, bool *is_last,
                               struct progress *progress, struct error *error)
{
    AUTO_BUFFER struct buffer path = {0};
    AUTO_BUFFER struct buffer lines = {0};
    struct piece piece = {.next = -1};
    buffer_printf(&path, "/v1/jobs/%lld/answers?from=%lld&wait=%d", (long long)job,
                  (long long)*from, WAIT_SECONDS);
    const struct http_ask ask = {
        .method = "GET", .path = path.bytes, .on_header = take_header, .context = &piece};
    // The piece is printed when it is complete, so that none is printed twice.
    TRY(contact_ask(contact, &ask, &lines, error));
    if (piece.next < *from && (lines.length > 0 || !piece.is_last)) {
        return error_set(error, CORRUPT, "the site did not say which answer comes next");
    }
    progress_hide(progress);
    if (!print_text(&lines)) {
        return error_set(error, UNSUPPORTED, "nobody reads standard output any more");
    }
    *from = piece.next < *from ? *from : piece.next;
    *is_last = piece.is_last;
    return OK;
}

// No more answers come of a job that is held.
static enum status look_for_hold(struct contact *contact, int64_t job, bool *is_last,
                                 struct error *error)
{
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld", (long long)job);
    AUTO_JSON json_t *now = NULL;
    TRY(contact_json(contact, "GET", path, NULL, &now, error));
    *is_last = job_is_held(now);
    return OK;
}

enum status answers_follow(struct contact *contact, const struct follow_options *options,
                           json_t **job, struct error *error)
{
    AUTO_FREE char *label = memory_format("job %lld", (long long)options->job);
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld?wait=60", (long long)options->job);
    struct progress progress;
    progress_init(&progress, label, PROGRESS_TASKS, !options->has_progress);
    struct waiting waiting;
    waiting_begin(&waiting, contact, options->job, &progress, options->is_json);
    waiting.has_said_place = options->has_said_place;
    int64_t from = 0;
    int64_t total = options->task_count > 0 ? options->task_count : -1;
    enum status status = OK;
    for (bool is_last = false; status == OK && !is_last;) {
        int64_t before = from;
        status = print_piece(contact, options->job, &from, &is_last, &progress, error);
        progress_update(&progress, from, total);
        if (from > before) {
            waiting_note_life(&waiting);
        } else if (status == OK && !is_last) {
            status = look_for_hold(contact, options->job, &is_last, error);
        }
    }
    progress_hide(&progress);
    waiting_end(&waiting);
    TRY(status);
    for (;;) {
        AUTO_JSON json_t *now = NULL;
        TRY(contact_json(contact, "GET", path, NULL, &now, error));
        if (job_has_ended(now) || job_is_held(now)) {
            *job = TAKE(now);
            return OK;
        }
    }
}
