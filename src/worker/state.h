// The inside of a worker: what its parts share. One thread.
//
//     worker.c   start, main loop, end          poll.c     the conversation with the site
//     prepare.c  a job's blobs and inputs       lease.c    which lease runs in which seat, and its items
//     seat.c     a slot at work: its events     report.c   results, until the site has them
//     gather.c   answers of streamed programs   live.c     output of tasks while they run
//     spare.c    sandboxes ready for a job      ready.c    results in parts that a poll can hold
//     entries.c  what else waits for the next poll    admission.c  not accepted yet, or refused
//     leaving.c  its end: warned tasks, what goes back
//     checkpoint.c, restore.c  files of tasks, stored while they run and put back where they go on
#ifndef LODE_WORKER_STATE_H
#define LODE_WORKER_STATE_H

#include "http/client.h"
#include "worker/entries.h"
#include "worker/executable.h"
#include "worker/items.h"
#include "worker/outputs.h"
#include "worker/ready.h"
#include "worker/slot.h"
#include "worker/transfer.h"
#include "worker/worker.h"

#include "base/map.h"

enum {
    SEATS_MAX = 1024,
    SEAT_LEASES_MAX = 2,   // One that runs and, for streamed programs, one ahead.
    ITEM_CHUNK = 64 << 10, // Bytes of items sent at once.
    ITEM_CHUNKS_MAX = RUNNER_ITEMS_AHEAD / ITEM_CHUNK,
    GATHER_BYTES = 1 << 20, // Answers in one blob, about.
    GATHER_COUNT = 50000,
    READY_MAX = 2 << 20,  // Bytes of results that wait to be reported before runners are held up.
    HELD_MAX = 1000,      // Results that wait for their uploads before runners are held up.
    REPORT_MAX = 2 << 20, // Bytes of results in one poll, but for the last lease's part.
    REPORT_ENTRIES_MAX = 10000, // The site's limit.
    LOGS_MAX = 512 << 10,
    CHECKPOINT_FILES_MAX = 100, // Of one task: the site's limit.
    SEAT_PIDS_MAX = 4096,       // Processes and threads of one task.
    SPARES_MIN = 2,             // Sandboxes ready for whatever job comes.
    SPARES_MAX = 8,
    SEATS_IDLE_MAX = 8, // Sandboxes kept for the next lease of their job.
};
#define GATHER_US INT64_C(200000)
#define REPORT_DELAY_US INT64_C(40000)

// A job that the site has told of.
struct worker_job {
    struct worker *worker;
    struct job *spec;
    char *folder; // Its fetched blobs: files/<name>, items.
    struct arena arena;
    bool is_prepared;   // Everything is fetched, or it failed for good.
    size_t fetching;    // Downloads under way.
    struct error fault; // Status OK: its tasks can run.
    enum runner_outcome fault_outcome;
    struct item_list *items;
    struct executable executable;
    bool has_executable;
    bool is_setup_told; // The site knows its setup,
    bool is_setup_sent; // or it is in the poll under way.
    bool is_dropped;    // Goes when the last lease has gone.
    int64_t look_us;    // Steady time before which the inputs are not looked at again.
    size_t lease_count;
};

// The answers of a streamed lease that are not uploaded yet.
struct gather {
    struct buffer lines;
    struct buffer errors;
    int64_t from;
    int64_t to;
    int64_t started_us;
    int64_t wall_us;
    int64_t cpu_us;
    int64_t peak_bytes;
    int64_t since_us; // Steady time of the first.
};

// A result that waits for uploads, or for one before it.
struct held_result {
    struct held_result *next;
    struct task_lease *lease;
    size_t uploads;              // Under way.
    struct runner_result result; // Its texts are in the fields below.
    char *out;
    char *err;
    char *detail;
    struct held_output *outputs; // report.c
    size_t output_count;
    struct buffer entry; // Of a streamed lease: the whole entry.
    int64_t entry_to;
    struct arena arena;
};

struct restore;
struct checkpoint;

struct task_lease {
    int64_t id;
    int64_t from;
    int64_t to;
    struct worker_job *job;
    struct seat *seat;  // NULL: it waits for one, or all of its tasks have ended.
    int64_t done;       // Index after the last task that has ended.
    int64_t reported;   // Index after the last that the site has.
    struct ready ready; // Results to report.
    struct held_result *held_first;
    struct held_result *held_last;
    bool is_dead; // Cancelled, or returned: not reported; freed when nothing points to it.
    bool is_returned;
    int64_t attempt; // Of a job with checkpoints, from 1; else 0.
    struct restore
        *restore; // The checkpoint that it goes on from; NULL: it begins anew, or it was put there.
    bool is_restored;
    bool is_unfed; // Its items cannot be read: it ends when the runner has let go of it.
    struct items_cursor cursor;
    int64_t items_next; // Index of the next item to send to the runner.
    int64_t
        chunks[ITEM_CHUNKS_MAX]; // For each that is under way: index after its last item. A ring.
    size_t chunk_first;
    size_t chunk_count;
    struct gather gather;
};

