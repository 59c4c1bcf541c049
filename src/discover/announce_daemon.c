#include "discover/announce_daemon.h"

#include "base/memory.h"
#include "discover/daemon_library.h"
#include "discover/errand.h"
#include "discover/publication.h"
#include "os/clock.h"

#include <errno.h>

#define LEAVE_US INT64_C(1000000)
// After a conversation that has ended, as the daemon or the bus may be restarting; after none; and when the site was refused.
#define AGAIN_US INT64_C(1000000)
#define RETRY_US INT64_C(10000000)
#define REFUSED_US INT64_C(30000000)
#define WAIT_MAX_US INT64_C(60000000)

struct daemon_announcement {
    struct announcer_options options;
    struct errand *errand;
    // Guarded by the errand's lock.
    void (*wake)(void *context);
    void *wake_context;
    struct daemon_said said;
    bool is_let;
    AvahiSimplePoll *poll; // What the thread waits in; NULL: it does not.
    // The thread's own.
    const struct daemon_library *avahi;
    AvahiClient *client;
    AvahiEntryGroup *group;
    bool is_broken; // Its loop, that is.
    struct publication publication;
};

static void say(struct daemon_announcement *daemon, const struct daemon_said *said)
{
    errand_lock(daemon->errand);
    bool is_news = daemon->said.word != said->word || daemon->said.state != said->state;
    daemon->said = *said;
    daemon->is_let = daemon->is_let && said->word != DAEMON_ABSENT;
    if (is_news && !errand_is_left(daemon->errand)) {
        daemon->wake(daemon->wake_context);
    }
    errand_unlock(daemon->errand);
}

static void say_word(struct daemon_announcement *daemon, enum daemon_word word)
{
    const struct daemon_said said = {.word = word};
    say(daemon, &said);
}

static bool is_left(void *context)
{
    struct daemon_announcement *daemon = context;
    errand_lock(daemon->errand);
    bool is_left = errand_is_left(daemon->errand);
    errand_unlock(daemon->errand);
    return is_left;
}

static bool is_let(struct daemon_announcement *daemon)
{
    errand_lock(daemon->errand);
    bool is_let = daemon->is_let;
    errand_unlock(daemon->errand);
    return is_let;
}

static bool is_connected(struct daemon_announcement *daemon)
{
    AvahiClientState state = daemon->avahi->client_get_state(daemon->client);
    return state != AVAHI_CLIENT_CONNECTING && state != AVAHI_CLIENT_FAILURE;
}

// Has the conversation come to its end?
static bool is_over(struct daemon_announcement *daemon)
{
    return is_left(daemon) || daemon->is_broken ||
           daemon->avahi->client_get_state(daemon->client) == AVAHI_CLIENT_FAILURE;
}

// Waits for the end of the conversation, for `until_us`, or for what `is_there` (may be NULL) says.
static void wait_until(struct daemon_announcement *daemon, AvahiSimplePoll *poll, int64_t until_us,
                       bool (*is_there)(struct daemon_announcement *daemon))
{
    int64_t left_us = until_us - clock_steady_us();
    while (left_us > 0 && !is_over(daemon) && !(is_there && is_there(daemon))) {
        int wait_ms = (int)((left_us < WAIT_MAX_US ? left_us : WAIT_MAX_US) / 1000) + 1;
        daemon->is_broken =
            daemon->avahi->common.simple_poll_iterate(poll, wait_ms) != 0 && errno != EINTR;
        left_us = until_us - clock_steady_us();
    }
}

static void on_client_state(AvahiClient *client, AvahiClientState state, void *context)
{
    struct daemon_announcement *daemon = context;
    if (state == AVAHI_CLIENT_FAILURE) {
        publication_break(&daemon->publication, daemon->avahi->client_errno(client));
    }
}

static void on_group_state(AvahiEntryGroup *group, AvahiEntryGroupState state, void *context)
{
    struct daemon_announcement *daemon = context;
    (void)group;
    publication_hear(&daemon->publication, state);
}

static bool is_ready(void *responder)
{
    struct daemon_announcement *daemon = responder;
    return daemon->avahi->client_get_state(daemon->client) == AVAHI_CLIENT_S_RUNNING;
}

static int clear(void *responder)
{
    struct daemon_announcement *daemon = responder;
    if (daemon->group) {
        return daemon->avahi->entry_group_reset(daemon->group);
    }
    daemon->group = daemon->avahi->entry_group_new(daemon->client, on_group_state, daemon);
    return daemon->group ? AVAHI_OK : daemon->avahi->client_errno(daemon->client);
}

static int add_address(void *responder, int interface, const char *host,
                       const AvahiAddress *address)
{
    struct daemon_announcement *daemon = responder;
    return daemon->avahi->entry_group_add_address(daemon->group, interface, AVAHI_PROTO_UNSPEC,
                                                  AVAHI_PUBLISH_NO_REVERSE, host, address);
}

static int add_service(void *responder, int interface, const char *label, const char *host,
                       AvahiStringList *txt)
{
    struct daemon_announcement *daemon = responder;
    return daemon->avahi->entry_group_add_service_strlst(
        daemon->group, interface, AVAHI_PROTO_UNSPEC, 0, label, DISCOVER_SERVICE, NULL, host,
        (uint16_t)daemon->options.port, txt);
}

static int commit(void *responder)
{
    struct daemon_announcement *daemon = responder;
    return daemon->avahi->entry_group_commit(daemon->group);
}

