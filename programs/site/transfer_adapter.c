#include "site/transfer_adapter.h"

#include "base/json.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include "os/clock.h"
#include "peers/peers.h"
#include "resolve/claims.h"

#include <pthread.h>
#include <stdio.h>

enum { LOOK_US = 5000000 }; // A survey under way is looked at again at the latest after so long.

static enum status resolve(struct transfer_adapter *adapter, struct text id, struct arena *arena,
                           struct location **out, size_t *count, struct error *error)
{
    AUTO_BUFFER struct buffer document = {0};
    struct error problem;
    TRY(resolver_ask(adapter->resolver, id, RESOLVE_ASKS_ANEW, &document, error));
    return resolve_read_answer(buffer_text(&document), id, arena, out, count, &problem, error);
}

static bool is_source(const struct transfer_adapter *adapter, const struct location *location)
{
    return location->has_digest && strcmp(location->state, "available") == 0 &&
           strcmp(location->site.text, adapter->fingerprint) != 0 && location->url[0] != '\0';
}

// What nobody has named is what all sites say that count; a site that does not count is left out when it says something else.
static bool is_meant(const struct transfer_wish *wish, const struct claims *claims,
                     const struct location *location)
{
    if (wish->site[0] && strcmp(wish->site, location->site.text) != 0) {
        return false;
    }
    if (wish->content) {
        return digest_equal(wish->content, &location->digest);
    }
    return wish->site[0] ||
           (claims->first && digest_equal(&claims->first->digest, &location->digest));
}

static enum status refuse(const struct claims *claims, struct text id, struct error *error)
{
    AUTO_FREE char *name = text_copy(id);
    enum status status = claims_refuse(claims, name, error);
    error_fix(error,
              "name the one that is meant: lode data replicate %.100s@sha256:... (lode resolve "
              "prints both), or --from SITE",
              name);
    return status;
}

static enum status find_sources(void *context, const struct transfer_wish *wish,
                                struct arena *arena, struct transfer_source *out, size_t max,
                                size_t *count, struct error *error)
{
    struct transfer_adapter *adapter = context;
    struct location *locations = NULL;
    size_t found = 0;
    *count = 0;
    TRY(resolve(adapter, wish->id, arena, &locations, &found, error));
    const struct claims claims = claims_compare(locations, found);
    if (claims.other && !wish->content && !wish->site[0]) {
        return refuse(&claims, wish->id, error);
    }
    for (size_t i = 0; i < found && *count < max; i++) {
        const struct location *location = &locations[i];
        if (is_source(adapter, location) && is_meant(wish, &claims, location)) {
            out[(*count)++] = (struct transfer_source){.site = location->site,
                                                       .name = location->name,
                                                       .url = location->url,
                                                       .id = location->id,
                                                       .digest = location->digest,
                                                       .file_count = location->file_count,
                                                       .size_bytes = location->size_bytes};
        }
    }
    return OK;
}

// --- registering

struct waiting {
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    bool is_woken;
};

static void wake(void *context)
{
    struct waiting *waiting = context;
    (void)pthread_mutex_lock(&waiting->mutex);
    waiting->is_woken = true;
    (void)pthread_cond_signal(&waiting->changed);
    (void)pthread_mutex_unlock(&waiting->mutex);
}

static void wait_for_change(struct catalog *catalog, int64_t ticket)
{
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    catalog_watch(catalog, ticket, clock_steady_us() + LOOK_US, wake, &waiting);
    (void)pthread_mutex_lock(&waiting.mutex);
    while (!waiting.is_woken) {
        (void)pthread_cond_wait(&waiting.changed, &waiting.mutex);
    }
    (void)pthread_mutex_unlock(&waiting.mutex);
    (void)pthread_cond_destroy(&waiting.changed);
    (void)pthread_mutex_destroy(&waiting.mutex);
}

