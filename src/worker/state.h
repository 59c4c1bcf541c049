// The inside of a worker: what its parts share. One thread.
//
//     worker.c   start, main loop, end          poll.c     the conversation with the site
//     site.c     the site reached, or away      registering.c  what this worker says of itself
//     prepare.c  a job's blobs and inputs       lease.c    which lease runs in which seat, and its items
//     seat.c     a slot at work: its events     report.c   results, until the site has them
//     gather.c   answers of streamed programs   live.c     output of tasks while they run
//     spare.c    sandboxes ready for a job      ready.c    results in parts that a poll can hold
//     entries.c  what else waits for the next poll    admission.c  not accepted yet, or refused
//     leaving.c  its end: what goes back        interrupt.c  warned tasks, and what gives way to others
//     software.c what a job brings instead of the machine's programs
//     checkpoint.c, restore.c  files of tasks, stored while they run and put back where they go on
//     supply.c   data that is not here: proof of what is, and what is fetched before a job's tasks can run
//     supply_items.c, supply_seen.c  the same for index sets over files: one file a task
//     room.c     a full disk: nothing is started
//     serving.c  whether and where others get from it what it has fetched
//     notes.c    what the site is to know of a job here: what it waits for, why it cannot run
#ifndef LODE_WORKER_STATE_H
#define LODE_WORKER_STATE_H

#include "fetch/fetch.h"
#include "fetch/serve.h"
#include "fetch/transfer.h"
#include "http/client.h"
#include "sandbox/executable.h"
#include "sandbox/items.h"
#include "sandbox/outputs.h"
#include "sandbox/proving.h"
#include "sandbox/slot.h"
#include "shelf/shelf.h"
#include "worker/entries.h"
#include "worker/ready.h"
#include "worker/worker.h"

#include "base/map.h"
#include "os/view.h"

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
    SEATS_IDLE_MAX = 8,    // Sandboxes kept for the next lease of their job.
    SUPPLY_ORDERS_MAX = 8, // Files that are fetched at once for one job, or ahead of one lease.
    NOTE_TEXT_MAX = 400,
};
#define GATHER_US INT64_C(200000)
#define REPORT_DELAY_US INT64_C(40000)
#define SITE_TIMEOUT_US INT64_C(30000000) // For an answer, behind what the site may wait for news.

enum supply_step {
    SUPPLY_NONE,
    SUPPLY_PROVING,  // Files are read whose content must tell what they are.
    SUPPLY_ROOM,     // Waits for room in the cache.
    SUPPLY_FETCHING, // Files are on their way.
    SUPPLY_READY,
};

// One file of a job's data on its way.
struct file_order {
    struct worker_job *job;
    const struct job_data *data;
    const struct job_data_file *file;
    struct fetch *fetch; // NULL: this place is free.
};

// The data of a job that this worker does not see as it was registered, until it is here.
struct supply {
    enum supply_step step;
    size_t data_at; // Where proving or ordering is.
    size_t file_at;
    struct proving proving;
    int64_t bytes_total; // To be here before tasks can run.
    int64_t bytes_done;
    int64_t files_total;
    int64_t files_done;
    struct file_order orders[SUPPLY_ORDERS_MAX];
    bool is_pinned;     // Its bytes are part of worker.pinned_bytes.
    struct error fault; // Of a fetch; status OK: none.
};

// What the site is to know of a job here.
enum note_kind {
    NOTE_NONE,
    NOTE_WAITING, // It gets its inputs.
    NOTE_UNABLE,  // This worker cannot run it: it is to run elsewhere.
};
struct note {
    enum note_kind kind;
    char text[NOTE_TEXT_MAX];
    char change[NOTE_TEXT_MAX];
    bool is_due;     // It differs from what the site knows.
    bool is_sent;    // It is in the poll under way.
    int64_t said_us; // Steady time.
};

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
    struct shelf_item *software; // What it brings; NULL: nothing.
    struct executable executable;
    bool has_executable;
    bool is_setup_told; // The site knows its setup,
    bool is_setup_sent; // or it is in the poll under way.
    bool is_dropped;    // Goes when the last lease has gone.
    int64_t look_us;    // Steady time before which the inputs are not looked at again.
    size_t lease_count;
    struct supply supply;
    struct note note;
    bool is_out_of_room; // Its note says that the disk is full.
    const struct job_data *
        item_data; // The index set's, when each file is proven or fetched ahead of its task; else NULL.
    bool is_distrusted; // What lies here under its paths is not the index set's data.
};

