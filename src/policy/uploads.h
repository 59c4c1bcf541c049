// How many bytes may come into a site's store of blobs from the workers of one principal before results name them. Pure.
//
// A lease grants what its tasks may leave. What is sent is spent from the sum of all that is granted. A task whose result is taken gives its part back, as each attempt has one
// result; what the result names has a name now, and of the rest of what was spent as much as the part strays. It may be another task's that is not reported yet: it strays no more
// once a result names it. A lease that ends otherwise keeps its grant for UPLOAD_LATE_US, as its worker may only have been away; of one that was given back unrun that
// is what checkpoints need, which may still be on their way. What was spent beyond all grants after that has strayed too: no result will name it. Strays count for a day,
// when the store may remove such bytes, and with more than upload_stray_max of them nothing more is taken.
//
// What strayed can be kept for a day more than it counts, by a report that names it and comes to nothing, and the store is swept once a day. So of a principal that may not ask
// what the store has there is at any time at most what is granted, and what may stray within some three days, beside what results and checkpoints name.
#ifndef LODE_POLICY_UPLOADS_H
#define LODE_POLICY_UPLOADS_H

#include "base/map.h"
#include "base/status.h"
#include "policy/day_sum.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    UPLOAD_TASKS_AHEAD = 8,        // Of one lease, whose outputs are here before their results.
    UPLOAD_FILES_A_TASK = 100000,  // More than one result can name.
    UPLOAD_FILE_BYTES = 4096,      // A file counts as so much at least: it takes room on the disk.
    UPLOAD_LOG_BYTES = 1 << 20,    // Of a task beside what it may have on disk.
    UPLOAD_ANSWER_BYTES = 1 << 20, // Of one item of a streamed job.
};
#define UPLOAD_LATE_US INT64_C(600000000)
#define UPLOAD_LEASE_BYTES (INT64_C(4) << 30) // A lease of many small tasks may send so much ahead.
#define UPLOAD_DISK_BYTES_MAX (INT64_C(1) << 40) // Of a task; also of one without a limit of disk.
#define UPLOAD_STRAY_BYTES (INT64_C(64) << 30)

// What counts of a job.
struct upload_job {
    int64_t number;
    int64_t disk_bytes;    // That a task may have; 0: no limit.
    int64_t checkpoint_us; // Between checkpoints; 0: it has none.
    bool is_stream;
    bool is_elsewhere; // At another site, where all tasks of a lease may run at the same time.
};

// What the workers of one principal may send, and have sent. Times are of the steady clock.
struct upload_account {
    struct map *leases; // By number; NULL: there were none.
    int64_t granted;    // Bytes, by all leases.
    int64_t spent;      // Of them; those under way among them.
    int64_t granted_files;
    int64_t spent_files;
    int64_t ended_count; // Of the leases.
    int64_t expiry_us;   // Nothing is due before.
    struct day_sum strays;
};
// Begins all zero.
void upload_account_done(struct upload_account *account);
// Is it as one that has just begun?
bool upload_account_is_empty(const struct upload_account *account);

// The lease is held from now on, with so many tasks of the job from `from` on.
void upload_lease_given(struct upload_account *account, const struct upload_job *job, int64_t lease,
                        int64_t from, int64_t tasks, int64_t now_us);
// Results of so many of its tasks were taken, which name so many bytes of what was spent and had no name. Here and below nothing happens when it is no lease of the account, or not of that job.
void upload_tasks_reported(struct upload_account *account, int64_t job, int64_t lease,
                           int64_t tasks, int64_t named_bytes, int64_t now_us);
// So many were given back unrun.
void upload_tasks_returned(struct upload_account *account, int64_t lease, int64_t tasks);
// A checkpoint of the job's task was taken, which names so many bytes in the same way. As many count as there was time for since the lease was given, and two more.
void upload_checkpoint_taken(struct upload_account *account, int64_t job, int64_t task,
                             int64_t named_bytes, int64_t now_us);
// It is held no more.
void upload_lease_ended(struct upload_account *account, int64_t lease, int64_t now_us);
// Ends grants whose time is over, and forgets strays that are a day old.
void upload_account_expire(struct upload_account *account, int64_t now_us);

int64_t upload_stray_max(const struct upload_account *account);

// Counts files that begin and bytes that came. CONFLICT: there is no lease. QUOTA: it is too much, with the limit and what was spent in bytes. Nothing is counted then.
enum status upload_spend(struct upload_account *account, int64_t files, int64_t bytes,
                         struct error *error);
// What became no blob, or was one that came before, was not spent.
void upload_give_back(struct upload_account *account, int64_t files, int64_t bytes, int64_t now_us);

#endif
