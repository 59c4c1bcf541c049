// How what is known of a worker changes: it registers, an operator or an invitation decides, it is forgotten.
#include "identity/audit.h"
#include "identity/known_workers_sql.h"
#include "identity/known_workers_table.h"
#include "policy/policy.h"

#define SEEN_STEP_US INT64_C(60000000) // So often it is written down that a worker was seen.
enum { OBJECT_SIZE = 256 };

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
                           sql_text(text_of(known_worker_state_name(worker->state))),
                           sql_text(text_of(known_worker_trust_name(worker->trust))),
                           sql_text(text_of(worker->by)), sql_text(text_of(worker->address)),
                           sql_int64(worker->first_us), sql_int64(worker->seen_us),
                           sql_int64(worker->decided_us), sql_text(text_of(worker->rival.text)),
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
