#include "policy/uploads.h"

#include "base/memory.h"

// Of one lease: the sum of a hundred thousand is a number still.
#define GRANT_MAX (INT64_C(1) << 46)

enum { LATE_AT_ONCE = 1000 };

struct lease {
    int64_t number;
    int64_t job;
    int64_t from;
    int64_t left; // Tasks that are neither reported nor given back.
    int64_t task_bytes;
    int64_t base_bytes; // Beside the tasks: checkpoints on their way, what a stream prints.
    int64_t bytes_max;  // Of all its tasks.
    int64_t interval_us;
    int64_t since_us;
    int64_t checkpoints; // That counted.
    bool is_done;        // All its tasks are reported.
    int64_t ended_us;    // INT64_MAX: it is held.
};

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t times(int64_t count, int64_t amount)
{
    int64_t product = 0;
    return __builtin_mul_overflow(count, amount, &product) ? GRANT_MAX : lesser(product, GRANT_MAX);
}

static int64_t bytes_of(const struct lease *lease)
{
    return lease->base_bytes + lesser(times(lease->left, lease->task_bytes), lease->bytes_max);
}

static int64_t files_of(const struct lease *lease)
{
    return times(lease->left + (lease->base_bytes > 0), UPLOAD_FILES_A_TASK);
}

static void add_grant(struct upload_account *account, const struct lease *lease, int sign)
{
    account->granted += sign * bytes_of(lease);
    account->granted_files += sign * files_of(lease);
    account->ended_count += lease->ended_us != INT64_MAX ? sign : 0;
}

static struct lease *find(const struct upload_account *account, int64_t number)
{
    return account->leases ? map_find_int64(account->leases, number) : NULL;
}

static void remove_lease(struct upload_account *account, struct lease *lease)
{
    add_grant(account, lease, -1);
    (void)map_set_int64(account->leases, lease->number, NULL);
    free(lease);
}

// The lease of that task, as those with checkpoints have one each.
static struct lease *find_task(const struct upload_account *account, int64_t job, int64_t from)
{
    size_t at = 0;
    struct lease *lease = NULL;
    while (account->leases && (lease = map_next(account->leases, &at)) != NULL &&
           (lease->job != job || lease->from != from)) {
    }
    return lease;
}

void upload_account_done(struct upload_account *account)
{
    size_t at = 0;
    for (struct lease *lease;
         account->leases && (lease = map_next(account->leases, &at)) != NULL;) {
        free(lease);
    }
    map_free(account->leases);
    *account = (struct upload_account){0};
}

bool upload_account_is_empty(const struct upload_account *account)
{
    return (!account->leases || map_count(account->leases) == 0) && account->spent == 0 &&
           account->spent_files == 0 && day_sum_total(&account->strays) == 0;
}

static struct lease *new_lease(const struct upload_job *job)
{
    struct lease *lease = NEW(struct lease);
    bool has_limit = job->disk_bytes > 0 && job->disk_bytes < UPLOAD_DISK_BYTES_MAX;
    int64_t disk_bytes = has_limit ? job->disk_bytes : UPLOAD_DISK_BYTES_MAX;
    // What it prints and what it leaves are each within the limit.
    lease->task_bytes =
        job->is_stream ? UPLOAD_ANSWER_BYTES + 1 : 2 * disk_bytes + UPLOAD_LOG_BYTES;
    lease->base_bytes = job->is_stream           ? disk_bytes + UPLOAD_LOG_BYTES
                        : job->checkpoint_us > 0 ? 2 * disk_bytes
                                                 : 0;
    lease->bytes_max = job->is_elsewhere ? GRANT_MAX
                                         : greater(times(UPLOAD_TASKS_AHEAD, lease->task_bytes),
                                                   UPLOAD_LEASE_BYTES);
    lease->job = job->number;
    lease->interval_us = job->checkpoint_us;
    return lease;
}

void upload_lease_given(struct upload_account *account, const struct upload_job *job, int64_t lease,
                        int64_t from, int64_t tasks, int64_t now_us)
{
    account->leases = account->leases ? account->leases : map_new();
    struct lease *known = find(account, lease);
    if (!known && account->ended_count > 0) {
        // The same task once more: it may send no more for that.
        known = find_task(account, job->number, from);
        known = known && known->ended_us == INT64_MAX ? NULL : known;
    }
    if (known) {
        remove_lease(account, known);
    }
    struct lease *own = new_lease(job);
    own->number = lease;
    own->from = from;
    own->left = tasks;
    own->since_us = now_us;
    own->ended_us = INT64_MAX;
    (void)map_set_int64(account->leases, lease, own);
    add_grant(account, own, 1);
}

// Takes so many off what is left, if there are so many; returns how many.
static int64_t take_tasks(struct upload_account *account, struct lease *lease, int64_t tasks)
{
    int64_t count = lesser(greater(tasks, 0), lease->left);
    add_grant(account, lease, -1);
    lease->left -= count;
    add_grant(account, lease, 1);
    return count;
}

// Gives a part of what was spent back, of which so many bytes stray no more.
static void give_back(struct upload_account *account, int64_t files, int64_t part,
                      int64_t named_bytes, int64_t now_us)
{
    int64_t bytes = lesser(part, account->spent);
    account->spent_files -= lesser(files, account->spent_files);
    account->spent -= bytes;
    day_sum_add(&account->strays, bytes - named_bytes, now_us);
}

