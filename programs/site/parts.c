#include "site/parts.h"

#include "api/guard.h"
#include "api/guests.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "catalog/catalog.h"
#include "catalog/migrations.h"
#include "crypto/seal.h"
#include "http/server.h"
#include "identity/groups.h"
#include "identity/known_workers.h"
#include "identity/migrations.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "queue/queue.h"
#include "records/migrations.h"
#include "site/catalog_adapter.h"
#include "site/ledger_adapter.h"
#include "site/local_tokens.h"
#include "site/openapi.h"
#include "site/openness.h"
#include "site/service.h"
#include "site/sweeper.h"
#include "store/blobs.h"
#include "store/store.h"
#include "transfer/transfer.h"

#include <stdio.h>

enum {
    MIGRATIONS_MAX = 64,
    WORKER_GRACE_US = 8000000,
    LINK_GRACE_US = 2000000,
    SERVER_GRACE_US = 3000000,
    // One for each thread that may block for the database, lest those that stand back keep the others waiting; the last are for threads of the parts.
    READERS = HTTP_POOL_THREADS + HTTP_BACKGROUND_THREADS_MAX + 8,
};

static enum status open_store(struct site_parts *parts, struct error *error)
{
    const struct {
        const struct store_migration *items;
        size_t count;
    } modules[] = {
        {IDENTITY_MIGRATIONS, IDENTITY_MIGRATION_COUNT},
        {CATALOG_MIGRATIONS, CATALOG_MIGRATION_COUNT},
        {QUEUE_MIGRATIONS, QUEUE_MIGRATION_COUNT},
        {LEDGER_MIGRATIONS, LEDGER_MIGRATION_COUNT},
        {PEERS_MIGRATIONS, PEERS_MIGRATION_COUNT},
        {RESOLVE_MIGRATIONS, RESOLVE_MIGRATION_COUNT},
        {TRANSFER_MIGRATIONS, TRANSFER_MIGRATION_COUNT},
        {BROKER_MIGRATIONS, BROKER_MIGRATION_COUNT},
    };
    struct store_migration all[MIGRATIONS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        for (size_t each = 0; each < modules[i].count && count < MIGRATIONS_MAX; each++) {
            all[count++] = modules[i].items[each];
        }
    }
    AUTO_FREE char *path = memory_format("%s/lode.db", parts->settings->directory);
    AUTO_FREE char *blobs = memory_format("%s/blobs", parts->settings->directory);
    const struct store_options options = {
        .url = path, .migrations = all, .migration_count = count, .readers = READERS};
    TRY(store_open(&options, &parts->store, error));
    return blobs_open(blobs, &parts->blobs, error);
}

static void report_catalog(void *context, const struct error *error)
{
    (void)context;
    log_line(LOG_LEVEL_WARNING, "event=survey_delayed problem=\"%s\"", error->detail);
}

// The catalogue is there before the queue, which is asked only by requests.
static enum status check_unused(void *context, const char *id, struct error *error)
{
    const struct site_parts *parts = context;
    return queue_check_unused(parts->queue, id, error);
}

// With the lock of the database held: of two sites that start in one new directory, one alone makes the key.
static enum status open_federation(struct site_parts *parts, struct error *error)
{
    const struct site_settings *settings = parts->settings;
    TRY(key_ensure(settings->directory, settings->name, &parts->fingerprint, error));
    return federation_open(&parts->federation, settings, parts->store, error);
}

static enum status open_resolver(struct site_parts *parts, struct error *error)
{
    parts->resolve_adapter.federation = &parts->federation;
    parts->resolve_adapter.catalog = parts->catalog;
    parts->resolve_adapter.name = parts->settings->name;
    const struct resolver_options options = {
        .store = parts->store,
        .mirror = parts->federation.mirror,
        .ops = &RESOLVE_ADAPTER,
        .context = &parts->resolve_adapter,
        .directory = parts->settings->directory,
    };
    return resolver_open(&options, &parts->resolver, error);
}