// A file of an index set, ahead of its task.
struct item_supply {
    int64_t index;       // Of the task.
    struct fetch *fetch; // NULL: it is here, or has failed.
    bool is_seen;        // It lies here, and is not fetched.
    bool is_doubtful;    // It does, and its content must tell whether it is the file.
    struct proving proving;
    struct file_mark mark; // Of what lies here.
    struct task_lease *lease;
    struct digest digest;
    int64_t size;
    int64_t modified_us; // As it lies here.
    char *path;          // Below the data.
    bool is_sent;        // The runner has it.
    struct error fault;
    enum runner_outcome outcome; // When it has failed.
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
    char *token; // With which its tasks may ask the site; NULL: none.
    struct worker_job *job;
    struct seat *seat;  // NULL: it waits for one, or all of its tasks have ended.
    int64_t done;       // Index after the last task that has ended.
    int64_t reported;   // Index after the last that the site has.
    struct ready ready; // Results to report.
    struct held_result *held_first;
    struct held_result *held_last;
    bool is_dead; // Cancelled, or returned: not reported; freed when nothing points to it.
    bool is_returned;
    bool is_yielding;       // It goes back as soon as its seat is interrupted,
    int64_t store_until_us; // and its last checkpoint is stored, steady time at most.
    int64_t attempt;        // Of a job with checkpoints, from 1; else 0.
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
    struct item_supply *items[SUPPLY_ORDERS_MAX]; // In order of index.
    size_t item_count;
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
    bool is_interrupted; // Its task was warned; it takes no other one.
    bool is_killed;      // That task did not heed it.
    int64_t kill_us;     // Steady time when it is.
    int64_t live_job;    // Of the task whose output is followed; -1: none
    int64_t live_index;
    struct live_file live_out;
    struct live_file live_err;
    int64_t checkpoint_us;      // Steady time when the next one is due.
    int64_t checkpoint_look_us; // When to look whether there is something new; INT64_MAX: not.
    uint64_t checkpoint_mark;   // Of the files that were stored last.
    struct error fault;
    size_t *gpus; // Of the worker's, from 0.
    size_t gpu_count;
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
    char *
        site_url; // Of the site as it was last connected to, and its key: for tasks that may ask it. NULL before.
    char *site_fingerprint;
    struct transfers *transfers;
    struct executable_cache *executable_cache;
    struct input_cache *input_cache;
    struct fetches *fetches;
    struct sharing *sharing; // NULL: it serves nobody.
    struct proofs *proofs;
    int64_t pinned_bytes; // Of inputs that jobs here hold in the cache, or are to.
    struct cgroups *cgroups;
    struct shelf_options shelf_options;
    struct shelf *shelf;        // NULL: tasks see the machine's own software only.
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
    char view[VIEW_SIZE];

    int64_t id;           // At the site; 0: not registered.
    bool sees_site_files; // It has the site's view of files: every path is the same file.
    int64_t wait_seconds;
    int64_t heartbeat_us; // How often the site is to hear of a worker with leases.
    int64_t spoke_us;     // Steady time when the last poll was sent.
    int64_t disk_bytes;
    bool is_out_of_room;           // The disk was full at the last look.
    int64_t room_look_us;          // Steady time of the next one.
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
    int64_t
        hard_end_us; // When somebody ends it, if it is not gone: by its lifetime or a batch system's warning; INT64_MAX: nobody has said so.
    int64_t ordered_end_us; // As the site has ordered it.
    bool is_stopping;       // It leaves: tasks were warned, and nothing is started.
    bool is_parting;        // It has reported all: its last word is on its way.
    int64_t kill_us;        // Steady time when those that do not heed it are killed.
    int64_t store_until_us; // Their last checkpoints are uploaded until then.
    int64_t last_us;    // The last reports wait for the site until then; 0: they are not due yet.
    struct error fault; // Why it ends.
    bool is_ended;
};

// serving.c
enum status serving_prepare(struct worker *worker,
                            struct error *error); // Listens, when the options say where.
void serving_settle(struct worker *worker);       // Else finds out where it would listen.
void serving_write(const struct worker *worker,
                   struct buffer *out); // As a member of what the site is told.
