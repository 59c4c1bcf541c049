// What the site is to know of a job on this worker, for `why`: that it gets its inputs, or why it cannot run here.
#include "worker/state.h"

#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>

void note_set(struct worker_job *job, enum note_kind kind, const char *text, const char *change)
{
    struct note *note = &job->note;
    if (note->kind == kind && strcmp(note->text, text) == 0) {
        return;
    }
    note->kind = kind;
    note->is_due = true;
    note->is_sent = false;
    note->said_us = clock_steady_us();
    (void)snprintf(note->text, sizeof note->text, "%s", text);
    (void)snprintf(note->change, sizeof note->change, "%s", change);
    report_mark(job->worker, kind == NOTE_UNABLE);
}

void notes_write(struct worker *worker, struct buffer *out)
{
    static const char *const KINDS[] = {"none", "waiting", "unable"};
    bool is_first = true;
    size_t at = 0;
    for (struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        struct note *note = &job->note;
        if (!note->is_due) {
            continue;
        }
        buffer_printf(out, "%s[%" PRId64 ",\"%s\",", is_first ? ",\"notes\":[" : ",", job->spec->id,
                      KINDS[note->kind]);
        buffer_append_json_string(out, text_of(note->text));
        buffer_append_byte(out, ',');
        buffer_append_json_string(out, text_of(note->change));
        buffer_append_byte(out, ']');
        note->is_sent = true;
        is_first = false;
    }
    buffer_append_string(out, is_first ? "" : "]");
}

void notes_settle(struct worker *worker)
{
    size_t at = 0;
    for (struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        job->note.is_due = job->note.is_due && !job->note.is_sent;
        job->note.is_sent = false;
    }
}

void notes_unsend(struct worker *worker)
{
    size_t at = 0;
    for (struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        job->note.is_sent = false;
    }
}

void notes_forget(struct worker *worker)
{
    size_t at = 0;
    for (struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        job->note.is_due = job->note.kind != NOTE_NONE;
        job->note.is_sent = false;
    }
}

bool notes_are_due(const struct worker *worker)
{
    size_t at = 0;
    for (const struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        if (job->note.is_due) {
            return true;
        }
    }
    return false;
}
