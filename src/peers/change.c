#include "peers/change.h"

#include "base/memory.h"
#include "os/clock.h"
#include "peers/expected.h"
#include "peers/pace.h"
#include "peers/peers_sql.h"

// One row, as it will be.
struct row {
    struct text statement;
    enum peer_standing standing;
    enum peers_mode mode;
    int64_t hub_added;
    enum peers_mode hub_mode;
    struct text hub_url;
};

struct commit {
    struct peers *peers;
    const struct change *changes;
    size_t count;
    const struct peers_witness *witness;
    uint32_t *numbers; // In the mirror, beside `changes`.
};

static enum peer_standing new_standing(const struct change *change, const struct site *site)
{
    bool is_set = change->has_standing &&
                  !(change->is_standing_first && site && site->standing != STANDING_UNKNOWN);
    return is_set ? change->standing : site ? site->standing : STANDING_UNKNOWN;
}

// What the site's row will be. The texts live as long as the change and the site; only the writer's thread changes those of a site that is known.
static struct row make_row(struct peers *peers, const struct change *change,
                           const struct site *site)
{
    struct row row = {.standing = new_standing(change, site)};
    if (site) {
        row.statement = text_of(site->statement);
        row.mode = site->mode;
    }
    if (site && site_is_our_hub(site)) {
        row.hub_added = site->hub->added;
        row.hub_mode = site->hub->mode;
        row.hub_url = text_of(site->hub->url);
    }
    if (change->statement) {
        row.statement = change->statement_text;
    }
    if (change->has_mode) {
        row.mode = change->mode;
    }
    if (change->has_hub) {
        row.hub_added = change->hub_mode == 0 ? 0
                        : row.hub_added > 0   ? row.hub_added
                                              : peers->hubs_added + 1;
        row.hub_mode = change->hub_mode;
        row.hub_url = change->hub_mode != 0 ? change->hub_url : TEXT_NONE;
    }
    return row;
}

static struct text or_empty(struct text text)
{
    return text.bytes ? text : TEXT("");
}

static enum status write_row(struct commit *commit, const struct change *change, struct sql *sql,
                             struct error *error)
{
    struct peers *peers = commit->peers;
    (void)pthread_rwlock_rdlock(&peers->lock);
    struct row row = make_row(peers, change, sites_find(peers, &change->site));
    (void)pthread_rwlock_unlock(&peers->lock);
    return sql_run(sql, SQL_PEERS_SET,
                   SQL_VALUES(sql_text(text_of(change->site.text)),
                              sql_text(or_empty(row.statement)), sql_int64((int64_t)row.standing),
                              sql_int64((int64_t)row.mode), sql_int64(row.hub_added),
                              sql_int64((int64_t)row.hub_mode), sql_text(or_empty(row.hub_url))),
                   NULL, error);
}

static void set_hub(struct peers *peers, struct site *site, const struct row *row, int64_t now_us)
{
    struct hub *hub = sites_make_hub(site);
    bool is_new = hub->added == 0 && row->hub_added > 0;
    hub->added = row->hub_added;
    hub->mode = row->hub_mode;
    memset(hub->url, 0, sizeof hub->url);
    memcpy(hub->url, row->hub_url.bytes ? row->hub_url.bytes : "",
           row->hub_url.length < PEER_URL_MAX ? row->hub_url.length : PEER_URL_MAX);
    peers->hubs_added = hub->added > peers->hubs_added ? hub->added : peers->hubs_added;
    hub->has_announced = false;
    hub->next_announcement_us = 0;
    if (is_new) {
        hub->exchange.failures = 0;
        schedule_want(&peers->exchanges, &hub->exchange, now_us);
    }
    if (hub->added == 0) {
        hub->standing = STANDING_UNKNOWN;
        site_set_problem(&site->call_problem, "");
    }
}

static void apply(struct commit *commit, const struct change *change, uint32_t number,
                  int64_t now_us)
{
    struct peers *peers = commit->peers;
    struct site *site = sites_find(peers, &change->site);
    struct row row = make_row(peers, change, site);
    if (!site) {
        site = sites_add(peers, &change->site);
    }
    site->standing = row.standing;
    site->mode = row.mode;
    if (change->has_hub) {
        set_hub(peers, site, &row, now_us);
    }
    if (change->statement) {
        sites_set_statement(peers, site, change->statement, change->statement_text, number);
    }
    if (change->has_hub && row.hub_added > 0) {
        expected_unsaid(peers, site, now_us);
    }
    expected_review(peers, site);
    site_arrange(peers, site, now_us);
    site_touch(peers, site);
}

static enum status tell_witness(struct commit *commit, struct sql *sql, struct error *error)
{
    struct peers *peers = commit->peers;
    if (!commit->witness || !commit->witness->write) {
        return OK;
    }
    struct peer peer = {.site = commit->changes[0].site};
    (void)peers_find(peers, &commit->changes[0].site, &peer);
    return commit->witness->write(sql, commit->witness->context, &peer, error);
}