void serving_begin(void *context);      // There is something to give: listens, if it may.

// prepare.c
enum status worker_job_add(struct worker *worker, const json_t *document, struct error *error);
struct worker_job *worker_job_find(const struct worker *worker, int64_t id);
void worker_job_drop(struct worker_job *job);       // As soon as it has no leases.
void worker_job_free_unused(struct worker *worker); // Those dropped that have no leases and seats.
void worker_job_free(struct worker_job *job);
void worker_job_fail(struct worker_job *job, enum runner_outcome outcome,
                     const struct error *error);
void worker_job_finish(
    struct worker_job *job); // All that its tasks need is here, or it has failed.
// The runner's description of the job; borrows from the job and the arena.
struct runner_job worker_job_for_runner(const struct worker_job *job, const struct seat *seat,
                                        struct arena *arena);

// supply.c
// The job's blobs are here: sees to its data. worker_job_finish when that is done, at once if nothing has to be.
void supply_begin(struct worker_job *job);
void supply_end(struct worker_job *job); // It needs its data no more, or not for now.
// A lease has come: data that was given up for others is fetched again, and what this worker could not do is tried again.
void supply_renew(struct worker_job *job);
// Moves all jobs' data on. Returns microseconds until it wants to be called again; -1: when there is news only.
int64_t supplies_work(struct worker *worker, int64_t now_us);
// A site that knows the worker's leases again is told what is here for them, as other workers may want it.
void supplies_tell_again(struct worker *worker);

// supply_items.c
void supply_feed_items(
    struct task_lease *lease); // Proves or fetches ahead, and sends the runner what is here.
void supply_drop_items(struct task_lease *lease, int64_t to); // Of tasks before `to`.
// What happened to the file of the task, if it could not be had; else NULL.
const struct item_supply *supply_failed_item(const struct task_lease *lease, int64_t index);

// supply_seen.c
// Do files of the registered sizes lie here under the index set's paths? As far as its first ones tell: each is proven before its task.
bool seen_items(const struct worker_job *job, const struct job_data *data);
// Adds the file of the lease's next task; false when what lies here is another: then the job is turned.
bool seen_order(struct task_lease *lease, const struct item_line *line);
// Reads on in the file that is needed first. False: none is to be read.
bool seen_prove(struct worker *worker);
// Of a job whose data is not what lies here, once none of its tasks runs: its data is fetched from now on.
void seen_turn(struct worker_job *job);

// room.c
// Was there no room for anything at the last look, a quarter of a second ago at most?
bool room_has_run_out(struct worker *worker, int64_t now_us);
// How long until it is to be looked whether there is room again; -1: there is.
int64_t room_delay_us(const struct worker *worker, int64_t now_us);
void room_return(struct task_lease *lease); // It cannot be started, and goes back.
// A task of the lease has ended as the worker's fault. If the disk is full, the next one is not to meet that too.
void room_leave_seat(struct task_lease *lease);

// gpus.c
void gpus_take(struct seat *seat);                                   // As many as its job asks for.
const char *gpus_text(const struct seat *seat, struct arena *arena); // Their names: "0,3"
// The binds and, of a seat that has some, the devices.
struct sandbox_bind *gpus_binds(const struct seat *seat, const struct sandbox_bind *binds,
                                struct arena *arena, size_t *count);

// notes.c
void note_set(struct worker_job *job, enum note_kind kind, const char *text, const char *change);
void notes_write(struct worker *worker, struct buffer *out); // As a member of a poll.
void notes_settle(struct worker *worker);
void notes_unsend(struct worker *worker);
void notes_forget(struct worker *worker); // The site knows none of them.
bool notes_are_due(const struct worker *worker);

// software.c
enum status software_open_shelf(struct worker *worker, struct error *error);
// Starts to get what the job brings, as one more of what it fetches; nothing, when it brings nothing.
enum status software_fetch(struct worker_job *job, shelf_done done, struct error *error);
// What its tasks are to see, once it is there: the root of their sandbox, or a bind. Neither: the machine's own.
void software_plan(const struct worker_job *job, struct arena *arena, struct slot_plan *plan);
// Its part in the environment of tasks: the default of PATH, and what an image sets.
const char *software_search_path(const struct worker_job *job);
const struct tree *software_tree(const struct worker_job *job);
// Where its tasks' programs lie: for the record.
struct executable_view software_view(const struct worker_job *job);

