// Places: where jobs go that do not run here, what keeps them from getting there, and who waits to hear of it.
#include "queue/state.h"

#include "base/memory.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>

struct place *place_get(struct queue *queue, struct text fingerprint)
{
    if (fingerprint.length == 0) {
        return NULL;
    }
    struct place *place = map_find_text(queue->places, fingerprint);
    if (!place) {
        place = NEW(struct place);
        place->number = (int64_t)map_count(queue->places) + 1;
        place->fingerprint = text_copy(fingerprint);
        (void)map_set_text(queue->places, fingerprint, place);
    }
    return place;
}

void place_count(struct queue *queue, struct place *place, int64_t by)
{
    if (place) {
        place->jobs += by;
        queue->places_version++;
    }
}

static void copy_words(char out[JOB_MESSAGE_MAX], struct text text)
{
    (void)snprintf(out, JOB_MESSAGE_MAX, "%.*s", TEXT_ARGS(text));
}

static void set_words(struct active_job *job, struct text why, struct text change)
{
    free(job->there_why);
    free(job->there_change);
    job->there_why = why.length > 0 ? text_copy(why) : NULL;
    job->there_change = why.length > 0 ? text_copy(change) : NULL;
}

void place_take_words(struct queue *queue, const struct place *place, const struct poll_body *body)
{
    for (size_t i = 0; i < body->word_count && place; i++) {
        const struct poll_words *words = &body->words[i];
        struct active_job *job = queue_find_job(queue, words->job);
        if (job && job->place == place) {
            set_words(job, words->why, words->change);
            job->there_begun =
                words->begun != PLACE_BEGUN_UNKNOWN ? words->begun : job->there_begun;
        }
    }
}

void job_forget_words(struct active_job *job)
{
    set_words(job, TEXT_NONE, TEXT_NONE);
    job->there_begun = PLACE_BEGUN_UNKNOWN;
}

// What has begun there stays so, though nobody tells of it for a while.
void place_forget_words(struct queue *queue, const struct place *place)
{
    size_t at = 0;
    for (struct active_job *job; place && (job = map_next(queue->jobs, &at)) != NULL;) {
        if (job->place == place) {
            bool has_begun = job->there_begun == PLACE_BEGUN_SOMETHING;
            job_forget_words(job);
            job->there_begun = has_begun ? PLACE_BEGUN_SOMETHING : PLACE_BEGUN_UNKNOWN;
        }
    }
}

void place_set_problem(struct place *place, struct text problem, struct text change)
{
    if (place) {
        copy_words(place->problem, problem);
        copy_words(place->change, change);
    }
}

static void describe(const struct queue *queue, const char *fingerprint, struct buffer *name,
                     struct buffer *url)
{
    if (queue->place_ops) {
        queue->place_ops->describe(queue->place_context, fingerprint, name, url);
    }
}

void place_write_name(const struct queue *queue, const char *fingerprint, struct buffer *out)
{
    AUTO_BUFFER struct buffer url = {0};
    size_t before = out->length;
    describe(queue, fingerprint, out, &url);
    if (out->length == before) {
        buffer_append_string(out, fingerprint);
    }
}

void places_forget_jobs(struct queue *queue)
{
    size_t at = 0;
    for (struct place *place; (place = map_next(queue->places, &at)) != NULL;) {
        place->jobs = 0;
    }
}

void places_free(struct queue *queue)
{
    size_t at = 0;
    for (struct place *place; queue->places && (place = map_next(queue->places, &at)) != NULL;) {
        free(place->fingerprint);
        free(place);
    }
    map_free(queue->places);
}

static int compare_places(const void *a, const void *b)
{
    return strcmp((*(struct place *const *)a)->fingerprint,
                  (*(struct place *const *)b)->fingerprint);
}

static void write_place(const struct queue *queue, const struct place *place, struct buffer *out)
{
    AUTO_BUFFER struct buffer name = {0};
    AUTO_BUFFER struct buffer url = {0};
    describe(queue, place->fingerprint, &name, &url);
    buffer_printf(out, "{\"place\":\"%s\",\"name\":", place->fingerprint);
    buffer_append_json_string(out, buffer_text(&name));
    buffer_append_string(out, ",\"url\":");
    buffer_append_json_string(out, buffer_text(&url));
    buffer_printf(out, ",\"jobs\":%lld}", (long long)place->jobs);
}

static void write_places(const struct queue *queue, struct buffer *out)
{
    size_t count = 0;
    size_t at = 0;
    AUTO_FREE struct place **places =
        memory_new(map_count(queue->places) + 1, sizeof(struct place *));
    for (struct place *place; (place = map_next(queue->places, &at)) != NULL;) {
        places[count] = place;
        count += place->jobs > 0;
    }
    qsort(places, count, sizeof(struct place *), compare_places);
    buffer_append_string(out, "{\"places\":[");
    for (size_t i = 0; i < count; i++) {
        buffer_append_string(out, i > 0 ? "," : "");
        write_place(queue, places[i], out);
    }
    buffer_printf(out, "],\"version\":%lld}\n", (long long)queue->places_version);
}

void places_tell(struct queue *queue)
{
    if (queue->needs_reload && !queue->is_stopping) {
        return; // What is known of the places may not have happened.
    }
    int64_t now_us = clock_steady_us();
    for (struct places_wait **at = &queue->places_waits; *at;) {
        struct places_wait *wait = *at;
        bool is_over = wait->version != queue->places_version || wait->until_us <= now_us ||
                       queue->is_stopping;
        if (!is_over) {
            at = &wait->next;
            continue;
        }
        AUTO_BUFFER struct buffer body = {0};
        *at = wait->next;
        write_places(queue, &body);
        wait->answer.done(wait->answer.context, OK, NULL, buffer_text(&body));
        free(wait);
    }
}

struct places_op {
    struct queue_op op;
    struct places_wait *wait;
};

static enum status run_places(struct queue_op *op, struct sql *sql, struct error *error)
{
    (void)op;
    (void)sql;
    (void)error;
    return OK;
}

static void done_places(struct queue_op *op, enum status status, const struct error *error)
{
    struct places_op *self = (struct places_op *)op;
    if (status != OK) {
        queue_answer_error(self->wait->answer, status, error);
        free(self->wait);
    } else {
        self->wait->next = op->queue->places_waits;
        op->queue->places_waits = self->wait;
        places_tell(op->queue);
    }
    free(self);
}

void queue_list_places(struct queue *queue, int64_t version, int64_t wait_us,
                       struct queue_answer answer)
{
    struct places_op *self = NEW(struct places_op);
    self->op.run = run_places;
    self->op.done = done_places;
    self->wait = NEW(struct places_wait);
    *self->wait = (struct places_wait){
        .version = version, .until_us = clock_steady_us() + wait_us, .answer = answer};
    queue_enqueue(queue, &self->op);
}