static enum status write_changes(struct sql *sql, void *context, struct error *error)
{
    struct commit *commit = context;
    struct peers *peers = commit->peers;
    for (size_t i = 0; i < commit->count; i++) {
        TRY(write_row(commit, &commit->changes[i], sql, error));
    }
    TRY(tell_witness(commit, sql, error));
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    for (size_t i = 0; i < commit->count; i++) {
        apply(commit, &commit->changes[i], commit->numbers[i], now_us);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return OK;
}

enum status changes_commit(struct peers *peers, const struct change *changes, size_t count,
                           const struct peers_witness *witness, struct error *error)
{
    AUTO_FREE uint32_t *numbers = memory_new(count, sizeof *numbers);
    for (size_t i = 0; i < count && peers->mirror; i++) {
        if (changes[i].statement) {
            TRY(mirror_site_number(peers->mirror, &changes[i].site, &numbers[i], error));
        }
    }
    struct commit commit = {
        .peers = peers, .changes = changes, .count = count, .witness = witness, .numbers = numbers};
    TRY(store_write_wait(peers->store, write_changes, &commit, error));
    peers_wake(peers);
    return OK;
}

static enum status load_statement(struct peers *peers, struct site *site, struct text text,
                                  struct error *error)
{
    AUTO_JSON json_t *object = NULL;
    struct site_statement read;
    uint32_t number = 0;
    TRY(json_parse(text, &object, error));
    TRY(site_statement_read(object, &read, error));
    if (peers->mirror) {
        TRY(mirror_site_number(peers->mirror, &site->fingerprint, &number, error));
    }
    sites_set_statement(peers, site, &read, text, number);
    return OK;
}

struct loaded {
    struct fingerprint site;
    char *statement;
    struct row row;
    char *hub_url;
    struct loaded *next;
};

static enum status read_rows(struct sql *sql, struct loaded **out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = OK;
    TRY(sql_query(sql, SQL_PEERS_ALL, SQL_NO_VALUES, &rows, error));
    while (sql_next(rows, &status, error)) {
        struct loaded *loaded = NEW(struct loaded);
        struct text site = sql_column_text(rows, 0);
        if (site.length >= FINGERPRINT_SIZE) {
            free(loaded);
            return error_set(error, CORRUPT, "a row of peers_sites has no fingerprint");
        }
        memcpy(loaded->site.text, site.bytes, site.length);
        loaded->statement = text_copy(sql_column_text(rows, 1));
        loaded->hub_url = text_copy(sql_column_text(rows, 6));
        loaded->row = (struct row){
            .statement = text_of(loaded->statement),
            .standing = (enum peer_standing)sql_column_int64(rows, 2),
            .mode = (enum peers_mode)sql_column_int64(rows, 3),
            .hub_added = sql_column_int64(rows, 4),
            .hub_mode = (enum peers_mode)sql_column_int64(rows, 5),
            .hub_url = text_of(loaded->hub_url),
        };
        loaded->next = *out;
        *out = loaded;
    }
    return status;
}

static void free_loaded(struct loaded *loaded)
{
    while (loaded) {
        struct loaded *next = loaded->next;
        free(loaded->statement);
        free(loaded->hub_url);
        free(loaded);
        loaded = next;
    }
}

static void set_loaded(struct peers *peers, struct site *site, const struct loaded *loaded,
                       int64_t now_us)
{
    site->standing = loaded->row.standing;
    site->mode = loaded->row.mode;
    if (loaded->row.hub_added > 0 || site_is_our_hub(site)) {
        set_hub(peers, site, &loaded->row, now_us);
    }
}

static enum status load_site(struct peers *peers, const struct loaded *loaded, struct error *error)
{
    // Sites that start in the same second after an outage do not all call in it.
    int64_t now_us = clock_steady_us() + pace_spread_us(peers->heartbeat_us / 6, peers_random());
    struct site *site = sites_add(peers, &loaded->site);
    set_loaded(peers, site, loaded, now_us);
    if (loaded->statement[0]) {
        TRY(load_statement(peers, site, text_of(loaded->statement), error));
    }
    site_arrange(peers, site, now_us);
    site_touch(peers, site);
    return OK;
}

enum status changes_load(struct peers *peers, struct error *error)
{
    struct sql *sql = NULL;
    struct loaded *loaded = NULL;
    TRY(store_read_begin(peers->store, &sql, error));
    enum status status = read_rows(sql, &loaded, error);
    store_read_end(peers->store, sql);
    for (struct loaded *each = loaded; each && status == OK; each = each->next) {
        status = load_site(peers, each, error);
    }
    free_loaded(loaded);
    return status;
}

enum status changes_reload(struct sql *sql, void *context, struct error *error)
{
    struct peers *peers = context;
    struct loaded *loaded = NULL;
    enum status status = read_rows(sql, &loaded, error);
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    for (struct loaded *each = loaded; each && status == OK; each = each->next) {
        struct site *site = sites_find(peers, &each->site);
        if (site) {
            set_loaded(peers, site, each, now_us);
            site_arrange(peers, site, now_us);
        }
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    free_loaded(loaded);
    return status;
}

// What a statement says apart from when it was said.
static json_t *content_of(const json_t *statement)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)statement);
    (void)json_object_del(copy, "time");
    (void)json_object_del(copy, "signature");
    return copy;
}

bool change_is_news(struct peers *peers, const struct site_statement *statement,
                    const json_t *object, bool is_direct)
{
    AUTO_FREE char *known = NULL;
    int64_t known_us = 0;
    (void)pthread_rwlock_rdlock(&peers->lock);
    const struct site *site = sites_find(peers, &statement->site);
    if (site && site->has_statement) {
        known = memory_copy_string(site->statement);
        known_us = site->statement_time_us;
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    AUTO_JSON json_t *old = NULL;
    if (!known || json_parse(text_of(known), &old, NULL) != OK) {
        return true;
    }
    if (!is_direct && statement->time_us <= known_us) {
        return false;
    }
    AUTO_JSON json_t *before = content_of(old);
    AUTO_JSON json_t *now = content_of(object);
    return !json_equal(before, now);
}
