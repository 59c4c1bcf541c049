#include "peers/last_heard.h"

#include "base/memory.h"
#include "os/clock.h"
#include "peers/expected.h"
#include "peers/last_heard_sql.h"

#define AHEAD_US_MAX INT64_C(300000000) // Of a site's clock.

// One row on its way to the writer or from the store.
struct row {
    struct fingerprint site;
    int64_t heard_us;  // Wall clock.
    int64_t silent_us; // While this site was there to hear it.
    int64_t ttl_us;
    struct fingerprint by; // The hub by whose word; empty: the site was heard itself.
    char *heartbeat;       // "": none.
};

struct batch {
    struct peers *peers;
    size_t count;
    struct row rows[LAST_HEARD_BATCH_MAX];
};

static void free_batch(struct batch *batch)
{
    for (size_t i = 0; batch && i < batch->count; i++) {
        free(batch->rows[i].heartbeat);
    }
    free(batch);
}

static void gather_site(struct batch *batch, struct site *site, int64_t now_us)
{
    int64_t silent_us = now_us - site->heard_us;
    struct row *row = &batch->rows[batch->count++];
    *row = (struct row){
        .site = site->fingerprint,
        .heard_us = clock_real_us() - silent_us,
        .silent_us = silent_us - site->away_us,
        .ttl_us = site->ttl_us,
        .heartbeat = memory_copy_string(site->heartbeat ? site->heartbeat : ""),
    };
    if (site->is_heard_by_hub && site->told_by) {
        row->by = site->told_by->fingerprint;
    }
    site->kept_heard_us = site->heard_us;
    site->kept_liveness = site_liveness(site, now_us);
}

// Those that were heard since they were last written, or have fallen silent, from by_name[*from] on; NULL: there are no more.
static struct batch *gather(struct peers *peers, size_t *from)
{
    struct batch *batch = NULL;
    (void)pthread_rwlock_wrlock(&peers->lock);
    int64_t now_us = clock_steady_us();
    for (; *from < peers->count && (!batch || batch->count < LAST_HEARD_BATCH_MAX); (*from)++) {
        struct site *site = peers->by_name[*from];
        if (site->heard_us == site->kept_heard_us &&
            site_liveness(site, now_us) == site->kept_liveness) {
            continue;
        }
        if (!batch) {
            batch = NEW(struct batch);
            batch->peers = peers;
        }
        gather_site(batch, site, now_us);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    return batch;
}

static enum status write_batch(struct sql *sql, void *context, struct error *error)
{
    const struct batch *batch = context;
    for (size_t i = 0; i < batch->count; i++) {
        const struct row *row = &batch->rows[i];
        TRY(sql_run(sql, SQL_HEARD_SET,
                    SQL_VALUES(sql_text(text_of(row->site.text)), sql_int64(row->heard_us),
                               sql_int64(row->ttl_us), sql_text(text_of(row->by.text)),
                               sql_text(text_of(row->heartbeat)), sql_int64(row->silent_us)),
                    NULL, error));
    }
    return OK;
}

// What was not written is written the next time.
static void end_batch(void *context, enum status status, const struct error *error)
{
    struct batch *batch = context;
    struct peers *peers = batch->peers;
    (void)error;
    (void)pthread_rwlock_wrlock(&peers->lock);
    for (size_t i = 0; i < batch->count && status != OK; i++) {
        struct site *site = sites_find(peers, &batch->rows[i].site);
        if (site) {
            site->kept_heard_us = 0;
        }
    }
    (void)pthread_rwlock_unlock(&peers->lock);
    free_batch(batch);
}

int64_t last_heard_run(struct peers *peers, int64_t now_us)
{
    if (peers->next_kept_us == 0) {
        peers->next_kept_us = now_us + LAST_HEARD_FIRST_US;
    }
    if (now_us < peers->next_kept_us) {
        return peers->next_kept_us;
    }
    struct batch *batch = gather(peers, &peers->next_kept);
    bool is_more = batch && batch->count == LAST_HEARD_BATCH_MAX;
    if (batch) {
        store_write(peers->store, write_batch, end_batch, batch);
    }
    peers->next_kept = is_more ? peers->next_kept : 0;
    peers->next_kept_us = now_us + (is_more ? LAST_HEARD_BETWEEN_US : LAST_HEARD_EVERY_US);
    return peers->next_kept_us;
}

enum status last_heard_save(struct peers *peers, struct error *error)
{
    size_t from = 0;
    enum status status = OK;
    struct batch *batch = NULL;
    while (status == OK && (batch = gather(peers, &from))) {
        status = store_write_wait(peers->store, write_batch, batch, error);
        end_batch(batch, status, error);
    }
    return status;
}

static void load_heartbeat(struct site *site, struct text text)
{
    AUTO_JSON json_t *statement = NULL;
    struct said_heartbeat heartbeat;
    // One that an older version wrote and this one cannot read is as good as none; so is one of a clock that was ahead, behind which all later ones would count as old.
    if (text.length > 0 && json_parse(text, &statement, NULL) == OK &&
        said_heartbeat_read(statement, &heartbeat, NULL) == OK &&
        heartbeat.time_us <= clock_real_us() + AHEAD_US_MAX) {
        site->heartbeat_time_us = heartbeat.time_us;
        site->load = heartbeat.load;
        site_set_text(&site->heartbeat, text);
    }
}

// How long ago it was heard is by the wall clock; how alive it is, by the silence that this site was there for.
static void load_row(struct peers *peers, const struct sql_rows *rows)
{
    int64_t now_us = clock_steady_us();
    int64_t silent_us = sql_column_int64(rows, 5);
    int64_t away_us = clock_real_us() - sql_column_int64(rows, 1) - silent_us;
    away_us = away_us > 0 ? away_us : 0;
    int64_t heard_us = now_us - silent_us - away_us;
    struct text by = sql_column_text(rows, 3);
    (void)pthread_rwlock_wrlock(&peers->lock);
    struct site *site = sites_find_text(peers, sql_column_text(rows, 0));
    if (site) {
        site->heard_us = heard_us != 0 ? heard_us : -1;
        site->away_us = away_us;
        site->kept_heard_us = site->heard_us;
        site->ttl_us = sql_column_int64(rows, 2);
        site->told_by = by.length > 0 ? sites_find_text(peers, by) : NULL;
        site->is_heard_by_hub = by.length > 0;
        site->kept_liveness = site_liveness(site, now_us);
        load_heartbeat(site, sql_column_text(rows, 4));
    }
    (void)pthread_rwlock_unlock(&peers->lock);
}

static enum status load_rows(struct peers *peers, struct sql *sql, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = OK;
    TRY(sql_query(sql, SQL_HEARD_ALL, SQL_NO_VALUES, &rows, error));
    while (sql_next(rows, &status, error)) {
        load_row(peers, rows);
    }
    return status;
}

// What they have said since, while nobody here could hear it, is not known.
static void expect_all(struct peers *peers)
{
    int64_t now_us = clock_steady_us();
    (void)pthread_rwlock_wrlock(&peers->lock);
    for (size_t i = 0; i < peers->count; i++) {
        expected_unsaid(peers, peers->by_name[i], now_us);
    }
    (void)pthread_rwlock_unlock(&peers->lock);
}

enum status last_heard_load(struct peers *peers, struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(peers->store, &sql, error));
    enum status status = load_rows(peers, sql, error);
    store_read_end(peers->store, sql);
    expect_all(peers);
    return status;
}
