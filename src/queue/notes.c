// What workers say of jobs that they have: what these wait for there, and why they cannot run there.
#include "queue/state.h"

#include "base/memory.h"

enum {
    NOTES_MAX = 1000, // Of one worker.
    NOTES_SAID_MAX = 3,
};

struct worker_note {
    struct worker_note *next;
    int64_t job;
    enum poll_note_kind kind;
    char *text;
    char *change;
};

static void free_note(struct worker_note *note)
{
    free(note->text);
    free(note->change);
    free(note);
}

static void drop_note(struct worker *worker, int64_t job)
{
    for (struct worker_note **at = &worker->notes; *at; at = &(*at)->next) {
        if ((*at)->job == job) {
            struct worker_note *note = *at;
            *at = note->next;
            worker->note_count--;
            free_note(note);
            return;
        }
    }
}

void notes_free(struct worker *worker)
{
    while (worker->notes) {
        drop_note(worker, worker->notes->job);
    }
}

void notes_take(struct queue *queue, struct worker *worker, const struct poll_body *body)
{
    for (size_t i = 0; i < body->note_count; i++) {
        const struct poll_note *said = &body->notes[i];
        drop_note(worker, said->job);
        if (said->kind == POLL_NOTE_NONE || worker->note_count >= NOTES_MAX ||
            !queue_find_job(queue, said->job)) {
            continue;
        }
        struct worker_note *note = NEW(struct worker_note);
        *note = (struct worker_note){.next = worker->notes,
                                     .job = said->job,
                                     .kind = said->kind,
                                     .text = text_copy(said->text),
                                     .change = text_copy(said->change)};
        worker->notes = note;
        worker->note_count++;
        if (said->kind == POLL_NOTE_UNABLE) {
            queue->is_touched = true;
            queue->has_work = true;
            scheduler_refuse(queue->scheduler, worker->id, said->job);
        }
    }
}

void notes_drop_job(struct worker *worker, int64_t job)
{
    drop_note(worker, job);
}

static void say(struct buffer *out, const char *text)
{
    buffer_append_string(out, out->length > 0 && text[0] != '\0' ? "; " : "");
    buffer_append_string(out, text);
}

void notes_explain(const struct queue *queue, int64_t job, struct buffer *why,
                   struct buffer *change)
{
    int64_t count = 0;
    size_t at = 0;
    for (const struct worker *worker; (worker = map_next(queue->workers, &at)) != NULL;) {
        for (const struct worker_note *note = worker->notes; note && !worker->is_over;
             note = note->next) {
            if (note->job == job && count++ < NOTES_SAID_MAX) {
                say(why, note->text);
                say(change, note->change);
            }
        }
    }
    if (count > NOTES_SAID_MAX) {
        buffer_printf(why, "; and %lld more workers say so", (long long)(count - NOTES_SAID_MAX));
    }
}
