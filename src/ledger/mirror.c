#include "ledger/mirror.h"

#include "base/memory.h"
#include "ledger/mirror_table.h"
#include "os/thread.h"

#include <stdatomic.h>

enum { ENTRY_SIZE_USUAL = 1000 }; // Room that is made at once.

struct mirror {
    struct mirror_options options;
    struct mirror_index *index;
    struct mirror_table table;
    pthread_t catcher; // Brings the index up to the store after the start.
    bool has_catcher;
    atomic_bool is_catching; // It is at work: what is behind is its to enter.
    atomic_bool is_stopping;
};

static void report(const struct mirror *mirror, const struct error *error)
{
    if (mirror->options.report) {
        mirror->options.report(mirror->options.context, error);
    }
}

// --- the table of sites

// The site, made in store and table when it is new.
static enum status ensure_site(struct mirror *mirror, const struct fingerprint *fingerprint,
                               struct mirror_site **out, struct error *error)
{
    struct mirror_site *site = mirror_table_find(&mirror->table, fingerprint);
    if (!site) {
        struct mirror_row row = {.site = *fingerprint};
        if (mirror_table_count(&mirror->table) >= MIRROR_SITES_MAX) {
            return error_set(error, QUOTA, "a hub has the logs of at most %d sites",
                             MIRROR_SITES_MAX);
        }
        TRY(mirror_store_number(mirror->options.store, fingerprint, &row.number, error));
        site = mirror_table_add(&mirror->table, &row);
    }
    *out = site;
    return OK;
}

struct ledger_position mirror_position(struct mirror *mirror, const struct fingerprint *site)
{
    const struct mirror_site *found = mirror_table_find(&mirror->table, site);
    return found ? mirror_site_position(&mirror->table, found) : (struct ledger_position){0};
}

bool mirror_has_indexed(struct mirror *mirror, const struct fingerprint *site,
                        const struct ledger_position *position)
{
    const struct mirror_site *found = mirror_table_find(&mirror->table, site);
    if (!found) {
        return false;
    }
    struct mirror_place place = mirror_site_indexed(&mirror->table, found);
    return place.epoch == position->epoch && place.serial >= position->serial;
}

void mirror_expect(struct mirror *mirror, const struct fingerprint *site,
                   const struct ledger_position *position)
{
    struct mirror_site *found = mirror_table_find(&mirror->table, site);
    if (found) {
        mirror_site_expect(&mirror->table, found, position);
    }
}

void mirror_expect_nothing(struct mirror *mirror, const struct fingerprint *site)
{
    struct mirror_site *found = mirror_table_find(&mirror->table, site);
    if (found) {
        mirror_site_expect_nothing(&mirror->table, found);
    }
}

int64_t mirror_lacking(const struct mirror *mirror)
{
    return atomic_load_explicit(&mirror->table.lacking, memory_order_relaxed);
}

bool mirror_lacks(struct mirror *mirror, const struct fingerprint *site)
{
    const struct mirror_site *found = mirror_table_find(&mirror->table, site);
    return found && mirror_site_is_lacking(&mirror->table, found);
}

enum status mirror_site_number(struct mirror *mirror, const struct fingerprint *site, uint32_t *out,
                               struct error *error)
{
    struct mirror_site *found = NULL;
    TRY(ensure_site(mirror, site, &found, error));
    *out = found->number;
    return OK;
}

// --- the index

// Enters batches of the site, which is claimed, into the index.
static enum status enter(struct mirror *mirror, struct mirror_site *site, struct text batches,
                         struct error *error)
{
    struct mirror_place place = site->indexed;
    enum status status = mirror_index_enter(mirror->index, site->number, batches, &place, error);
    mirror_site_set_indexed(&mirror->table, site, &place);
    return status;
}

// Enters the next batch that the store has beyond the index; the site is claimed, and behind.
static enum status catch_up_step(struct mirror *mirror, struct mirror_site *site,
                                 struct error *error)
{
    AUTO_BUFFER struct buffer batch = {0};
    struct mirror_place before = site->indexed;
    TRY(mirror_store_next(mirror->options.store, site->number, before.epoch, before.serial, &batch,
                          error));
    TRY(enter(mirror, site, buffer_text(&batch), error));
    if (site->indexed.epoch == before.epoch && site->indexed.serial == before.serial) {
        return error_set(error, CORRUPT, "the log of site %s does not go on behind serial %lld",
                         site->site.text, (long long)before.serial);
    }
    return OK;
}