// Waits until the survey of the dataset has come to its end.
static enum status await_survey(struct catalog *catalog, struct text id, struct arena *arena,
                                struct dataset *out, struct error *error)
{
    for (;;) {
        int64_t ticket = catalog_ticket(catalog);
        TRY(catalog_find(catalog, id, arena, out, error));
        if (out->state != DATASET_REGISTERING && out->state != DATASET_VERIFYING) {
            return OK;
        }
        wait_for_change(catalog, ticket);
    }
}

static enum status check_content(struct catalog *catalog, const struct dataset *dataset,
                                 const struct digest *digest, struct error *error)
{
    const struct catalog_witness nobody = {0};
    if (dataset->state == DATASET_AVAILABLE && dataset->has_digest &&
        digest_equal(&dataset->digest, digest)) {
        return OK;
    }
    (void)error_set(error, CORRUPT, "what came of %.200s is not what was signed for%s%.200s",
                    dataset->id, dataset->problem[0] ? ": " : "", dataset->problem);
    (void)catalog_remove(catalog, text_of(dataset->id), nobody, NULL);
    return CORRUPT;
}

// As its source describes it: the same id, aliases and title.
static enum status register_as(struct transfer_adapter *adapter, const struct location *location,
                               struct text folder, struct arena *arena, struct error *error)
{
    AUTO_JSON json_t *entry = NULL;
    bool is_new = false;
    TRY(json_parse(location->entry, &entry, error));
    const json_t *said = json_object_get(entry, "aliases");
    size_t count = json_array_size(said);
    struct text *aliases = arena_new(arena, (count + 1) * sizeof *aliases);
    for (size_t i = 0; i < count; i++) {
        aliases[i] = json_text(json_array_get(said, i));
    }
    const struct dataset_request request = {
        .id = text_of(location->id),
        .paths = &folder,
        .path_count = 1,
        .aliases = aliases,
        .alias_count = count < CATALOG_ALIASES_MAX ? count : CATALOG_ALIASES_MAX,
        .title = text_of(location->title),
        .owner = TEXT(TRANSFER_OWNER),
    };
    return catalog_register(adapter->catalog, &request, &is_new, error);
}

static enum status register_replica(void *context, struct text id, const char *folder,
                                    const struct digest *digest, struct error *error)
{
    struct transfer_adapter *adapter = context;
    AUTO_ARENA struct arena arena = {0};
    struct location *locations = NULL;
    struct dataset dataset;
    size_t count = 0;
    TRY(resolve(adapter, id, &arena, &locations, &count, error));
    for (size_t i = 0; i < count; i++) {
        if (locations[i].has_digest && digest_equal(&locations[i].digest, digest)) {
            TRY(register_as(adapter, &locations[i], text_of(folder), &arena, error));
            TRY(await_survey(adapter->catalog, id, &arena, &dataset, error));
            return check_content(adapter->catalog, &dataset, digest, error);
        }
    }
    return error_set(error, NOT_FOUND, "no site says any more that it has what was copied");
}

static bool is_here(void *context, struct text id, struct digest *content)
{
    const struct transfer_adapter *adapter = context;
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    if (catalog_resolve_for_job(adapter->catalog, id, &arena, &dataset, NULL) != OK) {
        return false;
    }
    *content = dataset.digest;
    return true;
}

static bool has_files(void *context, struct text path)
{
    const struct transfer_adapter *adapter = context;
    bool is_registered = true;
    struct error error;
    // What cannot be found out is taken to be needed.
    return catalog_has_root(adapter->catalog, path, &is_registered, &error) != OK || is_registered;
}

static void measured(void *context, const struct fingerprint *site, int64_t bytes,
                     int64_t duration_us)
{
    const struct transfer_adapter *adapter = context;
    peers_measured(adapter->peers, site, bytes, duration_us);
}

const struct transfer_ops TRANSFER_ADAPTER = {
    .sources = find_sources,
    .register_replica = register_replica,
    .is_here = is_here,
    .has_files = has_files,
    .measured = measured,
};