static const struct responder_ops DAEMON = {is_ready, clear, add_address, add_service, commit};

static void tell(void *context, enum announcer_state state)
{
    const struct daemon_said said = {.word = DAEMON_ANNOUNCING, .state = state};
    say(context, &said);
}

// Announces until the conversation is over, or the daemon does not take it.
static enum status announce(struct daemon_announcement *daemon, AvahiSimplePoll *poll)
{
    struct daemon_said said = {.word = DAEMON_ANNOUNCING};
    say(daemon, &said);
    enum status status = publication_keep(&daemon->publication, poll, &said.problem);
    while ((status == DENIED || status == CONFLICT) && !is_over(daemon)) {
        if (status == DENIED) { // What the machine's operator has decided is not got round.
            error_fix(&said.problem, "does its avahi-daemon.conf have disable-publishing or "
                                     "disable-user-service-publishing? lode site --no-announce "
                                     "does without");
        }
        said.state = ANNOUNCER_FAILING;
        say(daemon, &said);
        wait_until(daemon, poll, clock_steady_us() + REFUSED_US, NULL);
        status = publication_keep(&daemon->publication, poll, &said.problem);
    }
    return status;
}

static void converse(struct daemon_announcement *daemon, AvahiSimplePoll *poll)
{
    if (!is_connected(daemon)) {
        say_word(daemon, DAEMON_ABSENT);
        wait_until(daemon, poll, INT64_MAX, is_connected);
    }
    if (is_over(daemon)) {
        return;
    }
    say_word(daemon, DAEMON_READY);
    wait_until(daemon, poll, INT64_MAX, is_let);
    if (!is_over(daemon) && daemon_is_of_this_network()) {
        (void)announce(daemon, poll);
    }
    // A daemon that does not take it, having too many records already for example, is not asked again before it was started anew.
    say_word(daemon, DAEMON_ABSENT);
    wait_until(daemon, poll, INT64_MAX, NULL);
}

static void expose_poll(struct daemon_announcement *daemon, AvahiSimplePoll *poll)
{
    errand_lock(daemon->errand);
    daemon->poll = poll;
    errand_unlock(daemon->errand);
}

// False when nobody could be spoken to.
static bool talk(struct daemon_announcement *daemon)
{
    const struct daemon_library *avahi = daemon->avahi;
    AvahiSimplePoll *poll = avahi->common.simple_poll_new();
    if (!poll) {
        return false;
    }
    daemon->publication = (struct publication){.options = &daemon->options,
                                               .avahi = &avahi->common,
                                               .ops = &DAEMON,
                                               .responder = daemon,
                                               .tell = tell,
                                               .is_to_end = is_left,
                                               .context = daemon};
    daemon->group = NULL;
    daemon->is_broken = false;
    daemon->client = avahi->client_new(avahi->common.simple_poll_get(poll), AVAHI_CLIENT_NO_FAIL,
                                       on_client_state, daemon, NULL);
    bool is_heard = daemon->client != NULL;
    if (is_heard) {
        expose_poll(daemon, poll);
        converse(daemon, poll);
        expose_poll(daemon, NULL);
        avahi->client_free(TAKE(daemon->client)); // The daemon withdraws what it announces for it.
    }
    avahi->common.simple_poll_free(poll);
    return is_heard;
}

static void run(void *context)
{
    struct daemon_announcement *daemon = context;
    while (!is_left(daemon)) {
        bool has_bus = daemon_has_bus();
        if (has_bus && daemon_library_get(&daemon->avahi, NULL) != OK) {
            break;
        }
        int64_t pause_us = has_bus && talk(daemon) ? AGAIN_US : RETRY_US;
        say_word(daemon, DAEMON_ABSENT);
        int64_t until_us = clock_steady_us() + pause_us;
        errand_lock(daemon->errand);
        while (!errand_is_left(daemon->errand) && errand_wait(daemon->errand, until_us)) {
        }
        errand_unlock(daemon->errand);
    }
    say_word(daemon, DAEMON_ABSENT);
}

static void wake(void *context)
{
    struct daemon_announcement *daemon = context;
    if (daemon->poll) {
        daemon->avahi->common.simple_poll_wakeup(daemon->poll);
    }
}

static void discard(void *context)
{
    free(context);
}

static const struct errand_work WORK = {"avahi-daemon", run, wake, discard};

enum status announce_daemon_start(const struct announcer_options *options,
                                  void (*wake_owner)(void *context), void *context,
                                  struct daemon_announcement **out, struct error *error)
{
    struct daemon_announcement *daemon = NEW(struct daemon_announcement);
    daemon->options = *options;
    daemon->wake = wake_owner;
    daemon->wake_context = context;
    enum status status = errand_start(&WORK, daemon, &daemon->errand, error);
    if (status != OK) {
        free(daemon);
        return status;
    }
    *out = daemon;
    return OK;
}

void announce_daemon_look(struct daemon_announcement *daemon, struct daemon_said *out)
{
    errand_lock(daemon->errand);
    *out = daemon->said;
    errand_unlock(daemon->errand);
}

void announce_daemon_let(struct daemon_announcement *daemon)
{
    errand_lock(daemon->errand);
    daemon->is_let = true;
    wake(daemon);
    errand_unlock(daemon->errand);
}

void announce_daemon_leave(struct daemon_announcement *daemon)
{
    errand_leave(daemon->errand, LEAVE_US);
}