// Name and address of the site behind a place. On the writer's thread.
static void describe_place(void *context, const char *place, struct buffer *name,
                           struct buffer *url)
{
    const struct site_parts *parts = context;
    const struct site_settings *settings = parts->settings;
    const struct known_peer *known =
        known_peers_find(settings->peers, settings->peer_count, text_of(place));
    struct fingerprint site;
    struct peer peer;
    (void)snprintf(site.text, sizeof site.text, "%s", place);
    if (known) {
        buffer_append_string(name, known->name);
        buffer_append_string(url, known->url);
    } else if (peers_find(parts->federation.peers, &site, &peer)) {
        buffer_append_string(name, peer.name);
        buffer_append_string(url, peer.url);
    }
}

// A site that was named when this one started.
static bool find_known(void *context, struct text name, struct peer *out)
{
    const struct site_parts *parts = context;
    const struct site_settings *settings = parts->settings;
    const struct known_peer *known = known_peers_find(settings->peers, settings->peer_count, name);
    if (!known) {
        return false;
    }
    *out = (struct peer){.site = known->site, .rtt_us = -1, .heard_seconds = -1};
    (void)snprintf(out->name, sizeof out->name, "%s", known->name);
    (void)snprintf(out->url, sizeof out->url, "%s", known->url);
    return true;
}

// A job is to travel: what carries it is started, if it is not there yet.
static void need_link(void *context)
{
    struct error error;
    if (parts_need_link(context, &error) != OK) {
        log_line(LOG_LEVEL_WARNING, "event=no_link problem=\"%s\"", error.detail);
    }
}

static const struct queue_place_ops PLACES = {.describe = describe_place};

static enum status open_broker(struct site_parts *parts, struct error *error)
{
    const struct site_settings *settings = parts->settings;
    parts->transfer_adapter = (struct transfer_adapter){.catalog = parts->catalog,
                                                        .peers = parts->federation.peers,
                                                        .resolver = parts->resolver,
                                                        .fingerprint = parts->fingerprint.text};
    const struct transfers_options transfers = {.store = parts->store,
                                                .directory = settings->directory,
                                                .ops = &TRANSFER_ADAPTER,
                                                .context = &parts->transfer_adapter};
    TRY(transfers_open(&transfers, &parts->transfers, error));
    const struct broker_options broker = {
        .store = parts->store,
        .queue = parts->queue,
        .catalog = parts->catalog,
        .resolver = parts->resolver,
        .peers = parts->federation.peers,
        .transfers = parts->transfers,
        .directory = settings->directory,
        .fingerprint = parts->fingerprint.text,
        .name = settings->name,
        .find_known = find_known,
        .placed = need_link,
        .context = parts,
    };
    return broker_open(&broker, &parts->broker, error);
}

static void tell_weight(void *context, const struct group *group)
{
    const struct site_parts *parts = context;
    queue_set_group_weight(parts->queue, text_of(group->name),
                           (double)group->weight_millis / GROUP_WEIGHT_ONE);
}

static enum status tell_weights(struct site_parts *parts, struct error *error)
{
    struct sql *sql = NULL;
    const struct group_filter all = {0};
    TRY(store_read_begin(parts->store, &sql, error));
    enum status status = groups_list(sql, &all, tell_weight, parts, error);
    store_read_end(parts->store, sql);
    return status;
}

static enum status end_tokens(void *context, struct sql *sql, int64_t job, struct error *error)
{
    const struct site_parts *parts = context;
    return tokens_end_job(parts->tokens, sql, job, clock_real_us(), error);
}