void upload_give_back(struct upload_account *account, int64_t files, int64_t bytes, int64_t now_us)
{
    give_back(account, files, bytes, bytes, now_us);
}

void upload_tasks_reported(struct upload_account *account, int64_t job, int64_t lease,
                           int64_t tasks, int64_t named_bytes, int64_t now_us)
{
    struct lease *known = find(account, lease);
    if (known && known->job == job) {
        int64_t count = take_tasks(account, known, tasks);
        give_back(account, times(count, UPLOAD_FILES_A_TASK), times(count, known->task_bytes),
                  named_bytes, now_us);
        known->is_done = known->left == 0;
    }
}

void upload_tasks_returned(struct upload_account *account, int64_t lease, int64_t tasks)
{
    struct lease *known = find(account, lease);
    if (known) {
        (void)take_tasks(account, known, tasks);
    }
}

void upload_checkpoint_taken(struct upload_account *account, int64_t job, int64_t task,
                             int64_t named_bytes, int64_t now_us)
{
    struct lease *known = find_task(account, job, task);
    if (known && known->interval_us > 0 &&
        known->checkpoints < (now_us - known->since_us) / known->interval_us + 2) {
        known->checkpoints++;
        give_back(account, UPLOAD_FILES_A_TASK, known->base_bytes / 2, named_bytes, now_us);
    }
}

void upload_lease_ended(struct upload_account *account, int64_t lease, int64_t now_us)
{
    struct lease *known = find(account, lease);
    if (known && (known->is_done || (known->left == 0 && known->interval_us == 0))) {
        remove_lease(account, known);
        account->expiry_us = 0; // What was sent too much strays.
    } else if (known && known->ended_us == INT64_MAX) {
        known->ended_us = now_us;
        account->ended_count++;
        account->expiry_us = lesser(account->expiry_us, now_us + UPLOAD_LATE_US);
    }
}

// Returns how many there were, at most LATE_AT_ONCE.
static size_t remove_late(struct upload_account *account, int64_t now_us)
{
    struct lease *late[LATE_AT_ONCE];
    size_t count = 0;
    size_t at = 0;
    for (struct lease *lease;
         count < LATE_AT_ONCE && (lease = map_next(account->leases, &at)) != NULL;) {
        if (lease->ended_us != INT64_MAX && now_us - lease->ended_us >= UPLOAD_LATE_US) {
            late[count++] = lease;
        }
    }
    for (size_t i = 0; i < count; i++) {
        remove_lease(account, late[i]);
    }
    return count;
}

static int64_t next_expiry_us(const struct upload_account *account, int64_t now_us)
{
    int64_t next_us = (now_us / DAY_SUM_HOUR_US + 1) * DAY_SUM_HOUR_US;
    size_t at = 0;
    for (const struct lease *lease;
         account->ended_count > 0 && (lease = map_next(account->leases, &at)) != NULL;) {
        if (lease->ended_us != INT64_MAX) {
            next_us = lesser(next_us, lease->ended_us + UPLOAD_LATE_US);
        }
    }
    return next_us;
}

void upload_account_expire(struct upload_account *account, int64_t now_us)
{
    if (now_us < account->expiry_us) {
        return;
    }
    while (account->ended_count > 0 && remove_late(account, now_us) == LATE_AT_ONCE) {
    }
    int64_t excess = greater(account->spent - account->granted, 0);
    day_sum_add(&account->strays, excess, now_us);
    account->spent -= excess;
    account->spent_files = lesser(account->spent_files, account->granted_files);
    account->expiry_us = next_expiry_us(account, now_us);
}

int64_t upload_stray_max(const struct upload_account *account)
{
    return greater(UPLOAD_STRAY_BYTES, times(4, account->granted));
}

static enum status refuse_unleased(struct error *error)
{
    (void)error_set(error, CONFLICT,
                    "a worker may send files while it holds a lease, and this one holds none");
    error_fix(error, "poll, saying the leases that are held, and send it again if one of them "
                     "was not cancelled");
    return CONFLICT;
}

static enum status refuse_strays(const struct upload_account *account, struct error *error)
{
    (void)error_set(error, QUOTA,
                    "the worker has sent %lld bytes within a day that no result has named, more "
                    "than the %lld that may stray",
                    (long long)day_sum_total(&account->strays),
                    (long long)upload_stray_max(account));
    error_fix(error, "use another worker: these bytes count for a day. A worker that loses its "
                     "leases so often is unwell; lode workers shows it");
    return QUOTA;
}

enum status upload_spend(struct upload_account *account, int64_t files, int64_t bytes,
                         struct error *error)
{
    if (!account->leases || map_count(account->leases) == 0) {
        return refuse_unleased(error);
    }
    if (day_sum_total(&account->strays) > upload_stray_max(account)) {
        return refuse_strays(account, error);
    }
    if (bytes > account->granted - account->spent ||
        files > account->granted_files - account->spent_files) {
        (void)error_set(error, QUOTA,
                        "the worker's leases let it send %lld bytes in %lld files; it has sent "
                        "%lld bytes in %lld files, and this is more",
                        (long long)account->granted, (long long)account->granted_files,
                        (long long)account->spent, (long long)account->spent_files);
        error_fix(error, "a task may leave and print as much as it may have on disk: submit the "
                         "job with more disk space (--disk)");
        return QUOTA;
    }
    account->spent += bytes;
    account->spent_files += files;
    return OK;
}