struct live_file {
    int fd;
    int64_t offset;
};

// A slot at work for a job.
struct seat {
    struct worker *worker;
    struct worker_job *job;
    struct slot *slot;
    int64_t number;
    struct task_lease *leases[SEAT_LEASES_MAX];
    size_t lease_count;
    bool is_proven; // It has reported something.
    bool is_broken;
    int64_t live_job; // Of the task whose output is followed; -1: none
    int64_t live_index;
    struct live_file live_out;
    struct live_file live_err;
    int64_t checkpoint_us;      // Steady time when the next one is due.
    int64_t checkpoint_look_us; // When to look whether there is something new; INT64_MAX: not.
    uint64_t checkpoint_mark;   // Of the files that were stored last.
    struct error fault;
};

// A sandbox without a job.
struct spare {
    struct slot *slot;
    int64_t number; // Of its seat to be.
};

struct worker {
    const struct worker_options *options;
    struct arena arena;
    struct slot_place place;
    struct http_client *client;
    struct transfers *transfers;
    struct executable_cache *executable_cache;
    struct cgroups *cgroups;
    struct map *jobs;           // By id.
    struct task_lease **leases; // In order of arrival.
    size_t lease_count;
    size_t lease_capacity;
    struct seat **seats;
    size_t seat_count;
    int64_t seat_last;     // Number of the newest.
    bool has_broken;       // One of them is broken and not settled yet.
    struct seat **retired; // Whose processes are ending.
    size_t retired_count;
    char *jobs_folder;
    char host[256];

    int64_t id; // At the site; 0: not registered.
    int64_t wait_seconds;
    int64_t heartbeat_us; // How often the site is to hear of a worker with leases.
    int64_t spoke_us;     // Steady time when the last poll was sent.
    int64_t disk_bytes;
    struct http_call *registering; // NULL: no such call is under way.
    struct http_call *waiting;
    bool
        is_new; // Registered, and what it has from before has not been reported: else the site might cancel what has ended.
    struct http_call *reporting;
    bool needs_reconnect;
    int64_t retry_us;      // Steady time before which the site is left alone.
    int64_t pause_us;      // Before the next try, when the site is away.
    int64_t away_since_us; // Steady time; 0: it is there.
    bool is_pending;       // It was said that the site has not accepted this worker yet.
    struct entries logs;   // Live output.
    int64_t live_next_us;
    struct entries returned; // Parts of leases.
    struct entries checkpoints;
    struct checkpoint *checkpoints_first; // That are being uploaded.
    int refusals;                         // Of reports, one after another.
    size_t held_count;
    struct spare spares[SPARES_MAX];
    size_t spare_count;
    int64_t spare_us; // Steady time before which none is started.
    int64_t
        ready_since_us; // Steady time since when something waits to be reported; 0: nothing does.
    bool is_urgent;     // What waits is reported at once.
    int64_t trim_us;    // Steady time when memory is given back; INT64_MAX: that is done.
    bool is_draining;   // The site wants no more of this worker.
    int64_t
        own_end_us; // When it is to be gone, steady time: by its lifetime or a signal; INT64_MAX: it stays.
    int64_t ordered_end_us; // As the site has ordered it.
    bool is_stopping;       // It leaves: tasks were warned, and nothing is started.
    bool is_killing;        // Those that did not heed that were killed.
    int64_t kill_us;        // Steady time when they are.
    struct error fault;     // Why it ends.
    bool is_ended;
};

// prepare.c
enum status worker_job_add(struct worker *worker, const json_t *document, struct error *error);
struct worker_job *worker_job_find(const struct worker *worker, int64_t id);
void worker_job_drop(struct worker_job *job);       // As soon as it has no leases.
void worker_job_free_unused(struct worker *worker); // Those dropped that have no leases and seats.
void worker_job_free(struct worker_job *job);
// The runner's description of the job; borrows from the job and the arena.
struct runner_job worker_job_for_runner(const struct worker_job *job, const struct seat *seat,
                                        struct arena *arena);

// lease.c
struct task_lease *lease_add(struct worker *worker, int64_t id, struct worker_job *job,
                             int64_t from, int64_t to);