static enum status catch_up(struct mirror *mirror, struct mirror_site *site, struct error *error)
{
    while (mirror_site_is_behind(site) && !atomic_load(&mirror->is_stopping)) {
        TRY(catch_up_step(mirror, site, error));
    }
    return OK;
}

// Forgets the batches of older epochs, and what the present one says nothing of; the site is claimed, and its index up to the store.
static enum status sweep(struct mirror *mirror, struct mirror_site *site, struct error *error)
{
    while (!atomic_load(&mirror->is_stopping)) {
        AUTO_BUFFER struct buffer text = {0};
        struct mirror_old_batch old;
        struct store *store = mirror->options.store;
        enum status status =
            mirror_store_find_old(store, site->number, site->position.epoch, &old, &text, error);
        if (status == NOT_FOUND) {
            return OK;
        }
        TRY(status);
        TRY(mirror_index_sweep(mirror->index, site->number, site->position.epoch,
                               buffer_text(&text), error));
        site->size_bytes = -1; // To be counted anew.
        TRY(mirror_store_delete_old(store, &old, error));
    }
    return OK;
}

// One batch at a time, so that what comes in for a site need not wait until all of its log is in the index again.
static void *catcher_run(void *context)
{
    struct mirror *mirror = context;
    size_t number = 1;
    while (number <= mirror_table_end(&mirror->table) && !atomic_load(&mirror->is_stopping)) {
        struct error error = {0};
        struct mirror_site *site = mirror_table_at(&mirror->table, number);
        if (!site) {
            number++;
            continue;
        }
        mirror_site_claim(&mirror->table, site, true);
        bool is_done = !mirror_site_is_behind(site);
        if (!is_done && catch_up_step(mirror, site, &error) != OK) {
            report(mirror, &error);
            is_done = true;
        }
        mirror_site_release(&mirror->table, site);
        number += is_done;
    }
    atomic_store(&mirror->is_catching, false);
    return NULL;
}

// --- taking

// What one call takes.
struct taking {
    struct mirror *mirror;
    struct mirror_site *site;
    struct batch_source source;
    struct ledger_position from; // Where it began.
    struct ledger_position at;   // With what was read.
    struct batch *batches;       // Fresh ones.
    size_t count;
    size_t capacity;
    int64_t size_bytes; // Of these.

    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t ended;
    bool is_ended;
    enum status status;
    struct error error;
};

// Is the head of an old batch what the log has at that serial?
static enum status check_old(const struct taking *taking, const struct ledger_position *seen,
                             struct error *error)
{
    struct digest chain = taking->at.head;
    // Between the two: what this call brought and is not in the store yet.
    if (seen->serial < taking->at.serial &&
        (taking->from.epoch != taking->at.epoch || seen->serial > taking->from.serial)) {
        return OK;
    }
    if (seen->serial != taking->at.serial) {
        TRY(mirror_store_chain(taking->mirror->options.store, taking->site->number, seen->epoch,
                               seen->serial, &chain, error));
    }
    if (!digest_equal(&chain, &seen->head)) {
        return error_set(error, CORRUPT,
                         "log of site %s, epoch %lld, serial %lld: another head was signed for "
                         "this serial before: the log was rewritten",
                         taking->source.site.text, (long long)seen->epoch, (long long)seen->serial);
    }
    return OK;
}

// Is there room for this much more of the site's log?
static enum status check_size(struct taking *taking, size_t length, struct error *error)
{
    const struct mirror_options *options = &taking->mirror->options;
    struct mirror_site *site = taking->site;
    int64_t max = options->log_size_max > 0 ? options->log_size_max : MIRROR_LOG_SIZE_MAX;
    if (site->size_bytes < 0) {
        TRY(mirror_store_size(options->store, site->number, &site->size_bytes, error));
    }
    if (site->size_bytes + taking->size_bytes + (int64_t)length <= max) {
        return OK;
    }
    (void)error_set(error, QUOTA,
                    "the log of site %s is larger than the %lld bytes that this hub keeps of one; "
                    "it is here up to serial %lld",
                    site->site.text, (long long)max, (long long)taking->at.serial);
    error_fix(error, "the hub's operator can allow more: lode site --mirror --log-max SIZE");
    return QUOTA;
}

