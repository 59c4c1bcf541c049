#include "discover/announcer.h"

#include "base/memory.h"
#include "discover/addresses.h"
#include "discover/avahi_library.h"
#include "os/clock.h"
#include "os/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    LOOK_US = 10000000,      // Between two looks at this machine's addresses.
    RETRY_US = 30000000,     // After a failure.
    ATTEMPTS_MAX = 8,        // Names that are tried when others have taken them.
    SERVICE_NAME_SIZE = 128, // "<label>.local"
};

struct announcer {
    struct announcer_options options;
    pthread_t thread;
    atomic_bool is_stopping;
    pthread_mutex_t mutex; // Guards the four that follow.
    pthread_cond_t stopped;
    AvahiSimplePoll
        *poll; // What the thread waits in; NULL: it waits for `stopped`, or for nothing.
    enum announcer_state state;
    struct error problem;
    // The thread's own.
    const struct avahi_library *avahi;
    AvahiServer *server;
    AvahiSEntryGroup *group;
    struct host_address addresses[HOST_ADDRESSES_MAX]; // Those that are announced.
    size_t address_count;
    unsigned attempt;
    bool is_to_publish;
    bool is_broken;
};

static void change_state(struct announcer *announcer, enum announcer_state state,
                         const struct error *problem)
{
    (void)pthread_mutex_lock(&announcer->mutex);
    bool is_news = announcer->state != state;
    announcer->state = state;
    if (problem) {
        announcer->problem = *problem;
    }
    (void)pthread_mutex_unlock(&announcer->mutex);
    if (is_news && announcer->options.report) {
        announcer->options.report(announcer->options.context, state, problem);
    }
}

static enum status fail(struct announcer *announcer, const char *what, struct error *error)
{
    return error_set(error, UNAVAILABLE, "%s: %s", what,
                     announcer->avahi->strerror(announcer->avahi->server_errno(announcer->server)));
}

static void on_server_state(AvahiServer *server, AvahiServerState state, void *context)
{
    struct announcer *announcer = context;
    (void)server; // During server_new it is not known to the announcer yet.
    announcer->is_broken = announcer->is_broken || state == AVAHI_SERVER_FAILURE;
}

static void on_group_state(AvahiServer *server, AvahiSEntryGroup *group, AvahiEntryGroupState state,
                           void *context)
{
    struct announcer *announcer = context;
    (void)server;
    (void)group;
    if (state == AVAHI_ENTRY_GROUP_ESTABLISHED) {
        change_state(announcer, ANNOUNCER_ANNOUNCED, NULL);
    } else if (state == AVAHI_ENTRY_GROUP_COLLISION) {
        announcer->attempt++;
        announcer->is_to_publish = true;
    } else if (state == AVAHI_ENTRY_GROUP_FAILURE) {
        announcer->is_broken = true;
    }
}

static enum status add_addresses(struct announcer *announcer, const char *host, struct error *error)
{
    for (size_t i = 0; i < announcer->address_count; i++) {
        const struct host_address *own = &announcer->addresses[i];
        AvahiAddress address = {.proto =
                                    own->family == AF_INET ? AVAHI_PROTO_INET : AVAHI_PROTO_INET6};
        memcpy(address.data.data, own->bytes, own->family == AF_INET ? 4 : 16);
        // The way back from address to name belongs to whoever names the machine.
        if (announcer->avahi->server_add_address(announcer->server, announcer->group,
                                                 own->interface, AVAHI_PROTO_UNSPEC,
                                                 AVAHI_PUBLISH_NO_REVERSE, host, &address) < 0) {
            return fail(announcer, "cannot announce an address", error);
        }
    }
    return OK;
}

static enum status add_services(struct announcer *announcer, const char *label, const char *host,
                                struct error *error)
{
    const struct avahi_library *avahi = announcer->avahi;
    AUTO_BUFFER struct buffer txt = {0};
    AvahiStringList *list = NULL;
    int last = -1;
    enum status status = OK;
    announcement_write(&announcer->options.announcement, &txt);
    if (avahi->string_list_parse(txt.bytes, txt.length, &list) < 0) {
        return error_set(error, INTERNAL, "the announcement cannot be encoded");
    }
    for (size_t i = 0; i < announcer->address_count && status == OK; i++) {
        int interface = announcer->addresses[i].interface;
        bool is_new = interface != last; // They are in the order of interfaces.
        last = interface;
        if (is_new &&
            avahi->server_add_service_strlst(announcer->server, announcer->group, interface,
                                             AVAHI_PROTO_UNSPEC, 0, label, DISCOVER_SERVICE, NULL,
                                             host, (uint16_t)announcer->options.port, list) < 0) {
            status = fail(announcer, "cannot announce the site", error);
        }
    }
    avahi->string_list_free(list);
    return status;
}

static enum status publish(struct announcer *announcer, struct error *error)
{
    const struct avahi_library *avahi = announcer->avahi;
    char label[SERVICE_LABEL_SIZE];
    char host[SERVICE_LABEL_SIZE];
    char domain[SERVICE_NAME_SIZE];
    announcer->is_to_publish = false;
    if (announcer->attempt > ATTEMPTS_MAX) {
        announcer->attempt = 0;
        (void)error_set(error, CONFLICT, "others on the network announce this site's name");
        error_fix(error, "is a copy of its directory in use elsewhere?");
        return CONFLICT;
    }
    if (announcer->group) {
        avahi->s_entry_group_reset(announcer->group);
    } else {
        announcer->group = avahi->s_entry_group_new(announcer->server, on_group_state, announcer);
    }
    if (!announcer->group) {
        return fail(announcer, "cannot announce the site", error);
    }
    if (announcer->address_count == 0) {
        change_state(announcer, ANNOUNCER_STARTING, NULL);
        return OK;
    }
    announcement_label(&announcer->options.announcement, announcer->attempt, label);
    announcement_host(&announcer->options.announcement, announcer->attempt, host);
    (void)snprintf(domain, sizeof domain, "%s.local", host);
    TRY(add_addresses(announcer, domain, error));
    TRY(add_services(announcer, label, domain, error));
    return avahi->s_entry_group_commit(announcer->group) < 0
               ? fail(announcer, "cannot announce the site", error)
               : OK;
}

