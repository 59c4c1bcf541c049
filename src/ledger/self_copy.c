#include "ledger/self_copy.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/thread.h"

struct self_copy {
    struct self_copy_options options;
    struct fingerprint site;
    pthread_t thread;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    bool is_wanted;
    bool is_stopping;
};

// Takes the next batches; *is_done when there were none.
static enum status copy_some(const struct self_copy *copy, bool *is_done, struct error *error)
{
    AUTO_BUFFER struct buffer batches = {0};
    const struct self_copy_options *options = &copy->options;
    struct ledger_position here = mirror_position(options->mirror, &copy->site);
    TRY(ledger_read_batches(options->ledger, here.epoch, here.serial, &batches, error));
    *is_done = batches.length == 0;
    return *is_done ? OK
                    : mirror_take(options->mirror, signing_key_public(options->key),
                                  buffer_text(&batches), NULL, error);
}

// Waits until there is something to copy; at the latest until `deadline_us` (steady clock). False: it is to end.
static bool await_more(struct self_copy *copy, int64_t deadline_us)
{
    (void)pthread_mutex_lock(&copy->mutex);
    while (!copy->is_wanted && !copy->is_stopping) {
        if (!condition_wait_until(&copy->changed, &copy->mutex, deadline_us)) {
            break;
        }
    }
    copy->is_wanted = false;
    bool goes_on = !copy->is_stopping;
    (void)pthread_mutex_unlock(&copy->mutex);
    return goes_on;
}

static void *copy_run(void *context)
{
    struct self_copy *copy = context;
    const struct self_copy_options *options = &copy->options;
    int64_t deadline_us = INT64_MAX;
    while (await_more(copy, deadline_us)) {
        bool is_done = false;
        struct error error = {0};
        deadline_us = INT64_MAX;
        if (copy_some(copy, &is_done, &error) != OK) {
            deadline_us = clock_steady_us() + options->again_us;
            if (options->report) {
                options->report(options->context, &error);
            }
        } else if (!is_done) {
            // There may be more than one reading gives.
            self_copy_wake(copy);
        }
    }
    return NULL;
}

enum status self_copy_start(const struct self_copy_options *options, struct self_copy **out,
                            struct error *error)
{
    struct self_copy *copy = NEW(struct self_copy);
    copy->options = *options;
    copy->options.again_us = options->again_us > 0 ? options->again_us : SELF_COPY_AGAIN_US;
    copy->site = *signing_key_fingerprint(options->key);
    copy->is_wanted = true;
    (void)pthread_mutex_init(&copy->mutex, NULL);
    condition_init(&copy->changed);
    enum status status = thread_start(&copy->thread, "own-log", copy_run, copy, error);
    if (status != OK) {
        copy->is_stopping = true; // There is no thread to end.
        self_copy_free(copy);
        return status;
    }
    *out = copy;
    return OK;
}

void self_copy_stop(struct self_copy *copy)
{
    if (!copy) {
        return;
    }
    (void)pthread_mutex_lock(&copy->mutex);
    bool was_stopping = copy->is_stopping;
    copy->is_stopping = true;
    (void)pthread_cond_signal(&copy->changed);
    (void)pthread_mutex_unlock(&copy->mutex);
    if (!was_stopping) {
        (void)pthread_join(copy->thread, NULL);
    }
}

void self_copy_free(struct self_copy *copy)
{
    if (copy) {
        self_copy_stop(copy);
        (void)pthread_cond_destroy(&copy->changed);
        (void)pthread_mutex_destroy(&copy->mutex);
        free(copy);
    }
}

void self_copy_wake(struct self_copy *copy)
{
    (void)pthread_mutex_lock(&copy->mutex);
    copy->is_wanted = true;
    (void)pthread_cond_signal(&copy->changed);
    (void)pthread_mutex_unlock(&copy->mutex);
}

bool self_copy_is_current(const struct self_copy *copy)
{
    if (ledger_is_growing(copy->options.ledger)) {
        return false;
    }
    struct ledger_position position = ledger_position(copy->options.ledger);
    return position.serial == 0 || mirror_has_indexed(copy->options.mirror, &copy->site, &position);
}