static enum status take_batch(struct taking *taking, struct text *rest, struct error *error)
{
    struct batch batch;
    struct text next = *rest;
    TRY(batch_read(&next, &taking->source, &taking->at, &batch, error));
    if (batch.is_fresh) {
        TRY(check_size(taking, batch.text.length, error));
        taking->size_bytes += (int64_t)batch.text.length;
        if (taking->count == taking->capacity) {
            taking->capacity = 2 * taking->capacity + 8;
            taking->batches =
                memory_resize(taking->batches, taking->capacity, sizeof *taking->batches);
        }
        taking->batches[taking->count++] = batch;
        taking->at = batch.end;
    } else if (batch.end.epoch == taking->at.epoch) {
        TRY(check_old(taking, &batch.end, error));
    }
    *rest = next;
    return OK;
}

static enum status write_taking(struct sql *sql, void *context, struct error *error)
{
    const struct taking *taking = context;
    struct ledger_position from = taking->from;
    for (size_t i = 0; i < taking->count; i++) {
        TRY(mirror_store_add(sql, taking->site->number, &from, &taking->batches[i], error));
        from = taking->batches[i].end;
    }
    return OK;
}

static void done_taking(void *context, enum status status, const struct error *error)
{
    struct taking *taking = context;
    struct mirror *mirror = taking->mirror;
    if (status == OK) {
        mirror_site_set_position(&mirror->table, taking->site, &taking->at);
        if (mirror->options.advanced) {
            mirror->options.advanced(mirror->options.context, &taking->source.site);
        }
    }
    (void)pthread_mutex_lock(&taking->mutex);
    taking->status = status;
    if (error) {
        taking->error = *error;
    }
    taking->is_ended = true;
    (void)pthread_cond_signal(&taking->ended);
    (void)pthread_mutex_unlock(&taking->mutex);
}

// Makes what was read durable.
static enum status commit(struct taking *taking, struct error *error)
{
    (void)pthread_mutex_init(&taking->mutex, NULL);
    (void)pthread_cond_init(&taking->ended, NULL);
    store_write(taking->mirror->options.store, write_taking, done_taking, taking);
    (void)pthread_mutex_lock(&taking->mutex);
    while (!taking->is_ended) {
        (void)pthread_cond_wait(&taking->ended, &taking->mutex);
    }
    (void)pthread_mutex_unlock(&taking->mutex);
    (void)pthread_cond_destroy(&taking->ended);
    (void)pthread_mutex_destroy(&taking->mutex);
    if (taking->status != OK && error) {
        *error = taking->error;
    }
    return taking->status;
}

// The index may fail: what was taken is durable, and entered later.
static void index_taken(struct taking *taking, bool was_behind)
{
    struct error error = {0};
    enum status status = OK;
    struct mirror *mirror = taking->mirror;
    size_t size = 0;
    if (was_behind && atomic_load(&mirror->is_catching)) {
        return;
    }
    for (size_t i = 0; i < taking->count; i++) {
        size += taking->batches[i].text.length;
        if (!was_behind && status == OK) {
            status = enter(mirror, taking->site, taking->batches[i].text, &error);
        }
    }
    if (was_behind) {
        status = catch_up(mirror, taking->site, &error);
    }
    // When an answer has room left, the sender had no more to send: the new epoch is whole.
    if (status == OK && size < LEDGER_READ_SIZE_MAX / 2) {
        status = sweep(mirror, taking->site, &error);
    }
    if (status != OK) {
        report(mirror, &error);
    }
}

static enum status take(struct taking *taking, struct text batches, struct error *error)
{
    enum status status = OK;
    struct error wrong = {0};
    bool was_behind = mirror_site_is_behind(taking->site);
    while (status == OK && batches.length > 0) {
        status = take_batch(taking, &batches, &wrong);
    }
    if (taking->count > 0) {
        TRY(commit(taking, error));
        taking->site->size_bytes += taking->size_bytes;
        index_taken(taking, was_behind);
    }
    if (status != OK && error) {
        *error = wrong;
    }
    return status;
}

