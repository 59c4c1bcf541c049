#include "discover/publication.h"

#include "base/memory.h"
#include "os/clock.h"

#include <errno.h>
#include <stdio.h>

enum {
    LOOK_US = 10000000,      // Between two looks at this machine's addresses.
    ATTEMPTS_MAX = 8,        // Names that are tried when others have taken them.
    SERVICE_NAME_SIZE = 128, // "<label>.local"
};

static enum status fail(const struct publication *publication, const char *what, int failure,
                        struct error *error)
{
    enum status status = failure == AVAHI_ERR_NOT_PERMITTED ? DENIED : UNAVAILABLE;
    return error_set(error, status, "%s: %s", what, publication->avahi->strerror(failure));
}

void publication_hear(struct publication *publication, AvahiEntryGroupState state)
{
    if (state == AVAHI_ENTRY_GROUP_ESTABLISHED) {
        publication->tell(publication->context, ANNOUNCER_ANNOUNCED);
    } else if (state == AVAHI_ENTRY_GROUP_COLLISION) {
        publication->attempt++;
        publication->is_to_publish = true;
    } else if (state == AVAHI_ENTRY_GROUP_FAILURE) {
        publication_break(publication, AVAHI_ERR_FAILURE);
    }
}

void publication_break(struct publication *publication, int failure)
{
    publication->broken = failure != AVAHI_OK ? failure : AVAHI_ERR_FAILURE;
}

static int add_addresses(struct publication *publication, const char *host)
{
    int failure = 0;
    for (size_t i = 0; i < publication->address_count && failure >= 0; i++) {
        const struct host_address *own = &publication->addresses[i];
        AvahiAddress address = {.proto =
                                    own->family == AF_INET ? AVAHI_PROTO_INET : AVAHI_PROTO_INET6};
        memcpy(address.data.data, own->bytes, own->family == AF_INET ? 4 : 16);
        failure =
            publication->ops->add_address(publication->responder, own->interface, host, &address);
    }
    return failure;
}

static int add_services(struct publication *publication, const char *label, const char *host)
{
    AUTO_BUFFER struct buffer txt = {0};
    AvahiStringList *list = NULL;
    int last = -1;
    announcement_write(&publication->options->announcement, &txt);
    int failure = publication->avahi->string_list_parse(txt.bytes, txt.length, &list);
    for (size_t i = 0; i < publication->address_count && failure >= 0; i++) {
        int interface = publication->addresses[i].interface;
        bool is_new = interface != last; // They are in the order of interfaces.
        last = interface;
        if (is_new) {
            failure =
                publication->ops->add_service(publication->responder, interface, label, host, list);
        }
    }
    publication->avahi->string_list_free(list);
    return failure;
}

static int add_all(struct publication *publication)
{
    char label[SERVICE_LABEL_SIZE];
    char host[SERVICE_LABEL_SIZE];
    char domain[SERVICE_NAME_SIZE];
    announcement_label(&publication->options->announcement, publication->attempt, label);
    announcement_host(&publication->options->announcement, publication->attempt, host);
    (void)snprintf(domain, sizeof domain, "%s.local", host);
    int failure = add_addresses(publication, domain);
    failure = failure < 0 ? failure : add_services(publication, label, domain);
    return failure < 0 ? failure : publication->ops->commit(publication->responder);
}

static enum status publish(struct publication *publication, struct error *error)
{
    publication->is_to_publish = false;
    if (publication->attempt > ATTEMPTS_MAX) {
        publication->attempt = 0;
        (void)error_set(error, CONFLICT, "others on the network announce this site's name");
        error_fix(error, "is a copy of its directory in use elsewhere?");
        return CONFLICT;
    }
    int failure = publication->ops->clear(publication->responder);
    if (failure >= 0 && publication->address_count == 0) {
        publication->tell(publication->context, ANNOUNCER_STARTING);
        return OK;
    }
    failure = failure < 0 ? failure : add_all(publication);
    if (failure == AVAHI_ERR_COLLISION) { // Somebody else has given the name to this responder.
        publication_hear(publication, AVAHI_ENTRY_GROUP_COLLISION);
        return OK;
    }
    return failure < 0 ? fail(publication, "cannot announce the site", failure, error) : OK;
}

static void look_at_addresses(struct publication *publication)
{
    struct host_address now[HOST_ADDRESSES_MAX] = {0};
    const struct announcer_options *options = publication->options;
    size_t count = addresses_reached(options->bound, options->bound_count, now);
    if (count != publication->address_count ||
        memcmp(now, publication->addresses, count * sizeof now[0]) != 0) {
        memcpy(publication->addresses, now, sizeof now);
        publication->address_count = count;
        publication->is_to_publish = true;
    }
}

enum status publication_keep(struct publication *publication, AvahiSimplePoll *poll,
                             struct error *error)
{
    int64_t look_at_us = 0;
    publication->is_to_publish = true;
    while (!publication->is_to_end(publication->context)) {
        int64_t now_us = clock_steady_us();
        if (now_us >= look_at_us) {
            look_at_addresses(publication);
            look_at_us = now_us + LOOK_US;
        }
        if (publication->broken != AVAHI_OK) {
            return fail(publication, "the announcement broke off", publication->broken, error);
        }
        bool is_ready = publication->ops->is_ready(publication->responder);
        if (publication->is_to_publish && is_ready) {
            TRY(publish(publication, error));
        }
        bool is_to_go_on = publication->is_to_publish && is_ready;
        int wait_ms = is_to_go_on ? 0 : (int)((look_at_us - now_us) / 1000);
        if (publication->avahi->simple_poll_iterate(poll, wait_ms) != 0 && errno != EINTR) {
            return error_set_errno(error, errno, "cannot wait for the network");
        }
    }
    return OK;
}