static void look_at_addresses(struct announcer *announcer)
{
    struct host_address now[HOST_ADDRESSES_MAX] = {0};
    const struct announcer_options *options = &announcer->options;
    size_t count = addresses_reached(options->bound, options->bound_count, now);
    if (count != announcer->address_count ||
        memcmp(now, announcer->addresses, count * sizeof now[0]) != 0) {
        memcpy(announcer->addresses, now, sizeof now);
        announcer->address_count = count;
        announcer->is_to_publish = true;
    }
}

// Announces until it is to stop, or cannot any more.
static enum status announce(struct announcer *announcer, AvahiSimplePoll *poll, struct error *error)
{
    int64_t look_at_us = 0;
    while (!atomic_load(&announcer->is_stopping)) {
        int64_t now_us = clock_steady_us();
        if (now_us >= look_at_us) {
            look_at_addresses(announcer);
            look_at_us = now_us + LOOK_US;
        }
        if (announcer->is_broken) {
            return fail(announcer, "the announcement broke off", error);
        }
        bool is_ready =
            announcer->avahi->server_get_state(announcer->server) == AVAHI_SERVER_RUNNING;
        if (announcer->is_to_publish && is_ready) {
            TRY(publish(announcer, error));
        }
        if (announcer->avahi->simple_poll_iterate(poll, (int)((look_at_us - now_us) / 1000)) != 0 &&
            errno != EINTR) {
            return error_set_errno(error, errno, "cannot wait for the network");
        }
    }
    return OK;
}

static void expose_poll(struct announcer *announcer, AvahiSimplePoll *poll)
{
    (void)pthread_mutex_lock(&announcer->mutex);
    announcer->poll = poll;
    (void)pthread_mutex_unlock(&announcer->mutex);
}

static enum status serve(struct announcer *announcer, struct error *error)
{
    TRY(avahi_library_get(&announcer->avahi, error));
    const struct avahi_library *avahi = announcer->avahi;
    AvahiSimplePoll *poll = avahi->simple_poll_new();
    if (!poll) {
        return error_set(error, INTERNAL, "no loop for multicast DNS can be made");
    }
    announcer->is_broken = false;
    announcer->address_count = 0;
    announcer->is_to_publish = true;
    enum status status =
        avahi_server_open(avahi, poll, on_server_state, announcer, &announcer->server, error);
    if (status == OK) {
        expose_poll(announcer, poll);
        status = announce(announcer, poll, error);
        expose_poll(announcer, NULL);
        if (announcer->group) {
            avahi->s_entry_group_free(TAKE(announcer->group));
        }
        avahi->server_free(TAKE(announcer->server)); // This is the goodbye.
    }
    avahi->simple_poll_free(poll);
    return status;
}

static void wait_for_retry(struct announcer *announcer)
{
    int64_t until_us = clock_steady_us() + RETRY_US;
    (void)pthread_mutex_lock(&announcer->mutex);
    while (!atomic_load(&announcer->is_stopping) &&
           condition_wait_until(&announcer->stopped, &announcer->mutex, until_us)) {
    }
    (void)pthread_mutex_unlock(&announcer->mutex);
}

static void *run(void *context)
{
    struct announcer *announcer = context;
    while (!atomic_load(&announcer->is_stopping)) {
        struct error error = {0};
        if (serve(announcer, &error) != OK) {
            change_state(announcer, ANNOUNCER_FAILING, &error);
            wait_for_retry(announcer);
        }
    }
    return NULL;
}

enum status announcer_start(const struct announcer_options *options, struct announcer **out,
                            struct error *error)
{
    struct announcer *announcer = NEW(struct announcer);
    announcer->options = *options;
    (void)pthread_mutex_init(&announcer->mutex, NULL);
    condition_init(&announcer->stopped);
    enum status status = thread_start(&announcer->thread, "announcer", run, announcer, error);
    if (status != OK) {
        (void)pthread_cond_destroy(&announcer->stopped);
        (void)pthread_mutex_destroy(&announcer->mutex);
        free(announcer);
        return status;
    }
    *out = announcer;
    return OK;
}

enum announcer_state announcer_look(struct announcer *announcer, struct error *problem)
{
    (void)pthread_mutex_lock(&announcer->mutex);
    enum announcer_state state = announcer->state;
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
    atomic_store(&announcer->is_stopping, true);
    (void)pthread_cond_signal(&announcer->stopped);
    if (announcer->poll) {
        announcer->avahi->simple_poll_wakeup(announcer->poll);
    }
    (void)pthread_mutex_unlock(&announcer->mutex);
    (void)pthread_join(announcer->thread, NULL);
}

void announcer_free(struct announcer *announcer)
{
    if (!announcer) {
        return;
    }
    (void)pthread_cond_destroy(&announcer->stopped);
    (void)pthread_mutex_destroy(&announcer->mutex);
    free(announcer);
}
