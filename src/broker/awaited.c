#include "broker/state.h"

static void on_answer(void *context, enum status status, const struct error *error,
                      struct text document)
{
    struct awaited *awaited = context;
    (void)pthread_mutex_lock(&awaited->mutex);
    awaited->is_done = true;
    awaited->status = status;
    if (error) {
        awaited->error = *error;
    }
    buffer_append_text(&awaited->document, document);
    (void)pthread_cond_signal(&awaited->changed);
    (void)pthread_mutex_unlock(&awaited->mutex);
}

struct queue_answer awaited_answer(struct awaited *awaited)
{
    return (struct queue_answer){on_answer, awaited};
}

enum status awaited_get(struct awaited *awaited, struct buffer *out, struct error *error)
{
    (void)pthread_mutex_lock(&awaited->mutex);
    while (!awaited->is_done) {
        (void)pthread_cond_wait(&awaited->changed, &awaited->mutex);
    }
    (void)pthread_mutex_unlock(&awaited->mutex);
    if (awaited->status != OK) {
        struct error ignored;
        *(error ? error : &ignored) = awaited->error;
    } else if (out) {
        buffer_append_text(out, buffer_text(&awaited->document));
    }
    buffer_done(&awaited->document);
    (void)pthread_cond_destroy(&awaited->changed);
    (void)pthread_mutex_destroy(&awaited->mutex);
    return awaited->status;
}
