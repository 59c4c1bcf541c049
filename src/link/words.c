// Whether anything of a job has begun at a place, and why nothing has, in that place's own words: asked for meanwhile, and told to home for its `why`.
#include "link/state.h"

#include "base/memory.h"
#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>

enum { WORDS_ANSWER_MAX = 64 << 10, WORDS_A_REPORT_MAX = 500 };

static void set_words(struct placed_job *job, struct text why, struct text change)
{
    bool is_same = job->why ? text_equal(text_of(job->why), why) : why.length == 0;
    if (is_same) {
        return;
    }
    free(job->why);
    free(job->change);
    job->why = why.length > 0 ? text_copy(why) : NULL;
    job->change = why.length > 0 ? text_copy(change) : NULL;
    job->has_news = true;
    job->is_news_sent = false;
    job->tell_us = 0;
}

static void set_begun(struct submission *submission, enum begun begun)
{
    struct placed_job *job = placed_job_find(submission->place, submission->home_job);
    if (!job || job->begun >= begun) {
        return;
    }
    job->begun = begun;
    job->is_news_sent = false;
    if (!job->has_news) {
        job->has_news = true;
        job->tell_us = clock_steady_us() + BEGUN_TOLD_US;
    }
}

static void set_words_of(struct submission *submission, struct text why, struct text change)
{
    struct placed_job *job = placed_job_find(submission->place, submission->home_job);
    if (job) {
        set_words(job, why, change);
    }
}

// An answer that is of no use costs nothing but the words: how the place does is found out by what matters more.
static void on_why(void *context, const struct http_answer *answer)
{
    struct submission *submission = context;
    struct arena arena AUTO_ARENA = {0};
    struct wire_words words = {0};
    submission->asking = NULL;
    if (answer->status == OK && !submission->has_begun &&
        wire_read_words(answer->body, &arena, &words, NULL) == OK) {
        words_wait(submission);
        set_words_of(submission, words.why, words.change);
    }
}

void words_ask(struct submission *submission, int64_t now_us)
{
    struct place *place = submission->place;
    char path[64];
    if (submission->has_begun || submission->asking || submission->is_abandoned) {
        return;
    }
    if (submission->ask_us == 0) {
        submission->ask_pause_us = ASK_WHY_FIRST_US;
        submission->ask_us = now_us + ASK_WHY_FIRST_US;
    }
    if (now_us < submission->ask_us || now_us < place->retry_us) {
        link_wake(place->link, submission->ask_us);
        return;
    }
    int64_t pause_us = submission->ask_pause_us * 2;
    submission->ask_pause_us = pause_us < ASK_WHY_LAST_US ? pause_us : ASK_WHY_LAST_US;
    submission->ask_us = now_us + submission->ask_pause_us;
    link_wake(place->link, submission->ask_us);
    (void)snprintf(path, sizeof path, "/v1/jobs/%" PRId64 "/why", submission->there);
    const struct http_ask ask = {.peer = &place->peer,
                                 .user = submission->owner,
                                 .method = "GET",
                                 .path = path,
                                 .timeout_us = CALL_TIMEOUT_US,
                                 .answer_size_max = WORDS_ANSWER_MAX,
                                 .context = submission};
    submission->asking = http_client_start(place->link->client, &ask, on_why);
}

void words_end(struct submission *submission)
{
    if (!submission->has_begun) {
        submission->has_begun = true;
        set_words_of(submission, TEXT_NONE, TEXT_NONE);
        set_begun(submission, BEGUN_SOMETHING);
    }
}

void words_wait(struct submission *submission)
{
    if (!submission->has_begun) {
        set_begun(submission, BEGUN_NOTHING);
    }
}

void words_are_unknown(struct submission *submission)
{
    struct placed_job *job = placed_job_find(submission->place, submission->home_job);
    if (job) {
        job->begun = BEGUN_UNKNOWN;
    }
}

void words_stop(struct submission *submission)
{
    if (submission->asking) {
        http_client_cancel(submission->place->link->client, TAKE(submission->asking));
    }
}

void words_write(struct place *place, struct buffer *out)
{
    size_t at = 0;
    size_t count = 0;
    buffer_append_string(out, ",\"words\":[");
    for (struct placed_job *job; (job = map_next(place->jobs, &at)) != NULL;) {
        if (!job->has_news || count == WORDS_A_REPORT_MAX) {
            continue;
        }
        buffer_printf(out, "%s{\"job\":%" PRId64 ",\"why\":", count++ > 0 ? "," : "", job->id);
        buffer_append_json_string(out, text_of(job->why));
        buffer_append_string(out, ",\"change\":");
        buffer_append_json_string(out, text_of(job->change));
        if (job->begun != BEGUN_UNKNOWN) {
            bool has_begun = job->begun == BEGUN_SOMETHING;
            buffer_printf(out, ",\"begun\":%s", has_begun ? "true" : "false");
        }
        buffer_append_byte(out, '}');
        job->is_news_sent = true;
    }
    buffer_append_byte(out, ']');
}

void words_settle(struct place *place, bool has_arrived)
{
    size_t at = 0;
    for (struct placed_job *job; (job = map_next(place->jobs, &at)) != NULL;) {
        job->has_news = job->has_news && !(has_arrived && job->is_news_sent);
        job->is_news_sent = false;
    }
}

bool words_are_new(const struct place *place, int64_t now_us)
{
    size_t at = 0;
    for (const struct placed_job *job; (job = map_next(place->jobs, &at)) != NULL;) {
        if (job->has_news && job->tell_us <= now_us) {
            return true;
        }
        if (job->has_news) {
            link_wake(place->link, job->tell_us);
        }
    }
    return false;
}

void words_tell_again(struct place *place)
{
    size_t at = 0;
    for (struct placed_job *job; (job = map_next(place->jobs, &at)) != NULL;) {
        job->has_news = job->has_news || job->why || job->begun != BEGUN_UNKNOWN;
        job->is_news_sent = false;
        job->tell_us = 0;
    }
}