static enum status open_state(struct site_parts *parts, struct error *error)
{
    TRY(open_store(parts, error));
    TRY(open_federation(parts, error));
    TRY(tokens_open(parts->store, &parts->tokens, error));
    TRY(local_tokens_ensure(parts->store, parts->tokens, parts->settings, error));
    TRY(known_workers_open(parts->store, parts->settings->is_open, &parts->known_workers, error));
    struct catalog_options catalog = {.store = parts->store,
                                      .publisher = &parts->federation.publisher,
                                      .check_unused = check_unused,
                                      .report = report_catalog,
                                      .context = parts};
    TRY(catalog_open(&catalog, &parts->catalog, error));
    TRY(ledger_adopt_datasets(parts->store, parts->catalog, error));
    TRY(open_resolver(parts, error));
    struct queue_options queue = {
        .store = parts->store,
        .blobs = parts->blobs,
        .catalog = &CATALOG_ADAPTER,
        .catalog_context = parts->catalog,
        .places = &PLACES,
        .places_context = parts,
        .lease_timeout_us = parts->settings->lease_us,
        .job_ended = end_tokens,
        .job_ended_context = parts,
        .check_group = groups_check,
        .task_key = seal_key_derive(parts->federation.key, TEXT("lode: the key of task tokens")),
    };
    TRY(queue_open(&queue, &parts->queue, error));
    atomic_store(&parts->federation.queue, parts->queue);
    TRY(tell_weights(parts, error));
    return open_broker(parts, error);
}

static struct text host_of(const struct site_parts *parts)
{
    struct text address = text_of(parts->settings->address);
    size_t colon = address.length;
    while (colon > 0 && address.bytes[colon - 1] != ':') {
        colon--;
    }
    return text_slice(address, 0, colon > 0 ? colon - 1 : 0);
}

static bool is_wildcard(struct text host)
{
    return text_equal(host, TEXT("0.0.0.0")) || text_equal(host, TEXT("[::]"));
}

// The address as clients are told it: the port that was got, and a name for "every address".
static void write_url(struct site_parts *parts)
{
    struct text host = host_of(parts);
    host = is_wildcard(host) ? TEXT("127.0.0.1") : host;
    (void)snprintf(parts->url, sizeof parts->url, "https://%.*s:%d", TEXT_ARGS(host),
                   http_server_port(parts->server));
}

// Where other sites reach it; NULL when nothing is known of that.
static const char *public_url(const struct site_parts *parts)
{
    const char *said = parts->settings->url;
    return said ? said : is_wildcard(host_of(parts)) ? NULL : parts->url;
}

// Whom the operator named when the site started is a guest whatever the policy for others, unless he denied it since.
static enum status check_guest(void *context, const struct fingerprint *site, struct error *error)
{
    const struct site_parts *parts = context;
    const struct site_settings *settings = parts->settings;
    struct peers *peers = parts->federation.peers;
    struct peer peer;
    bool is_denied = peers_find(peers, site, &peer) && peer.standing == STANDING_DENIED;
    if (!is_denied &&
        known_peers_find(settings->peers, settings->peer_count, text_of(site->text))) {
        return OK;
    }
    return peers_check_guest(peers, site, settings->guests, error);
}

