#include "discover/announce_core.h"

#include "discover/avahi_library.h"

struct core {
    const struct avahi_library *avahi;
    AvahiServer *server;
    AvahiSEntryGroup *group;
    int port;
    struct publication publication;
};

static void on_server_state(AvahiServer *server, AvahiServerState state, void *context)
{
    struct core *core = context;
    (void)server; // During server_new it is not known to the core's owner yet.
    if (state == AVAHI_SERVER_FAILURE) {
        publication_break(&core->publication,
                          core->server ? core->avahi->server_errno(core->server) : AVAHI_OK);
    }
}

static void on_group_state(AvahiServer *server, AvahiSEntryGroup *group, AvahiEntryGroupState state,
                           void *context)
{
    struct core *core = context;
    (void)server;
    (void)group;
    publication_hear(&core->publication, state);
}

static bool is_ready(void *responder)
{
    struct core *core = responder;
    return core->avahi->server_get_state(core->server) == AVAHI_SERVER_RUNNING;
}

static int clear(void *responder)
{
    struct core *core = responder;
    if (core->group) {
        core->avahi->s_entry_group_reset(core->group);
        return AVAHI_OK;
    }
    core->group = core->avahi->s_entry_group_new(core->server, on_group_state, core);
    return core->group ? AVAHI_OK : core->avahi->server_errno(core->server);
}

static int add_address(void *responder, int interface, const char *host,
                       const AvahiAddress *address)
{
    struct core *core = responder;
    AvahiAddress copy = *address; // The library asks for one that it may change.
    return core->avahi->server_add_address(core->server, core->group, interface, AVAHI_PROTO_UNSPEC,
                                           AVAHI_PUBLISH_NO_REVERSE, host, &copy);
}

static int add_service(void *responder, int interface, const char *label, const char *host,
                       AvahiStringList *txt)
{
    struct core *core = responder;
    return core->avahi->server_add_service_strlst(core->server, core->group, interface,
                                                  AVAHI_PROTO_UNSPEC, 0, label, DISCOVER_SERVICE,
                                                  NULL, host, (uint16_t)core->port, txt);
}

static int commit(void *responder)
{
    struct core *core = responder;
    return core->avahi->s_entry_group_commit(core->group);
}

static const struct responder_ops CORE = {is_ready, clear, add_address, add_service, commit};

static enum status announce(struct core *core, const struct core_announcement *announcement,
                            AvahiSimplePoll *poll, struct error *error)
{
    const struct avahi_library *avahi = core->avahi;
    TRY(avahi_server_open(avahi, poll, on_server_state, core, &core->server, error));
    announcement->wait_in(announcement->context, &avahi->common, poll);
    enum status status = publication_keep(&core->publication, poll, error);
    announcement->wait_in(announcement->context, NULL, NULL);
    if (core->group) {
        avahi->s_entry_group_free(core->group);
    }
    avahi->server_free(core->server); // This is the goodbye.
    return status;
}

enum status announce_by_core(const struct core_announcement *announcement, struct error *error)
{
    struct core core = {.port = announcement->options->port};
    TRY(avahi_library_get(&core.avahi, error));
    core.publication = (struct publication){.options = announcement->options,
                                            .avahi = &core.avahi->common,
                                            .ops = &CORE,
                                            .responder = &core,
                                            .tell = announcement->tell,
                                            .is_to_end = announcement->is_to_end,
                                            .context = announcement->context};
    AvahiSimplePoll *poll = core.avahi->common.simple_poll_new();
    if (!poll) {
        return error_set(error, INTERNAL, "no loop for multicast DNS can be made");
    }
    enum status status = announce(&core, announcement, poll, error);
    core.avahi->common.simple_poll_free(poll);
    return status;
}
