#include "site/federation.h"

#include "base/memory.h"
#include "os/log.h"
#include "queue/queue.h"
#include "site/ledger_adapter.h"

// The log exists before the peers, but nothing enters it before the catalogue is there, which comes after both.
static void log_changed(void *context)
{
    struct federation *federation = context;
    peers_log_changed(federation->peers);
    if (federation->self_copy) {
        self_copy_wake(federation->self_copy);
    }
}

static void log_advanced(void *context, const struct fingerprint *site)
{
    struct federation *federation = context;
    if (federation->peers) {
        peers_mirror_advanced(federation->peers, site);
    }
}

void federation_tell_load(void *context, struct peers_load *out)
{
    struct federation *federation = context;
    struct queue *queue = atomic_load(&federation->queue);
    if (queue) {
        struct queue_load_figures figures = queue_load_figures(queue);
        *out = (struct peers_load){.cpus = figures.cpus,
                                   .cpus_busy = figures.cpus_busy,
                                   .tasks_waiting = figures.tasks_waiting,
                                   .workers = figures.workers};
    }
}

static void report(void *context, const char *event, const struct error *error)
{
    (void)context;
    log_line(error->status == OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "event=%s problem=\"%s\"",
             event, error->detail);
}

static void report_mirror(void *context, const struct error *error)
{
    report(context, "index_failed", error);
}

static void report_self_copy(void *context, const struct error *error)
{
    report(context, "own_log_not_indexed", error);
}

static enum status open_mirror(struct federation *federation, struct store *store,
                               struct error *error)
{
    if (!federation->settings->is_mirror) {
        return OK;
    }
    AUTO_FREE char *folder = memory_format("%s/index", federation->settings->directory);
    const struct mirror_options options = {.store = store,
                                           .index_folder = folder,
                                           .advanced = log_advanced,
                                           .report = report_mirror,
                                           .context = federation,
                                           .log_size_max = federation->settings->log_size_max};
    return mirror_open(&options, &federation->mirror, error);
}

// What the hub itself says is in its index too, so that one look-up finds it.
static enum status start_self_copy(struct federation *federation, struct error *error)
{
    if (!federation->mirror) {
        return OK;
    }
    TRY(mirror_site_number(federation->mirror, signing_key_fingerprint(federation->key),
                           &federation->own_number, error));
    const struct self_copy_options options = {.ledger = federation->ledger,
                                              .mirror = federation->mirror,
                                              .key = federation->key,
                                              .report = report_self_copy,
                                              .context = federation};
    return self_copy_start(&options, &federation->self_copy, error);
}

static enum status open_peers(struct federation *federation, struct store *store,
                              struct error *error)
{
    const struct site_settings *settings = federation->settings;
    struct peers_options options = {
        .store = store,
        .key = federation->key,
        .directory = settings->directory,
        .name = settings->name,
        .ledger = federation->ledger,
        .mirror = federation->mirror,
        .joins_openly = strcmp(settings->join, "open") == 0,
        .heartbeat_us = settings->heartbeat_us,
        .load = federation_tell_load,
        .report = report,
        .context = federation,
    };
    TRY(peers_mode_from_text(text_of(settings->hub_mode), &options.wants, error));
    return peers_open(&options, &federation->peers, error);
}

enum status federation_open(struct federation *federation, const struct site_settings *settings,
                            struct store *store, struct error *error)
{
    federation->settings = settings;
    TRY(signing_key_open(settings->directory, &federation->key, error));
    const struct ledger_options options = {
        .store = store, .key = federation->key, .changed = log_changed, .context = federation};
    TRY(ledger_open(&options, &federation->ledger, error));
    federation->publisher = ledger_publisher(federation->ledger);
    TRY(open_mirror(federation, store, error));
    TRY(open_peers(federation, store, error));
    return start_self_copy(federation, error);
}

enum status federation_start(struct federation *federation, const char *url, struct error *error)
{
    return peers_start(federation->peers, url, error);
}

enum status federation_check_guest(void *context, const struct fingerprint *site,
                                   struct error *error)
{
    struct federation *federation = context;
    return peers_check_guest(federation->peers, site, federation->settings->guests, error);
}

void federation_stop(struct federation *federation)
{
    peers_stop(federation->peers);
    self_copy_stop(federation->self_copy);
    mirror_close(TAKE(federation->mirror));
    ledger_close(TAKE(federation->ledger));
}

void federation_close(struct federation *federation)
{
    peers_close(federation->peers);
    self_copy_free(federation->self_copy);
    signing_key_free(federation->key);
}
