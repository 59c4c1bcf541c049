#include "site/announce.h"

#include "os/address.h"
#include "os/log.h"

static const char *const STATES[] = {[ANNOUNCER_STARTING] = "starting",
                                     [ANNOUNCER_ANNOUNCED] = "announced",
                                     [ANNOUNCER_FAILING] = "failing"};

static void report(void *context, enum announcer_state state, enum responder by,
                   const struct error *problem)
{
    (void)context;
    if (problem) {
        log_line(LOG_LEVEL_WARNING, "event=not_announced by=%s problem=\"%s\" change=\"%s\"",
                 responder_word(by), problem->detail, problem->fix);
    } else if (state == ANNOUNCER_ANNOUNCED) {
        log_line(LOG_LEVEL_INFO, "event=announced service=" DISCOVER_SERVICE " by=%s",
                 responder_word(by));
    }
}

static bool is_reached_by_others(const struct announcer_options *options)
{
    for (size_t i = 0; i < options->bound_count; i++) {
        if (!address_is_loopback((const struct sockaddr *)&options->bound[i])) {
            return true;
        }
    }
    return false;
}

void announce_start(struct site_announcement *announcement, const struct site_settings *settings,
                    const char *fingerprint, const struct http_server *server)
{
    struct announcer_options options = {.port = http_server_port(server), .report = report};
    struct announcer *announcer = NULL;
    struct error error = {0};
    options.bound_count = http_server_addresses(server, options.bound, ANNOUNCER_SOCKETS_MAX);
    bool is_wanted = settings->is_announced || is_reached_by_others(&options);
    if (settings->is_silent || !is_wanted) {
        return;
    }
    enum status status = announcement_make(text_of(settings->name), text_of(fingerprint),
                                           TEXT(LODE_VERSION), &options.announcement, &error);
    status = status == OK ? announcer_start(&options, &announcer, &error) : status;
    if (status != OK) {
        report(NULL, ANNOUNCER_FAILING, RESPONDER_CORE, &error);
        return;
    }
    atomic_store(&announcement->announcer, announcer);
}

json_t *announce_describe(void *announcement)
{
    struct site_announcement *of_site = announcement;
    struct announcer *announcer = atomic_load(&of_site->announcer);
    enum responder by = RESPONDER_CORE;
    struct error problem = {0};
    if (!announcer) {
        return json_pack("{s:s}", "state", "off");
    }
    enum announcer_state state = announcer_look(announcer, &by, &problem);
    json_t *document = json_pack("{s:s, s:s}", "state", STATES[state], "by", responder_word(by));
    if (state == ANNOUNCER_FAILING) {
        (void)json_object_set_new(document, "problem", json_from_text(text_of(problem.detail)));
        (void)json_object_set_new(document, "change", json_from_text(text_of(problem.fix)));
    }
    return document;
}

void announce_stop(struct site_announcement *announcement)
{
    announcer_stop(atomic_load(&announcement->announcer));
}

void announce_done(struct site_announcement *announcement)
{
    announcer_free(atomic_load(&announcement->announcer));
}
