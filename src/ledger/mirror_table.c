#include "ledger/mirror_table.h"

#include "base/memory.h"

void mirror_table_init(struct mirror_table *table)
{
    *table = (struct mirror_table){.sites = map_new()};
    (void)pthread_mutex_init(&table->mutex, NULL);
    (void)pthread_cond_init(&table->freed, NULL);
}

void mirror_table_done(struct mirror_table *table)
{
    for (size_t number = 1; number <= table->count; number++) {
        free(table->numbered[number]);
    }
    free(table->numbered);
    map_free(table->sites);
    (void)pthread_cond_destroy(&table->freed);
    (void)pthread_mutex_destroy(&table->mutex);
}

struct mirror_site *mirror_table_find(struct mirror_table *table,
                                      const struct fingerprint *fingerprint)
{
    (void)pthread_mutex_lock(&table->mutex);
    struct mirror_site *site = map_find_text(table->sites, text_of(fingerprint->text));
    (void)pthread_mutex_unlock(&table->mutex);
    return site;
}

struct mirror_site *mirror_table_at(struct mirror_table *table, size_t number)
{
    (void)pthread_mutex_lock(&table->mutex);
    struct mirror_site *site = number <= table->count ? table->numbered[number] : NULL;
    (void)pthread_mutex_unlock(&table->mutex);
    return site;
}

size_t mirror_table_end(struct mirror_table *table)
{
    (void)pthread_mutex_lock(&table->mutex);
    size_t end = table->count;
    (void)pthread_mutex_unlock(&table->mutex);
    return end;
}

size_t mirror_table_count(struct mirror_table *table)
{
    (void)pthread_mutex_lock(&table->mutex);
    size_t count = map_count(table->sites);
    (void)pthread_mutex_unlock(&table->mutex);
    return count;
}

static bool lacks(const struct mirror_site *site)
{
    int64_t here = site->expected_epoch == site->position.epoch ? site->position.serial : 0;
    bool is_beyond = site->expected_epoch >= site->position.epoch && site->expected_serial > here;
    return mirror_site_is_behind(site) || site->expects == EXPECTS_UNKNOWN ||
           (site->expects == EXPECTS_POSITION && is_beyond);
}

// Counts it in or out; with the mutex held.
static void judge(struct mirror_table *table, struct mirror_site *site)
{
    bool is_lacking = site->is_claimed ? site->is_lacking : lacks(site);
    if (is_lacking != site->is_lacking) {
        site->is_lacking = is_lacking;
        (void)atomic_fetch_add(&table->lacking, is_lacking ? 1 : -1);
    }
}

static void make_room(struct mirror_table *table, size_t number)
{
    if (number < table->capacity) {
        return;
    }
    size_t capacity = 2 * number + 64;
    table->numbered = memory_resize(table->numbered, capacity, sizeof(struct mirror_site *));
    memset(table->numbered + table->capacity, 0,
           (capacity - table->capacity) * sizeof(struct mirror_site *));
    table->capacity = capacity;
}

struct mirror_site *mirror_table_add(struct mirror_table *table, const struct mirror_row *row)
{
    (void)pthread_mutex_lock(&table->mutex);
    struct mirror_site *site = map_find_text(table->sites, text_of(row->site.text));
    if (!site) {
        site = NEW(struct mirror_site);
        site->number = row->number;
        site->site = row->site;
        site->position = row->position;
        site->size_bytes = -1;
        site->indexed.site = row->site;
        make_room(table, row->number);
        table->numbered[row->number] = site;
        table->count = row->number > table->count ? row->number : table->count;
        (void)map_set_text(table->sites, text_of(row->site.text), site);
        judge(table, site);
    }
    (void)pthread_mutex_unlock(&table->mutex);
    return site;
}

void mirror_site_claim(struct mirror_table *table, struct mirror_site *site, bool is_patient)
{
    (void)pthread_mutex_lock(&table->mutex);
    site->waiting += !is_patient;
    while (site->is_claimed || (is_patient && site->waiting > 0)) {
        (void)pthread_cond_wait(&table->freed, &table->mutex);
    }
    site->waiting -= !is_patient;
    site->is_claimed = true;
    (void)pthread_mutex_unlock(&table->mutex);
}

void mirror_site_release(struct mirror_table *table, struct mirror_site *site)
{
    (void)pthread_mutex_lock(&table->mutex);
    site->is_claimed = false;
    judge(table, site);
    (void)pthread_cond_broadcast(&table->freed);
    (void)pthread_mutex_unlock(&table->mutex);
}

struct ledger_position mirror_site_position(struct mirror_table *table,
                                            const struct mirror_site *site)
{
    (void)pthread_mutex_lock(&table->mutex);
    struct ledger_position position = site->position;
    (void)pthread_mutex_unlock(&table->mutex);
    return position;
}

struct mirror_place mirror_site_indexed(struct mirror_table *table, const struct mirror_site *site)
{
    (void)pthread_mutex_lock(&table->mutex);
    struct mirror_place place = site->indexed;
    (void)pthread_mutex_unlock(&table->mutex);
    return place;
}

void mirror_site_set_position(struct mirror_table *table, struct mirror_site *site,
                              const struct ledger_position *position)
{
    (void)pthread_mutex_lock(&table->mutex);
    site->position = *position;
    judge(table, site);
    (void)pthread_mutex_unlock(&table->mutex);
}

void mirror_site_set_indexed(struct mirror_table *table, struct mirror_site *site,
                             const struct mirror_place *place)
{
    (void)pthread_mutex_lock(&table->mutex);
    site->indexed = *place;
    judge(table, site);
    (void)pthread_mutex_unlock(&table->mutex);
}

void mirror_site_expect(struct mirror_table *table, struct mirror_site *site,
                        const struct ledger_position *position)
{
    (void)pthread_mutex_lock(&table->mutex);
    site->expects = position ? EXPECTS_POSITION : EXPECTS_UNKNOWN;
    site->expected_epoch = position ? position->epoch : 0;
    site->expected_serial = position ? position->serial : 0;
    judge(table, site);
    (void)pthread_mutex_unlock(&table->mutex);
}

void mirror_site_expect_nothing(struct mirror_table *table, struct mirror_site *site)
{
    (void)pthread_mutex_lock(&table->mutex);
    site->expects = EXPECTS_NOTHING;
    judge(table, site);
    (void)pthread_mutex_unlock(&table->mutex);
}

bool mirror_site_is_lacking(struct mirror_table *table, const struct mirror_site *site)
{
    (void)pthread_mutex_lock(&table->mutex);
    bool is_lacking = site->is_lacking;
    (void)pthread_mutex_unlock(&table->mutex);
    return is_lacking;
}