void lease_cancel(struct worker *worker, int64_t id);
void leases_start(struct worker *worker); // Gives waiting leases to seats, as resources allow.
void lease_feed_items(struct task_lease *lease); // Sends as many items as the runner may have.
void lease_leave_seat(struct task_lease *lease);
void lease_end_rest(struct task_lease *lease, enum runner_outcome outcome, const char *detail);
void leases_free_done(struct worker *worker);
void lease_free(struct task_lease *lease);
void leases_return_all(struct worker *worker); // At the end: what has not run goes back.

// seat.c
struct seat *seat_start(struct worker *worker, struct worker_job *job, struct error *error);
void seat_free(struct seat *seat);
void seat_serve(struct seat *seat, short revents);
void seats_remove_broken(struct worker *worker);
// Idle seats of the job; for NULL: those beyond SEATS_IDLE_MAX.
void seats_remove_idle(struct worker *worker, const struct worker_job *of_job);
// Frees what has ended of those that were removed; `is_waiting`: waits for all of them.
void seats_free_retired(struct worker *worker, bool is_waiting);

// report.c
void report_result(struct task_lease *lease, const struct runner_result *result,
                   struct outputs *outputs, struct seat *seat);
void report_write_task(struct buffer *out, const struct runner_result *result, struct text printed,
                       struct text errors, struct text outputs, struct text detail);
// The site has refused what is under way of the lease: these tasks are reported as not run, by this worker's fault.
void report_refused(struct task_lease *lease, const char *detail);
// A new result at the end of the lease's queue of those that wait.
struct held_result *held_add(struct task_lease *lease);
// Its uploads are through when `uploads` is 0: moves what is complete to `ready`.
void held_settle(struct task_lease *lease);
void held_free(struct held_result *held);
void report_mark(struct worker *worker, bool is_urgent);

// gather.c
void gather_answers(struct task_lease *lease, const struct runner_answers *answers);
void gather_flush(struct task_lease *lease);
void gathers_flush_old(struct worker *worker, int64_t now_us);

// spare.c
void spares_refill(struct worker *worker, int64_t now_us); // When the worker is idle.
// NULL: there is none. It is the caller's, with the number of its seat.
struct slot *spare_take(struct worker *worker, int64_t *number);
void spares_free(struct worker *worker);

// live.c
void live_start(struct seat *seat, int64_t index, int64_t out_file, int64_t err_file);
void live_stop(struct seat *seat);
void live_read(struct worker *worker, int64_t now_us);

// leaving.c
int64_t leaving_notice_us(const struct worker *worker); // From the warning to the end.
// A signal to the worker has come.
void leaving_take_signal(struct worker *worker, int number, int64_t now_us);
// Warns tasks, ends them, gives back, as the time for it has come.
void leaving_work(struct worker *worker, int64_t now_us);
int64_t leaving_delay_us(const struct worker *worker, int64_t now_us); // -1: never.
// Has the task that ended as the worker leaves reached its own end, so that it counts? Else it goes on elsewhere.
bool leaving_accepts(const struct worker_job *job, const struct runner_result *result);

// checkpoint.c
void checkpoint_begin(struct seat *seat); // A task of a job with checkpoints starts in it.
// Stores what is due; microseconds until it wants to be called again, -1: never.
int64_t checkpoints_work(struct worker *worker, int64_t now_us);
// The task has been interrupted; its folder is as it left it.
void checkpoint_take_last(struct seat *seat, const struct task_lease *lease);
bool checkpoints_are_under_way(const struct worker *worker);
void checkpoints_free(struct worker *worker);

// restore.c
// Starts to fetch a checkpoint's files, [[path, digest, size, mode], ...]. The caller's.
struct restore *restore_start(struct worker *worker, const struct worker_job *job, int64_t lease,
                              const json_t *files);
bool restore_is_ready(const struct restore *restore); // Or it has failed.
// Moves the files into the folder.
enum status restore_put(const struct restore *restore, int work_fd, struct error *error);
void restore_free(struct restore *restore);

// admission.c
// Did the site answer that it does not take this worker, by its key? Then it is asked again in a moment (pending), or the worker ends
// (refused, or its name has another key): true. False for all other answers.
bool admission_take_refusal(struct worker *worker, const struct http_answer *answer);

// poll.c
void poll_work(struct worker *worker, int64_t now_us);
// Microseconds until it has something to do by itself; -1: never.
int64_t poll_delay_us(const struct worker *worker, int64_t now_us);
bool poll_has_unreported(const struct worker *worker);
void poll_disconnect(struct worker *worker);

#endif