static enum status start_server(struct site_parts *parts, struct error *error)
{
    const char *directory = parts->settings->directory;
    AUTO_FREE char *key = memory_format("%s/key.pem", directory);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", directory);
    int fds[SERVICE_FDS_MAX];
    size_t fd_count = service_take_sockets(fds);
    if (parts->settings->is_open) {
        TRY(openness_check(parts->settings->address, fds, fd_count, error));
        log_line(LOG_LEVEL_WARNING, "event=open_site detail=\"any worker may join\" address=%s",
                 parts->settings->address);
    }
    parts->api = (struct api){
        .store = parts->store,
        .blobs = parts->blobs,
        .tokens = parts->tokens,
        .known_workers = parts->known_workers,
        .catalog = parts->catalog,
        .queue = parts->queue,
        .peers = parts->federation.peers,
        .resolver = parts->resolver,
        .transfers = parts->transfers,
        .broker = parts->broker,
        .name = parts->settings->name,
        .fingerprint = parts->fingerprint.text,
        .url = parts->url,
        .directory = directory,
        .started_us = clock_real_us(),
        .openapi = OPENAPI_DOCUMENT,
    };
    parts->guests = guests_new(check_guest, parts);
    parts->api.guests = parts->guests;
    parts->senders = senders_new(&parts->settings->upload_limits);
    parts->api.senders = parts->senders;
    parts->api.describe_announcement = announce_describe;
    parts->api.announcement = &parts->announcement;
    parts->api.describe_reach = reach_describe;
    parts->api.reach = &parts->reach;
    const struct http_route *routes = NULL;
    size_t route_count = 0;
    api_routes_new(&parts->api, &routes, &route_count);
    struct http_server_options options = {
        .address = fd_count > 0 ? NULL : parts->settings->address,
        .fds = fds,
        .fd_count = fd_count,
        .key_path = key,
        .certificate_path = certificate,
        .authority_path = parts->settings->worker_authority,
        .routes = routes,
        .route_count = route_count,
        .context = &parts->api,
        .admit = guard_admit,
        .problem = api_problem,
        .started = &parts->api.server,
    };
    enum status status = http_server_start(&options, &parts->server, error);
    if (status == CONFLICT) {
        error_fix(error,
                  "stop the program that listens there, or give another --address HOST:PORT");
    }
    TRY(status);
    write_url(parts);
    return OK;
}

void parts_describe(const struct site_parts *parts, struct buffer *out)
{
    AUTO_JSON json_t *document = json_pack(
        "{s:s, s:s, s:o, s:I}", "url", parts->url, "fingerprint", parts->fingerprint.text, "name",
        json_from_text(text_of(parts->settings->name)), "pid", (json_int_t)getpid());
    json_write(document, false, out);
    buffer_append_byte(out, '\n');
}

// Clients and workers of this machine find the site by this file; it says so only once the site answers.
static enum status write_site_file(struct site_parts *parts, struct error *error)
{
    AUTO_BUFFER struct buffer text = {0};
    parts_describe(parts, &text);
    return file_write_atomic(parts->site_file, buffer_text(&text), 0644, error);
}

static void report_executor(void *context, const char *problem, const char *change)
{
    struct site_parts *parts = context;
    if (*problem) {
        log_line(LOG_LEVEL_WARNING, "event=no_worker problem=\"%s\" change=\"%s\"", problem,
                 change);
    }
    queue_set_executor_problem(parts->queue, problem, change);
}

static void report_ended(void *context, int64_t process, const char *how)
{
    struct site_parts *parts = context;
    queue_worker_ended(parts->queue, parts->settings->name, process, how);
}

static enum status start_executor(struct site_parts *parts, struct error *error)
{
    const struct site_settings *settings = parts->settings;
    if (settings->workers == 0) {
        queue_set_executor_problem(parts->queue,
                                   "this site runs no workers of its own (--workers 0)",
                                   "start the site with --workers, or start a lode worker for it");
        return OK;
    }
    AUTO_FREE char *folder = memory_format("%s/worker", settings->directory);
    AUTO_FREE char *token = memory_format("%s/worker.token", settings->directory);
    TRY(file_make_folder(folder, error));
    struct executor_options options = {
        .program = settings->program,
        .directory = folder,
        .site_file = parts->site_file,
        .token_file = token,
        .name = settings->name,
        .cpus = settings->workers,
        .sandbox = settings->sandbox,
        .report = report_executor,
        .ended = report_ended,
        .context = parts,
    };
    return EXECUTOR_LOCAL.start(&options, &parts->executor, error);
}

static void report_link(void *context, const char *problem, const char *change)
{
    (void)context;
    if (*problem) {
        log_line(LOG_LEVEL_WARNING, "event=no_link problem=\"%s\" change=\"%s\"", problem, change);
    }
}

static void report_link_ended(void *context, int64_t process, const char *how)
{
    struct site_parts *parts = context;
    queue_worker_ended(parts->queue, NULL, process, how);
}