enum status mirror_take(struct mirror *mirror, const struct public_key *key, struct text batches,
                        struct ledger_position *out, struct error *error)
{
    struct taking taking = {
        .mirror = mirror,
        .source = {.key = *key, .site = public_key_fingerprint(key)},
    };
    enum status status = ensure_site(mirror, &taking.source.site, &taking.site, error);
    if (status == OK) {
        mirror_site_claim(&mirror->table, taking.site, false);
        taking.from = mirror_site_position(&mirror->table, taking.site);
        taking.at = taking.from;
        status = take(&taking, batches, error);
        mirror_site_release(&mirror->table, taking.site);
        free(taking.batches);
    }
    if (out) {
        *out = mirror_position(mirror, &taking.source.site);
    }
    return status;
}

enum status mirror_check_head(struct mirror *mirror, const struct public_key *key,
                              const json_t *head, struct error *error)
{
    struct ledger_position seen;
    TRY(statement_verify(head, NULL, key, error));
    TRY(ledger_head_read(head, &seen, error));
    struct taking taking = {
        .mirror = mirror,
        .source = {.key = *key, .site = public_key_fingerprint(key)},
    };
    taking.site = mirror_table_find(&mirror->table, &taking.source.site);
    taking.at = taking.site ? mirror_site_position(&mirror->table, taking.site)
                            : (struct ledger_position){0};
    taking.from = taking.at;
    if (seen.epoch < taking.at.epoch) {
        return error_set(error, CORRUPT,
                         "log of site %s, epoch %lld, serial %lld: epoch %lld was seen before: an "
                         "old log is played again",
                         taking.source.site.text, (long long)seen.epoch, (long long)seen.serial,
                         (long long)taking.at.epoch);
    }
    bool is_news = seen.epoch > taking.at.epoch || seen.serial > taking.at.serial;
    return is_news ? OK : check_old(&taking, &seen, error);
}

// --- reading

enum status mirror_read_batches(struct mirror *mirror, const struct fingerprint *site,
                                int64_t epoch, int64_t after, struct buffer *out,
                                struct error *error)
{
    const struct mirror_site *found = mirror_table_find(&mirror->table, site);
    if (!found) {
        return error_set(error, NOT_FOUND, "there is no copy of the log of site %s", site->text);
    }
    struct ledger_position here = mirror_site_position(&mirror->table, found);
    int64_t from = epoch == here.epoch ? after : 0;
    if (from >= here.serial) {
        return OK;
    }
    return mirror_store_read(mirror->options.store, found->number, here.epoch, from, out, error);
}

enum status mirror_head(struct mirror *mirror, const struct fingerprint *site, struct buffer *out,
                        struct error *error)
{
    const struct mirror_site *found = mirror_table_find(&mirror->table, site);
    if (!found) {
        return error_set(error, NOT_FOUND, "there is no copy of the log of site %s", site->text);
    }
    return mirror_store_head(mirror->options.store, found->number, out, error);
}

// --- finding

struct search {
    struct mirror *mirror;
    size_t max;
    size_t count;
    struct buffer entry;
    void (*visit)(void *context, const struct mirror_entry *entry);
    void *context;
};

static bool visit_found(void *context, uint32_t number, struct text id, struct text packed)
{
    struct search *search = context;
    struct mirror *mirror = search->mirror;
    const struct mirror_site *site = mirror_table_at(&mirror->table, number);
    buffer_clear(&search->entry);
    if (site && packed_unpack(packed, id, &site->site, &search->entry, NULL) == OK) {
        struct mirror_entry entry = {
            .site = &site->site, .site_number = number, .entry = buffer_text(&search->entry)};
        search->visit(search->context, &entry);
        search->count++;
    }
    return search->count < search->max;
}