// lease.c
struct task_lease *lease_add(struct worker *worker, int64_t id, struct worker_job *job,
                             int64_t from, int64_t to);
void lease_return(struct task_lease *lease);             // What of it has not run goes back.
bool lease_is_to_return(const struct task_lease *lease); // Has it tasks that have not ended?
void lease_cancel(struct worker *worker, int64_t id);
void leases_start(struct worker *worker); // Gives waiting leases to seats, as resources allow.
void lease_feed_items(struct task_lease *lease); // Sends as many items as the runner may have.
void lease_leave_seat(struct task_lease *lease);
void lease_end_rest(struct task_lease *lease, enum runner_outcome outcome, const char *detail);
void leases_free_done(struct worker *worker);
void lease_free(struct task_lease *lease);
void leases_return_all(struct worker *worker); // At the end: what has not run goes back.
// All but those whose checkpoint is being uploaded; true when there are such.
bool leases_return_stored(struct worker *worker);

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
// To a site that has registered the worker; as much as a site keeps.
void live_send_again(struct worker *worker);
void live_read(struct worker *worker, int64_t now_us);

// interrupt.c
// Warns the seat's task by its job's signal or SIGTERM, and kills it at `kill_us`. For the last time: an interrupted seat stays so.
void seat_interrupt(struct seat *seat, int64_t kill_us);
// The site asks for the lease, if this worker still has it: it goes back when its task is interrupted, and its checkpoint stored.
void lease_yield(struct worker *worker, int64_t id);
// Kills, gives back, and ends seats, as the time for it has come; microseconds until it wants to be called again, -1: never.
int64_t interruptions_work(struct worker *worker, int64_t now_us);
// How long a last checkpoint may take to be stored, when nobody has said when the worker is ended; and whether it still may.
int64_t interrupt_store_until_us(int64_t kill_us);
bool interrupt_can_store(const struct worker *worker, int64_t until_us, int64_t now_us);

// leaving.c
int64_t leaving_notice_us(const struct worker *worker); // From the warning to the end.
// A signal to the worker has come.
void leaving_take_signal(struct worker *worker, int number, int64_t now_us);
// Has tasks interrupted, gives back, reports and ends, as the time for it has come.
void leaving_work(struct worker *worker, int64_t now_us);
// How long it is until then, as a member of a document; nothing for INT64_MAX.
void leaving_write_left(struct buffer *out, const char *name, int64_t at_us);
int64_t leaving_delay_us(const struct worker *worker, int64_t now_us); // -1: never.
// Has the task that ended after it was interrupted reached its own end, so that it counts? Else it goes on elsewhere.
bool leaving_accepts(const struct worker_job *job, const struct runner_result *result);

// checkpoint.c
void checkpoint_begin(struct seat *seat); // A task of a job with checkpoints starts in it.
// Stores what is due; microseconds until it wants to be called again, -1: never.
int64_t checkpoints_work(struct worker *worker, int64_t now_us);
// The task has been interrupted; its folder is as it left it.
void checkpoint_take_last(struct seat *seat, const struct task_lease *lease);
// Is one of the lease's task at hand being uploaded?
bool checkpoint_is_under_way(const struct worker *worker, const struct task_lease *lease);
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
// Is it that its credential does not allow what it registers for (the job that it is for has ended, other groups)? Then it ends: asking again does
// not help.
bool admission_take_denial(struct worker *worker, const struct http_answer *answer);

// site.c
enum status site_connect(struct worker *worker, struct error *error);
// It cannot be reached, or answers what is no answer: it is left alone for a moment, and the worker ends when it was away for too long.
void site_note_absence(struct worker *worker, const struct http_answer *answer);
void site_note_return(struct worker *worker);

// registering.c
void register_start(struct worker *worker);
void register_forget(struct worker *worker); // The site does not know this worker (any more).

// poll.c
void poll_work(struct worker *worker, int64_t now_us);
// Microseconds until it has something to do by itself; -1: never.
int64_t poll_delay_us(const struct worker *worker, int64_t now_us);
bool poll_has_unreported(const struct worker *worker);
void poll_disconnect(struct worker *worker);

#endif
