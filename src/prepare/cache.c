// The result cache: tasks that were computed before are answered with what came out then.
//
// A job's family is the digest of everything that its results depend on but the item; a task is its item within the family. No
// row is kept for the cache itself: the jobs of a family are known, and their tasks are found by index or by joining items.
//
// Changed data never hits. That a dataset has the digest which is in the family is checked at submission, for the job that asks now and
// was for the one that ran first; what that one's tasks read was between its own submission and its end. So its results count only when
// nothing of its data was touched in that time (second_look.h), or in all of the time until now (the state of the looks is the same).
#include "prepare/cache.h"

#include "base/memory.h"
#include "crypto/file_digests.h"
#include "records/items.h"
#include "records/jobs_sql.h"
#include "records/made_for.h"

enum {
    FAMILY_JOBS_MAX =
        8, // Of each kind: those for everyone, for the job's group, its user, spare ones, and the same submission.
    FAMILY_KINDS = 5,
    RUNS_MAX = 1 << 22,
};

void cache_plan_done(struct cache_plan *plan)
{
    free(plan->runs);
    *plan = (struct cache_plan){0};
}

static void add_run(struct cache_plan *plan, struct cache_run run)
{
    struct cache_run *last = plan->run_count ? &plan->runs[plan->run_count - 1] : NULL;
    if (last && last->first_job == run.first_job && last->from + last->count == run.from &&
        last->first_index + last->count == run.first_index) {
        last->count += run.count;
        return;
    }
    if (plan->run_count >= RUNS_MAX) {
        return; // What is not looked up is computed.
    }
    if (plan->run_count == plan->run_capacity) {
        plan->run_capacity = plan->run_capacity ? plan->run_capacity * 2 : 4;
        plan->runs = memory_resize(plan->runs, plan->run_capacity, sizeof *plan->runs);
    }
    plan->runs[plan->run_count++] = run;
}

struct candidate {
    int64_t job;
    bool has_items;
    struct digest items;
    enum items_kind kind;
    int64_t count;
    bool is_complete;
};

// Is it part of what the job itself brings, whose digests are in the family: a file, data, or its software?
static bool is_of_job(struct text path)
{
    static const char *const beginnings[] = {"/work/", "/data/", "/opt/bundle/", "bundle:", "oci:"};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (text_starts_with(path, text_of(beginnings[i]))) {
            return true;
        }
    }
    return false;
}

// Is the program that the job ran the one that would run now?
static bool is_executable_same(const struct prepare_site *site, struct text path,
                               struct text recorded)
{
    struct digest now;
    struct digest then;
    if (digest_from_text(recorded, &then, NULL) != OK) {
        return false;
    }
    if (is_of_job(path)) {
        return true;
    }
    return file_digests_get(site->programs, path, &now, NULL) == OK && digest_equal(&now, &then);
}

static bool are_setups_same(const struct prepare_site *site, struct sql *sql, int64_t job)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    if (sql_query(sql, SQL_JOB_SETUPS, SQL_VALUES(sql_int64(job)), &rows, NULL) != OK) {
        return false;
    }
    bool is_same = false;
    while (sql_next(rows, &status, NULL)) {
        is_same = is_executable_same(site, sql_column_text(rows, 0), sql_column_text(rows, 1));
        if (!is_same) {
            return false;
        }
    }
    return status == OK && is_same;
}

struct candidates {
    struct candidate items[FAMILY_KINDS * FAMILY_JOBS_MAX];
    size_t count;
};

static bool has_candidate(const struct candidates *known, int64_t job)
{
    for (size_t i = 0; i < known->count; i++) {
        if (known->items[i].job == job) {
            return true;
        }
    }
    return false;
}

static enum status take_candidates(const struct prepare_site *site, struct sql *sql,
                                   struct sql_rows *rows, struct candidates *out,
                                   struct error *error)
{
    enum status status = OK;
    for (int i = 0; i < FAMILY_JOBS_MAX && sql_next(rows, &status, error); i++) {
        struct candidate *each = &out->items[out->count];
        *each = (struct candidate){
            .job = sql_column_int64(rows, 0),
            .has_items = !sql_column_is_null(rows, 1),
            .kind = (enum items_kind)sql_column_int64(rows, 2),
            .count = sql_column_int64(rows, 3),
            .is_complete = sql_column_int64(rows, 4) == JOB_SUCCEEDED,
        };
        struct text items = sql_column_text(rows, 1);
        if (items.length == DIGEST_SIZE) {
            memcpy(each->items.bytes, items.bytes, DIGEST_SIZE);
        }
        out->count += !has_candidate(out, each->job) && are_setups_same(site, sql, each->job);
    }
    return status;
}

