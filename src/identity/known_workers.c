#include "identity/known_workers.h"

#include "base/memory.h"
#include "identity/audit.h"
#include "identity/known_workers_sql.h"
#include "identity/worker_index.h"
#include "policy/policy.h"

#include <pthread.h>
#include <stdio.h>

#define SEEN_STEP_US INT64_C(60000000) // So often it is written down that a worker was seen.
enum { DIGITS_MIN = 8, OBJECT_SIZE = 256, COLUMN_RUNNER = 12 };

struct known_workers {
    pthread_rwlock_t lock; // Guards the index; only the writer's thread changes it.
    struct worker_index index;
    bool is_open;
    int64_t
        full_said_us; // Of the writer's thread: when one that is pending pushed out another and was worth a word.
};

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

static void copy_text(char *out, size_t size, struct text text)
{
    (void)snprintf(out, size, "%.*s", TEXT_ARGS(text));
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

// What becomes of trust without an operator's hand, for the audit log.
static enum status write_audit(struct sql *sql, const struct known_worker *worker, const char *what,
                               const char *reason, struct error *error)
{
    char object[OBJECT_SIZE];
    (void)snprintf(object, sizeof object, "worker %s %s %s", worker->name, worker->key.text, what);
    const struct audit_entry entry = {
        .principal = text_of(worker->key.text),
        .action = text_of(action_name(ACTION_WORKER_POLL)),
        .object = text_of(object),
        .reason = text_of(reason),
    };
    return audit_append(sql, &entry, worker->seen_us, error);
}

static enum status put(struct known_workers *workers, struct sql *sql,
                       const struct known_worker *worker, struct error *error)
{
    TRY(sql_run(sql, SQL_WORKER_PUT,
                SQL_VALUES(sql_text(text_of(worker->key.text)), sql_text(text_of(worker->name)),
                           sql_text(text_of(STATES[worker->state])),
                           sql_text(text_of(TRUSTS[worker->trust])), sql_text(text_of(worker->by)),
                           sql_text(text_of(worker->address)), sql_int64(worker->first_us),
                           sql_int64(worker->seen_us), sql_int64(worker->decided_us),
                           sql_text(text_of(worker->rival.text)),
                           sql_text(text_of(worker->rival_address)), sql_int64(worker->rival_us),
                           RUNNER_VALUES(&worker->runner)),
                NULL, error));
    (void)pthread_rwlock_wrlock(&workers->lock);
    worker_index_put(&workers->index, worker);
    (void)pthread_rwlock_unlock(&workers->lock);
    return OK;
}

static enum status take_out(struct known_workers *workers, struct sql *sql, const char *key,
                            struct error *error)
{
    // The key may be that of the entry that goes.
    struct fingerprint gone = {{0}};
    copy_text(gone.text, sizeof gone.text, text_of(key));
    TRY(sql_run(sql, SQL_WORKER_FORGET, SQL_VALUES(sql_text(text_of(gone.text))), NULL, error));
    (void)pthread_rwlock_wrlock(&workers->lock);
    worker_index_remove(&workers->index, gone.text);
    (void)pthread_rwlock_unlock(&workers->lock);
    return OK;
}

// Room for one that no operator has asked for.
static enum status make_room(struct known_workers *workers, struct sql *sql,
                             const struct known_worker *worker, struct error *error)
{
    const struct worker_index *index = &workers->index;
    const struct worker_entry *oldest = NULL;
    if (worker->state == KNOWN_WORKER_PENDING &&
        map_count(index->pending) >= KNOWN_WORKERS_PENDING_MAX) {
        oldest = worker_index_oldest_pending(index);
    } else if (known_worker_is_automatic(worker) &&
               index->automatic_count >= KNOWN_WORKERS_AUTOMATIC_MAX) {
        oldest = worker_index_oldest_automatic(index);
    }
    return oldest ? take_out(workers, sql, oldest->worker.key.text, error) : OK;
}

static void see(struct known_worker *worker, const struct worker_caller *caller, int64_t now_us)
{
    copy_text(worker->address, sizeof worker->address,
              text_slice(caller->address, 0, KNOWN_WORKER_ADDRESS_MAX));
    worker->seen_us = now_us;
}

// A new entry of this caller, not in the table yet.
static struct known_worker new_worker(const struct worker_caller *caller, int64_t now_us)
{
    struct known_worker worker = {.first_us = now_us};
    copy_text(worker.key.text, sizeof worker.key.text, text_of(caller->key));
    see(&worker, caller, now_us);
    return worker;
}

// What `wanted` says of state, trust and name, in the table; written down only when that or the address is news, or it was not seen for
// a while.
static enum status settle(struct known_workers *workers, struct sql *sql,
                          const struct known_worker *wanted, struct worker_met *out,
                          struct error *error)
{
    struct worker_entry *entry = worker_index_find(&workers->index, wanted->key.text);
    const struct known_worker *old = entry ? &entry->worker : NULL;
    out->worker = *wanted;
    out->is_new = !old;
    bool is_same = old && old->state == wanted->state && old->trust == wanted->trust &&
                   strcmp(old->name, wanted->name) == 0 &&
                   strcmp(old->address, wanted->address) == 0;
    if (is_same && wanted->seen_us - old->seen_us < SEEN_STEP_US) {
        atomic_store(&entry->seen_us, wanted->seen_us);
        return OK;
    }
    if (!old || old->state != wanted->state || old->trust != wanted->trust) {
        TRY(make_room(workers, sql, wanted, error));
    }
    if (known_worker_is_automatic(wanted) && !(old && known_worker_is_automatic(old))) {
        bool is_certified = wanted->trust == KNOWN_WORKER_BY_AUTHORITY;
        TRY(write_audit(
            sql, wanted, "accepted",
            is_certified ? "an authority of the site vouches for it" : "the site is open", error));
    }
    return put(workers, sql, wanted, error);
}

// A key with the name of another one. What it was pending for is over.
static enum status meet_rival(struct known_workers *workers, struct sql *sql,
                              const struct worker_caller *caller, const struct worker_entry *owner,
                              int64_t now_us, struct worker_met *out, struct error *error)
{
    struct known_worker noted = worker_entry_copy(owner);
    const struct worker_entry *entry = worker_index_find(&workers->index, caller->key);
    bool is_worth_a_word = noted.rival_us == 0 || now_us - noted.rival_us >= KNOWN_WORKERS_SAID_US;
    if (entry && entry->worker.state == KNOWN_WORKER_PENDING) {
        TRY(take_out(workers, sql, caller->key, error));
    }
    if (is_worth_a_word) {
        copy_text(noted.rival.text, sizeof noted.rival.text, text_of(caller->key));
        copy_text(noted.rival_address, sizeof noted.rival_address,
                  text_slice(caller->address, 0, KNOWN_WORKER_ADDRESS_MAX));
        noted.rival_us = now_us;
        struct known_worker rival = new_worker(caller, now_us);
        memcpy(rival.name, noted.name, sizeof rival.name);
        TRY(write_audit(sql, &rival, "refused", "the name belongs to a worker with another key",
                        error));
        TRY(put(workers, sql, &noted, error));
    }
    out->meeting = WORKER_MET_RIVAL;
    out->worker = noted;
    out->is_worth_a_word = is_worth_a_word;
    return OK;
}

// The entry whose name it is, when that is another key's. Certificates of an authority may share a name.
static const struct worker_entry *find_owner(const struct known_workers *workers,
                                             const struct worker_caller *caller, const char *name)
{
    const struct worker_entry *owner = worker_index_owner(&workers->index, name);
    bool is_own = owner && strcmp(owner->worker.key.text, caller->key) == 0;
    bool is_shared = owner && caller->certified && owner->worker.trust == KNOWN_WORKER_BY_AUTHORITY;
    return is_own || is_shared ? NULL : owner;
}

// Is a new one that waits worth a word? While there is room, always.
static bool is_pending_news(struct known_workers *workers, const struct worker_met *met,
                            int64_t now_us)
{
    bool is_full = map_count(workers->index.pending) >= KNOWN_WORKERS_PENDING_MAX;
    bool is_news = met->is_new && met->meeting == WORKER_MET_PENDING &&
                   (!is_full || now_us - workers->full_said_us >= KNOWN_WORKERS_SAID_US);
    workers->full_said_us = is_news && is_full ? now_us : workers->full_said_us;
    return is_news;
}

enum status known_workers_meet(struct known_workers *workers, struct sql *sql,
                               const struct worker_caller *caller, struct text name, int64_t now_us,
                               struct worker_met *out, struct error *error)
{
    const struct worker_entry *entry = worker_index_find(&workers->index, caller->key);
    struct known_worker wanted = entry ? entry->worker : new_worker(caller, now_us);
    *out = (struct worker_met){.meeting = WORKER_MET_ACCEPTED};
    see(&wanted, caller, now_us);
    if (entry && wanted.state == KNOWN_WORKER_REFUSED) {
        out->meeting = WORKER_MET_REFUSED;
        return settle(workers, sql, &wanted, out, error);
    }
    bool is_decided =
        entry && wanted.state == KNOWN_WORKER_ACCEPTED && wanted.trust != KNOWN_WORKER_BY_AUTHORITY;
    if (is_decided) {
        return settle(workers, sql, &wanted, out, error);
    }
    name = caller->certified ? text_of(caller->certified) : name;
    TRY(known_worker_check_name(name, error));
    copy_text(wanted.name, sizeof wanted.name, name);
    const struct worker_entry *owner = find_owner(workers, caller, wanted.name);
    if (owner) {
        return meet_rival(workers, sql, caller, owner, now_us, out, error);
    }
    bool is_welcome = workers->is_open && caller->is_near;
    if (caller->certified || is_welcome) {
        wanted.decided_us = wanted.state == KNOWN_WORKER_ACCEPTED ? wanted.decided_us : now_us;
        wanted.state = KNOWN_WORKER_ACCEPTED;
        wanted.trust = caller->certified ? KNOWN_WORKER_BY_AUTHORITY : KNOWN_WORKER_BY_OPENNESS;
    } else {
        wanted.state = KNOWN_WORKER_PENDING;
        wanted.trust = KNOWN_WORKER_NOT_TRUSTED;
        out->meeting = WORKER_MET_PENDING;
    }
    TRY(settle(workers, sql, &wanted, out, error));
    out->is_worth_a_word = is_pending_news(workers, out, now_us);
    return OK;
}

static enum status refuse_name(const struct known_worker *owner, struct error *error)
{
    (void)error_set(error, CONFLICT, "the name %s belongs to the worker with the key %s",
                    owner->name, owner->key.text);
    error_fix(error,
              "choose another --name, or, if that one has a new key for a reason, run "
              "at the site: lode worker forget %s",
              owner->key.text);
    return CONFLICT;
}

static enum status check_count(const struct known_workers *workers, struct error *error)
{
    if (map_count(workers->index.by_key) >= KNOWN_WORKERS_MAX) {
        (void)error_set(error, QUOTA, "the site knows %d workers already", KNOWN_WORKERS_MAX);
        error_fix(error, "forget some: lode worker forget NAME");
        return QUOTA;
    }
    return OK;
}

enum status known_workers_decide(struct known_workers *workers, struct sql *sql, const char *key,
                                 const struct known_worker_word *word, int64_t now_us,
                                 struct error *error)
{
    const struct worker_entry *entry = worker_index_find(&workers->index, key);
    if (!entry) {
        return error_set(error, NOT_FOUND, "no worker with the key %s has shown itself here", key);
    }
    struct known_worker worker = worker_entry_copy(entry);
    const struct worker_entry *owner = worker_index_owner(&workers->index, worker.name);
    if (word->state == KNOWN_WORKER_ACCEPTED && owner && owner != entry) {
        return refuse_name(&owner->worker, error);
    }
    TRY(known_worker_check_kind(word->runner.kind, error));
    TRY(runner_check(&word->runner, error));
    TRY(check_count(workers, error));
    bool is_accepted = word->state == KNOWN_WORKER_ACCEPTED;
    worker.state = word->state;
    worker.trust = is_accepted ? KNOWN_WORKER_BY_OPERATOR : KNOWN_WORKER_NOT_TRUSTED;
    worker.runner = word->runner;
    copy_text(worker.by, sizeof worker.by, text_slice(word->by, 0, KNOWN_WORKER_BY_MAX));
    worker.decided_us = now_us;
    return put(workers, sql, &worker, error);
}

enum status known_workers_enrol(struct known_workers *workers, struct sql *sql,
                                const struct worker_caller *caller, struct text name,
                                const struct known_worker_word *word, int64_t now_us,
                                struct error *error)
{
    const struct worker_entry *entry = worker_index_find(&workers->index, caller->key);
    struct known_worker worker = entry ? entry->worker : new_worker(caller, now_us);
    TRY(known_worker_check_name(name, error));
    copy_text(worker.name, sizeof worker.name, name);
    const struct worker_entry *owner = find_owner(workers, caller, worker.name);
    if (owner) {
        return refuse_name(&owner->worker, error);
    }
    TRY(check_count(workers, error));
    see(&worker, caller, now_us);
    worker.state = KNOWN_WORKER_ACCEPTED;
    worker.trust = KNOWN_WORKER_BY_INVITATION;
    worker.runner = word->runner;
    copy_text(worker.by, sizeof worker.by, text_slice(word->by, 0, KNOWN_WORKER_BY_MAX));
    worker.decided_us = now_us;
    return put(workers, sql, &worker, error);
}

enum status known_workers_forget(struct known_workers *workers, struct sql *sql, const char *key,
                                 struct error *error)
{
    if (!worker_index_find(&workers->index, key)) {
        return error_set(error, NOT_FOUND, "no worker with the key %s is known", key);
    }
    return take_out(workers, sql, key, error);
}
