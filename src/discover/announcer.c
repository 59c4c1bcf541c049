#include "discover/announcer.h"

#include "base/memory.h"
#include "discover/announce_core.h"
#include "discover/announce_daemon.h"
#include "os/clock.h"
#include "os/thread.h"

#define RETRY_US INT64_C(30000000)   // After a failure.
#define PATIENCE_US INT64_C(3000000) // For word of the daemon, before it is done without one.

struct announcer {
    struct announcer_options options;
    pthread_t thread;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    bool is_stopping;
    bool has_news; // Of the daemon: it is worth a look.
    const struct avahi_common *avahi;
    AvahiSimplePoll *poll; // What the core waits in; NULL: it is not in use.
    enum announcer_state state;
    enum responder by;
    struct error problem;
    // The thread's own.
    struct daemon_announcement *daemon; // NULL: nobody looks for one.
};

static void change_state(struct announcer *announcer, enum announcer_state state, enum responder by,
                         const struct error *problem)
{
    (void)pthread_mutex_lock(&announcer->mutex);
    bool is_news = announcer->state != state || announcer->by != by;
    announcer->state = state;
    announcer->by = by;
    if (problem) {
        announcer->problem = *problem;
    }
    (void)pthread_mutex_unlock(&announcer->mutex);
    if (is_news && announcer->options.report) {
        announcer->options.report(announcer->options.context, state, by, problem);
    }
}

static bool is_stopping(struct announcer *announcer)
{
    (void)pthread_mutex_lock(&announcer->mutex);
    bool is_stopping = announcer->is_stopping;
    (void)pthread_mutex_unlock(&announcer->mutex);
    return is_stopping;
}

static void look_at_daemon(struct announcer *announcer, struct daemon_said *out)
{
    if (announcer->daemon) {
        announce_daemon_look(announcer->daemon, out);
    } else {
        *out = (struct daemon_said){.word = DAEMON_ABSENT};
    }
}

// With the mutex held: the thread looks up from where it waits.
static void wake_thread(struct announcer *announcer)
{
    (void)pthread_cond_signal(&announcer->changed);
    if (announcer->poll) {
        announcer->avahi->simple_poll_wakeup(announcer->poll);
    }
}

static void on_daemon_news(void *context)
{
    struct announcer *announcer = context;
    (void)pthread_mutex_lock(&announcer->mutex);
    announcer->has_news = true;
    wake_thread(announcer);
    (void)pthread_mutex_unlock(&announcer->mutex);
}

static void wait_for_news(struct announcer *announcer, int64_t until_us)
{
    (void)pthread_mutex_lock(&announcer->mutex);
    while (!announcer->is_stopping && !announcer->has_news &&
           condition_wait_until(&announcer->changed, &announcer->mutex, until_us)) {
    }
    announcer->has_news = false;
    (void)pthread_mutex_unlock(&announcer->mutex);
}

static void tell_of_core(void *context, enum announcer_state state)
{
    change_state(context, state, RESPONDER_CORE, NULL);
}

static bool is_core_to_end(void *context)
{
    struct announcer *announcer = context;
    struct daemon_said said;
    look_at_daemon(announcer, &said);
    return said.word == DAEMON_READY || is_stopping(announcer);
}

static void expose_poll(void *context, const struct avahi_common *avahi, AvahiSimplePoll *poll)
{
    struct announcer *announcer = context;
    (void)pthread_mutex_lock(&announcer->mutex);
    announcer->avahi = avahi;
    announcer->poll = poll;
    (void)pthread_mutex_unlock(&announcer->mutex);
}

static void use_core(struct announcer *announcer)
{
    const struct core_announcement announcement = {.options = &announcer->options,
                                                   .tell = tell_of_core,
                                                   .is_to_end = is_core_to_end,
                                                   .wait_in = expose_poll,
                                                   .context = announcer};
    struct error error = {0};
    if (announcer->by != RESPONDER_CORE) { // This thread alone writes it.
        change_state(announcer, ANNOUNCER_STARTING, RESPONDER_CORE, NULL);
    }
    if (announce_by_core(&announcement, &error) != OK) {
        change_state(announcer, ANNOUNCER_FAILING, RESPONDER_CORE, &error);
        wait_for_news(announcer, clock_steady_us() + RETRY_US);
    }
}

static void *run(void *context)
{
    struct announcer *announcer = context;
    int64_t patience_us = clock_steady_us() + PATIENCE_US;
    // Without the thread that looks for the daemon it is done without one.
    (void)announce_daemon_start(&announcer->options, on_daemon_news, announcer, &announcer->daemon,
                                NULL);
    while (!is_stopping(announcer)) {
        struct daemon_said said;
        look_at_daemon(announcer, &said);
        if (said.word == DAEMON_READY) {
            announce_daemon_let(announcer->daemon);
            wait_for_news(announcer, INT64_MAX);
        } else if (said.word == DAEMON_ANNOUNCING) {
            change_state(announcer, said.state, RESPONDER_DAEMON,
                         said.state == ANNOUNCER_FAILING ? &said.problem : NULL);
            wait_for_news(announcer, INT64_MAX);
        } else if (said.word == DAEMON_LOOKED_FOR && clock_steady_us() < patience_us) {
            wait_for_news(announcer, patience_us);
        } else {
            use_core(announcer);
        }
    }
    if (announcer->daemon) {
        announce_daemon_leave(announcer->daemon);
    }
    return NULL;
}

const char *responder_word(enum responder responder)
{
    return responder == RESPONDER_DAEMON ? "avahi-daemon" : "lode";
}

enum status announcer_start(const struct announcer_options *options, struct announcer **out,
                            struct error *error)
{
    struct announcer *announcer = NEW(struct announcer);
    announcer->options = *options;
    (void)pthread_mutex_init(&announcer->mutex, NULL);
    condition_init(&announcer->changed);
    enum status status = thread_start(&announcer->thread, "announcer", run, announcer, error);
    if (status != OK) {
        (void)pthread_cond_destroy(&announcer->changed);
        (void)pthread_mutex_destroy(&announcer->mutex);
        free(announcer);
        return status;
    }
    *out = announcer;
    return OK;
}

enum announcer_state announcer_look(struct announcer *announcer, enum responder *by,
                                    struct error *problem)
{
    (void)pthread_mutex_lock(&announcer->mutex);
    enum announcer_state state = announcer->state;
    *by = announcer->by;
    if (state == ANNOUNCER_FAILING) {
        *problem = announcer->problem;
    }
    (void)pthread_mutex_unlock(&announcer->mutex);
    return state;
}

void announcer_stop(struct announcer *announcer)
{
    if (!announcer) {
        return;
    }
    (void)pthread_mutex_lock(&announcer->mutex);
    announcer->is_stopping = true;
    wake_thread(announcer);
    (void)pthread_mutex_unlock(&announcer->mutex);
    (void)pthread_join(announcer->thread, NULL);
}

void announcer_free(struct announcer *announcer)
{
    if (!announcer) {
        return;
    }
    (void)pthread_cond_destroy(&announcer->changed);
    (void)pthread_mutex_destroy(&announcer->mutex);
    free(announcer);
}