// Those with results for whom the job is, beside everyone.
static enum status read_scoped(const struct prepare_site *site, struct sql *sql,
                               const struct job_row *row, const struct prepare_look *look,
                               struct candidates *out, struct error *error)
{
    static const enum runner_class KINDS[] = {RUNNER_GROUP, RUNNER_USER, RUNNER_SPARE};
    const struct runner_job asks = made_for_row(row);
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (!runner_may_reuse(KINDS[i], &asks, &asks)) {
            continue;
        }
        AUTO_BUFFER struct buffer scope = {0};
        AUTO_ROWS struct sql_rows *rows = NULL;
        runner_scope(KINDS[i], &asks, &scope);
        TRY(sql_query(sql, SQL_SCOPED_FAMILY_JOBS,
                      SQL_VALUES(sql_blob(row->family.bytes, DIGEST_SIZE),
                                 sql_int64((int64_t)look->state), sql_text(buffer_text(&scope))),
                      &rows, error));
        TRY(take_candidates(site, sql, rows, out, error));
    }
    return OK;
}

// Those that the cache knows, as far as the job may ask it, and those that are the same submission.
static enum status read_candidates(const struct prepare_site *site, struct sql *sql,
                                   const struct job_row *row, const struct prepare_look *look,
                                   struct candidates *out, struct error *error)
{
    const struct sql_value values[] = {sql_blob(row->family.bytes, DIGEST_SIZE),
                                       sql_int64((int64_t)look->state),
                                       sql_blob(row->origin.bytes, DIGEST_SIZE)};
    AUTO_ROWS struct sql_rows *known = NULL;
    AUTO_ROWS struct sql_rows *same = NULL;
    if (row->cache == SPEC_CACHE_USE) {
        TRY(sql_query(sql, SQL_FAMILY_JOBS, values, 2, &known, error));
        TRY(take_candidates(site, sql, known, out, error));
        TRY(read_scoped(site, sql, row, look, out, error));
    }
    if (row->has_origin) {
        TRY(sql_query(sql, SQL_ORIGIN_JOBS, values, 3, &same, error));
        TRY(take_candidates(site, sql, same, out, error));
    }
    return OK;
}

struct join {
    struct cache_plan *plan;
    int64_t job;
    bool needs_index;    // The command says {index}: the same item elsewhere is another task.
    int64_t first_index; // Of both: their families are one. The line of their task 0.
    int64_t count;       // Tasks of the job that is looked up, and of the known one.
    int64_t known_count;
};

static void found_item(void *context, int64_t wanted, int64_t known)
{
    struct join *join = context;
    wanted -= join->first_index;
    known -= join->first_index;
    bool are_tasks = wanted >= 0 && wanted < join->count && known >= 0 && known < join->known_count;
    if (are_tasks && (!join->needs_index || wanted == known)) {
        add_run(join->plan, (struct cache_run){wanted, 1, join->job, known});
    }
}

static enum status plan_candidate(const struct prepare_site *site, const struct job_row *row,
                                  const struct candidate *candidate, bool needs_index,
                                  struct cache_plan *out, struct error *error)
{
    if (row->mode == SPEC_STREAM) {
        // The items of a streamed job are in its family.
        if (candidate->is_complete && out->stream_job == 0) {
            out->stream_job = candidate->job;
        }
        return OK;
    }
    if (row->has_items != candidate->has_items || row->items_kind != candidate->kind) {
        return OK;
    }
    int64_t count = row->count < candidate->count ? row->count : candidate->count;
    if (!row->has_items || digest_equal(&row->items, &candidate->items)) {
        add_run(out, (struct cache_run){0, count, candidate->job, 0});
        return OK;
    }
    struct join join = {out,        candidate->job,  needs_index, row->first_index,
                        row->count, candidate->count};
    return items_join(site->blobs, &row->items, &candidate->items, row->items_kind == ITEMS_FILES,
                      found_item, &join, error);
}

// A plan is worked off from its end, and the newest result of a task is the one that counts.
static void put_newest_last(struct cache_plan *plan)
{
    for (size_t low = 0, high = plan->run_count; low + 1 < high; low++, high--) {
        struct cache_run run = plan->runs[low];
        plan->runs[low] = plan->runs[high - 1];
        plan->runs[high - 1] = run;
    }
}

enum status cache_look_up(const struct prepare_site *site, const struct job_row *row,
                          bool needs_index, const struct prepare_look *look, struct cache_plan *out,
                          struct error *error)
{
    struct sql *sql = NULL;
    struct candidates candidates = {.count = 0};
    if (row->cache != SPEC_CACHE_USE && !row->has_origin) {
        return OK;
    }
    TRY(store_read_begin(site->store, &sql, error));
    enum status status = read_candidates(site, sql, row, look, &candidates, error);
    store_read_end(site->store, sql);
    for (size_t i = 0; status == OK && i < candidates.count; i++) {
        status = plan_candidate(site, row, &candidates.items[i], needs_index, out, error);
    }
    if (status != OK) {
        cache_plan_done(out);
    }
    put_newest_last(out);
    return status;
}