size_t mirror_find(struct mirror *mirror, struct text name, size_t max,
                   void (*visit)(void *context, const struct mirror_entry *entry), void *context)
{
    struct search search = {.mirror = mirror, .max = max, .visit = visit, .context = context};
    struct error error = {0};
    if (max == 0) {
        return 0;
    }
    (void)buffer_reserve(&search.entry, ENTRY_SIZE_USUAL);
    if (mirror_index_find(mirror->index, name, visit_found, &search, &error) != OK) {
        report(mirror, &error);
    }
    buffer_done(&search.entry);
    return search.count;
}

// --- figures

struct mirror_figures mirror_figures(struct mirror *mirror)
{
    struct mirror_figures figures = {.index_size_bytes = mirror_index_size(mirror->index)};
    (void)pthread_mutex_lock(&mirror->table.mutex);
    for (size_t number = 1; number <= mirror->table.count; number++) {
        const struct mirror_site *site = mirror->table.numbered[number];
        if (site) {
            bool is_same_epoch = site->indexed.epoch == site->position.epoch;
            figures.sites++;
            figures.entries += site->position.serial;
            figures.entries_behind +=
                site->position.serial - (is_same_epoch ? site->indexed.serial : 0);
        }
    }
    (void)pthread_mutex_unlock(&mirror->table.mutex);
    return figures;
}

// --- opening and closing

static enum status load_site(void *context, const struct mirror_row *row, struct error *error)
{
    (void)error;
    struct mirror *mirror = context;
    (void)mirror_table_add(&mirror->table, row);
    return OK;
}

// Reads how far the index is. CORRUPT when it is of another store: ahead of this one, or with other numbers.
static enum status load_places(struct mirror *mirror, struct error *error)
{
    for (size_t number = 1; number <= mirror_table_end(&mirror->table); number++) {
        struct mirror_site *site = mirror_table_at(&mirror->table, number);
        struct mirror_place place;
        if (!site) {
            continue;
        }
        TRY(mirror_index_place(mirror->index, site->number, &place, error));
        bool is_ahead =
            place.epoch > site->position.epoch ||
            (place.epoch == site->position.epoch && place.serial > site->position.serial);
        bool is_other = place.epoch > 0 && strcmp(place.site.text, site->site.text) != 0;
        if (is_ahead || is_other) {
            return error_set(error, CORRUPT, "the index in %s does not belong to this store",
                             mirror->options.index_folder);
        }
        place.site = site->site;
        mirror_site_set_indexed(&mirror->table, site, &place);
    }
    return OK;
}

static enum status open_index(struct mirror *mirror, struct error *error)
{
    TRY(mirror_index_open(mirror->options.index_folder, &mirror->index, error));
    return load_places(mirror, error);
}

// An index that is of no use is made anew: all that is in it is in the store.
static enum status open_any_index(struct mirror *mirror, struct error *error)
{
    struct error wrong = {0};
    enum status status = open_index(mirror, &wrong);
    if (status != CORRUPT) {
        if (status != OK && error) {
            *error = wrong;
        }
        return status;
    }
    report(mirror, &wrong);
    mirror_index_close(TAKE(mirror->index));
    TRY(mirror_index_remove(mirror->options.index_folder, error));
    return open_index(mirror, error);
}

enum status mirror_open(const struct mirror_options *options, struct mirror **out,
                        struct error *error)
{
    struct mirror *mirror = NEW(struct mirror);
    mirror->options = *options;
    mirror_table_init(&mirror->table);
    enum status status = mirror_store_list(options->store, load_site, mirror, error);
    if (status == OK) {
        status = open_any_index(mirror, error);
    }
    if (status == OK) {
        atomic_store(&mirror->is_catching, true);
        status = thread_start(&mirror->catcher, "mirror-index", catcher_run, mirror, error);
        mirror->has_catcher = status == OK;
    }
    if (status != OK) {
        mirror_close(mirror);
        return status;
    }
    *out = mirror;
    return OK;
}

void mirror_close(struct mirror *mirror)
{
    if (!mirror) {
        return;
    }
    atomic_store(&mirror->is_stopping, true);
    if (mirror->has_catcher) {
        (void)pthread_join(mirror->catcher, NULL);
    }
    mirror_index_close(mirror->index);
    mirror_table_done(&mirror->table);
    free(mirror);
}
