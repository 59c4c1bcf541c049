#include "identity/known_workers.h"

#include "base/memory.h"
#include "identity/known_workers_sql.h"
#include "identity/known_workers_table.h"

enum { DIGITS_MIN = 8, COLUMN_RUNNER = 12 };

static const char *const STATES[] = {"pending", "accepted", "refused"};
static const char *const TRUSTS[] = {"none", "operator", "invitation", "authority", "open"};

const char *known_worker_state_name(enum known_worker_state state)
{
    return STATES[state];
}

const char *known_worker_trust_name(enum known_worker_trust trust)
{
    return TRUSTS[trust];
}

static bool find_word(const char *const *words, size_t count, struct text text, int *out)
{
    for (size_t i = 0; i < count; i++) {
        if (text_equal(text, text_of(words[i]))) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

bool known_worker_state_from_text(struct text text, enum known_worker_state *out)
{
    int found = 0;
    bool is_found = find_word(STATES, sizeof STATES / sizeof STATES[0], text, &found);
    *out = is_found ? (enum known_worker_state)found : *out;
    return is_found;
}

enum status known_worker_check_name(struct text name, struct error *error)
{
    struct text trimmed = text_trim(name);
    bool is_good = name.length > 0 && name.length <= KNOWN_WORKER_NAME_MAX &&
                   trimmed.length == name.length && text_is_utf8(name) && !text_has_control(name) &&
                   !text_starts_with(name, TEXT("sha256:"));
    if (!is_good) {
        (void)error_set(error, INVALID, "\"%.*s\" cannot be the name of a worker",
                        (int)(name.length < 80 ? name.length : 80), name.bytes ? name.bytes : "");
        error_fix(error, "give --name 1 to %d bytes of text without control characters",
                  KNOWN_WORKER_NAME_MAX);
        return INVALID;
    }
    return OK;
}

enum status known_worker_check_kind(enum runner_class kind, struct error *error)
{
    if (kind == RUNNER_SESSION || kind == RUNNER_JOB_TOKEN) {
        (void)error_set(error, INVALID, "a runner of class %s has a token, and no key",
                        runner_class_name(kind));
        error_fix(error, "make one: lode token create --class %s", runner_class_name(kind));
        return INVALID;
    }
    return OK;
}

static enum status worker_of_row(const struct sql_rows *rows, struct known_worker *out,
                                 struct error *error)
{
    struct known_worker worker = {
        .first_us = sql_column_int64(rows, 6),
        .seen_us = sql_column_int64(rows, 7),
        .decided_us = sql_column_int64(rows, 8),
        .rival_us = sql_column_int64(rows, 11),
    };
    int state = 0;
    int trust = 0;
    copy_text(worker.key.text, sizeof worker.key.text, sql_column_text(rows, 0));
    copy_text(worker.name, sizeof worker.name, sql_column_text(rows, 1));
    copy_text(worker.by, sizeof worker.by, sql_column_text(rows, 4));
    copy_text(worker.address, sizeof worker.address, sql_column_text(rows, 5));
    copy_text(worker.rival.text, sizeof worker.rival.text, sql_column_text(rows, 9));
    copy_text(worker.rival_address, sizeof worker.rival_address, sql_column_text(rows, 10));
    if (!find_word(STATES, sizeof STATES / sizeof STATES[0], sql_column_text(rows, 2), &state) ||
        !find_word(TRUSTS, sizeof TRUSTS / sizeof TRUSTS[0], sql_column_text(rows, 3), &trust)) {
        return error_set(error, CORRUPT, "the known worker %s is in no known state",
                         worker.key.text);
    }
    worker.state = (enum known_worker_state)state;
    worker.trust = (enum known_worker_trust)trust;
    TRY(runner_of_row(rows, COLUMN_RUNNER, &worker.runner, error));
    *out = worker;
    return OK;
}

static enum status index_read(struct worker_index *index, struct sql *sql, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_WORKERS_ALL, SQL_NO_VALUES, &rows, error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        struct known_worker worker;
        TRY(worker_of_row(rows, &worker, error));
        worker_index_put(index, &worker);
    }
    return status;
}

// After a batch that was lost: what it changed in memory is not in the database.
static enum status read_again(struct sql *sql, void *context, struct error *error)
{
    struct known_workers *workers = context;
    struct worker_index read;
    worker_index_init(&read);
    enum status status = index_read(&read, sql, error);
    if (status == OK) {
        (void)pthread_rwlock_wrlock(&workers->lock);
        struct worker_index old = workers->index;
        workers->index = read;
        read = old;
        (void)pthread_rwlock_unlock(&workers->lock);
    }
    worker_index_done(&read);
    return status;
}

static enum status forget_open_ones(struct sql *sql, void *context, struct error *error)
{
    (void)context;
    struct text trust = text_of(TRUSTS[KNOWN_WORKER_BY_OPENNESS]);
    return sql_run(sql, SQL_WORKERS_FORGET_TRUST, SQL_VALUES(sql_text(trust)), NULL, error);
}

enum status known_workers_open(struct store *store, bool is_open, struct known_workers **out,
                               struct error *error)
{
    struct sql *sql = NULL;
    if (!is_open) {
        TRY(store_write_wait(store, forget_open_ones, NULL, error));
    }
    TRY(store_read_begin(store, &sql, error));
    struct known_workers *workers = NEW(struct known_workers);
    workers->is_open = is_open;
    (void)pthread_rwlock_init(&workers->lock, NULL);
    worker_index_init(&workers->index);
    enum status status = index_read(&workers->index, sql, error);
    store_read_end(store, sql);
    if (status != OK) {
        known_workers_close(workers);
        return status;
    }
    store_on_recover(store, read_again, workers);
    *out = workers;
    return OK;
}

void known_workers_close(struct known_workers *workers)
{
    if (workers) {
        worker_index_done(&workers->index);
        (void)pthread_rwlock_destroy(&workers->lock);
        free(workers);
    }
}

bool known_workers_is_open(const struct known_workers *workers)
{
    return workers->is_open;
}

static enum status refuse_refused(const struct known_worker *worker, struct error *error)
{
    (void)error_set(error, DENIED, "the worker %s with the key %s was refused by %s", worker->name,
                    worker->key.text, worker->by[0] ? worker->by : "the site");
    error_fix(error, "an operator of the site can run: lode worker accept %s", worker->key.text);
    return DENIED;
}

// Is what it was accepted for still so?
static bool is_trusted(const struct known_worker *worker, const struct worker_caller *caller)
{
    return worker->state == KNOWN_WORKER_ACCEPTED &&
           (worker->trust != KNOWN_WORKER_BY_AUTHORITY || caller->certified);
}

enum status known_workers_admit(struct known_workers *workers, const struct worker_caller *caller,
                                int64_t now_us, struct known_worker *out, struct error *error)
{
    struct known_worker found = {0};
    bool is_known = false;
    (void)pthread_rwlock_rdlock(&workers->lock);
    struct worker_entry *entry = worker_index_find(&workers->index, caller->key);
    if (entry) {
        atomic_store(&entry->seen_us, now_us);
        found = entry->worker;
        is_known = is_trusted(&found, caller);
    }
    (void)pthread_rwlock_unlock(&workers->lock);
    if (entry && found.state == KNOWN_WORKER_REFUSED) {
        return refuse_refused(&found, error);
    }
    if (!is_known) {
        return error_set(error, NOT_FOUND, "this site has not accepted a worker with the key %s",
                         caller->key);
    }
    *out = found;
    return OK;
}

bool known_workers_find(struct known_workers *workers, const char *key, struct known_worker *out)
{
    (void)pthread_rwlock_rdlock(&workers->lock);
    const struct worker_entry *entry = worker_index_find(&workers->index, key);
    if (entry) {
        *out = worker_entry_copy(entry);
    }
    (void)pthread_rwlock_unlock(&workers->lock);
    return entry != NULL;
}

static bool is_key(const struct fingerprint *fingerprint, struct text said)
{
    struct text key = text_of(fingerprint->text);
    size_t prefix = sizeof "sha256:" - 1;
    bool has_prefix = text_starts_with(said, TEXT("sha256:"));
    struct text digits = has_prefix ? text_slice(said, prefix, said.length) : said;
    return digits.length >= DIGITS_MIN &&
           text_starts_with(text_slice(key, prefix, key.length), digits);
}

static bool is_named(const struct known_worker *worker, struct text said)
{
    return text_equal(said, text_of(worker->name)) || is_key(&worker->key, said);
}

// Nobody is named so. Is it a key that was refused for its name? That is not known itself, as anybody can make any number of them.
static enum status miss(struct known_workers *workers, struct text said, struct error *error)
{
    struct known_worker owner = {0};
    size_t at = 0;
    (void)pthread_rwlock_rdlock(&workers->lock);
    for (struct worker_entry *entry; (entry = map_next(workers->index.by_key, &at)) != NULL;) {
        if (entry->worker.rival_us != 0 && is_key(&entry->worker.rival, said)) {
            owner = worker_entry_copy(entry);
        }
    }
    (void)pthread_rwlock_unlock(&workers->lock);
    if (owner.rival_us == 0) {
        (void)error_set(error, NOT_FOUND, "no worker \"%.*s\" has shown itself here",
                        TEXT_ARGS(text_slice(said, 0, FINGERPRINT_SIZE)));
        error_fix(error, "lode workers lists those that have, with their fingerprints");
        return NOT_FOUND;
    }
    (void)error_set(
        error, CONFLICT,
        "the key %s came with the name %s, which is that of the worker with the key %s: it is "
        "refused",
        owner.rival.text, owner.name, owner.key.text);
    error_fix(error,
              "if it is the new key of %s: lode worker forget %s, start the worker there again, "
              "and then lode worker accept %s",
              owner.name, owner.key.text, owner.rival.text);
    return CONFLICT;
}

enum status known_workers_match(struct known_workers *workers, struct text said,
                                struct known_worker *out, struct error *error)
{
    size_t found = 0;
    size_t at = 0;
    (void)pthread_rwlock_rdlock(&workers->lock);
    for (struct worker_entry *entry; (entry = map_next(workers->index.by_key, &at)) != NULL;) {
        if (is_named(&entry->worker, said)) {
            *out = worker_entry_copy(entry);
            found++;
        }
    }
    (void)pthread_rwlock_unlock(&workers->lock);
    if (found == 0) {
        return miss(workers, said, error);
    }
    if (found > 1) {
        (void)error_set(error, CONFLICT, "\"%.*s\" fits %zu workers",
                        TEXT_ARGS(text_slice(said, 0, FINGERPRINT_SIZE)), found);
        error_fix(error, "give the fingerprint, which the worker prints; lode workers lists all");
        return CONFLICT;
    }
    return OK;
}

struct known_workers_figures known_workers_count(struct known_workers *workers)
{
    struct known_workers_figures figures = {0};
    size_t at = 0;
    (void)pthread_rwlock_rdlock(&workers->lock);
    for (struct worker_entry *entry; (entry = map_next(workers->index.by_key, &at)) != NULL;) {
        figures.pending += entry->worker.state == KNOWN_WORKER_PENDING;
        figures.accepted += entry->worker.state == KNOWN_WORKER_ACCEPTED;
        figures.refused += entry->worker.state == KNOWN_WORKER_REFUSED;
        figures.rivals += entry->worker.rival_us != 0;
    }
    (void)pthread_rwlock_unlock(&workers->lock);
    return figures;
}

enum status known_workers_list(struct known_workers *workers, struct sql *sql, struct text after,
                               int64_t count_max, known_worker_visit_fn *visit, void *context,
                               struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_WORKERS_AFTER, SQL_VALUES(sql_text(after), sql_int64(count_max)), &rows,
                  error));
    enum status status = OK;
    while (sql_next(rows, &status, error)) {
        struct known_worker worker;
        struct known_worker newer;
        TRY(worker_of_row(rows, &worker, error));
        bool is_known = known_workers_find(workers, worker.key.text, &newer);
        worker.seen_us =
            is_known && newer.seen_us > worker.seen_us ? newer.seen_us : worker.seen_us;
        visit(context, &worker);
    }
    return status;
}