enum status parts_need_link(struct site_parts *parts, struct error *error)
{
    const char *directory = parts->settings->directory;
    AUTO_FREE char *folder = memory_format("%s/link", directory);
    AUTO_FREE char *token = memory_format("%s/worker.token", directory);
    AUTO_FREE char *key = memory_format("%s/key.pem", directory);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", directory);
    const struct executor_options options = {
        .program = parts->settings->program,
        .directory = folder,
        .site_file = parts->site_file,
        .token_file = token,
        .key_path = key,
        .certificate_path = certificate,
        .report = report_link,
        .ended = report_link_ended,
        .context = parts,
    };
    (void)pthread_mutex_lock(&parts->link_mutex);
    enum status status = OK;
    if (!parts->link && !parts->is_stopping) {
        status = file_make_folder(folder, error);
        status = status == OK ? EXECUTOR_LINK.start(&options, &parts->link, error) : status;
    }
    (void)pthread_mutex_unlock(&parts->link_mutex);
    return status;
}

static void stop_link(struct site_parts *parts)
{
    (void)pthread_mutex_lock(&parts->link_mutex);
    parts->is_stopping = true;
    struct executor *link = TAKE(parts->link);
    (void)pthread_mutex_unlock(&parts->link_mutex);
    EXECUTOR_LINK.stop(link, LINK_GRACE_US);
}

enum status parts_start(struct site_parts *parts, const struct site_settings *settings,
                        struct error *error)
{
    parts->settings = settings;
    parts->reach.url = settings->url;
    (void)pthread_mutex_init(&parts->link_mutex, NULL);
    parts->site_file = memory_format("%s/site.json", settings->directory);
    TRY(file_make_folder(settings->directory, error));
    TRY(open_state(parts, error));
    TRY(start_server(parts, error));
    atomic_store(&parts->resolve_adapter.url, public_url(parts));
    atomic_store(&parts->reach.server, parts->server);
    TRY(write_site_file(parts, error));
    announce_start(&parts->announcement, settings, parts->fingerprint.text, parts->server);
    TRY(federation_start(&parts->federation, public_url(parts), error));
    if (settings->peer_count > 0 || peers_count(parts->federation.peers) > 0) {
        TRY(parts_need_link(parts, error));
    }
    TRY(sweeper_start(parts->store, parts->blobs, settings->sweep_after_us, &parts->sweeper,
                      error));
    return start_executor(parts, error);
}

void parts_stop(struct site_parts *parts)
{
    announce_stop(&parts->announcement);
    stop_link(parts);
    EXECUTOR_LOCAL.stop(parts->executor, WORKER_GRACE_US);
    if (parts->queue) {
        queue_stop(parts->queue);
    }
    if (parts->catalog) {
        catalog_wake_all(parts->catalog);
    }
    if (parts->transfers) {
        transfers_wake_all(parts->transfers);
    }
    if (parts->federation.peers) {
        peers_wake_all(parts->federation.peers);
    }
    if (parts->server) {
        (void)unlink(parts->site_file);
        http_server_stop(parts->server, SERVER_GRACE_US);
    }
    sweeper_stop(parts->sweeper);
    broker_close(parts->broker);
    transfers_close(parts->transfers);
    catalog_close(parts->catalog);
    federation_stop(&parts->federation);
    store_close(parts->store);
    resolver_close(parts->resolver);
    federation_close(&parts->federation);
    if (parts->queue) {
        queue_free(parts->queue);
    }
    if (parts->tokens) {
        tokens_close(parts->tokens);
    }
    known_workers_close(parts->known_workers);
    if (parts->blobs) {
        blobs_close(parts->blobs);
    }
    // The last, as until then the writer's thread may have answered requests whose clients had left.
    http_server_free(parts->server);
    announce_done(&parts->announcement);
    api_routes_free(&parts->api);
    guests_free(parts->guests);
    senders_free(parts->senders);
    (void)pthread_mutex_destroy(&parts->link_mutex);
    free(parts->site_file);
}
