// The inside of lode-runner: the first process of a sandbox, which starts the tasks of one job one after another.
//
// Everything here runs in one thread. A task is started with descriptors 0 to 2 only and in a process group of its own;
// when it has ended, whatever it left behind (processes, files, shared memory) is removed before the next one starts.
#ifndef LODE_PROGRAMS_RUNNER_RUNNER_H
#define LODE_PROGRAMS_RUNNER_RUNNER_H

#include "sandbox/runner_protocol.h"

#include <sys/resource.h>
#include <sys/types.h>

enum { FOLDERS_MAX = 3, RANGES_MAX = 256 };
#define MIB 1048576.0
#define KILL_GRACE_US INT64_C(5000000)
#define RUNNING_NOTE_US INT64_C(100000)
#define DISK_LOOK_US INT64_C(1000000)
#define MEMORY_LOOK_US INT64_C(50000)

// A file that takes what tasks print; always empty when a task starts.
struct log_file {
    const char *prefix; // "out" or "err"
    int fd;
    int64_t number;
};

// A range of tasks to run, with the item lines that came for it and are not used yet.
struct queued_range {
    int64_t lease;
    int64_t next;
    int64_t to;
    char *token;     // "LODE_TOKEN=..."; NULL: its tasks have none.
    int64_t attempt; // 0: tasks are not told.
    int64_t is_restored;
    struct buffer items;
    int64_t
        taken; // Streamed: tasks from `next` on that the program was given and has not answered.
    size_t items_at; // Streamed: where the item behind those starts in `items`.
    bool is_cancelled;
};

// How often the kernel has enforced a limit, from a file of the cgroup's; /dev/null where there is none.
struct event_count {
    const char *key; // The line's first word.
    int fd;
    int64_t seen;
};

// A folder that is emptied after each task.
struct folder {
    const char *path;
    int fd;
};

struct runner {
    int control_fd;
    int log_folder_fd;
    int signal_fd; // Readable when a child has ended.
    int null_fd;
    bool is_first_process; // Of its own process namespace: signals reach everything below it.
    struct folder folders[FOLDERS_MAX]; // The first is the working folder.
    size_t folder_count;
    struct log_file out;
    struct log_file err;
    struct event_count memory_kills;
    struct event_count pids_refusals;

    struct buffer incoming;
    struct buffer job_frame; // The texts of `job` live here.
    struct runner_job job;
    struct command *command;
    bool has_job;
    struct queued_range ranges[RANGES_MAX]; // A ring.
    size_t range_first;
    size_t range_count;
    char *next_token; // Of the range that comes next; NULL: it has none.

    struct buffer outgoing; // Ended frames, and the open RESULTS frame when batch_count > 0.
    size_t batch_begin;
    int64_t batch_count;
    int64_t batch_since_us; // Steady time of the oldest result that is not sent.
    bool may_continue;      // CONTINUE has come since the last held result.
    int64_t signal;         // That the running task is to get; 0: none.
    bool is_leaving;        // Nothing is started any more.
};

// control.c: the conversation with the worker.

// Handles what the worker has sent; waits up to `timeout_us` for more (-1: for ever). Ends the process when it is gone.
void control_wait(struct runner *runner, int64_t timeout_us);
// Reads and handles what is there now.
void control_read(struct runner *runner);
// Sends everything that is not sent yet.
void control_flush(struct runner *runner);
void control_add_result(struct runner *runner, const struct runner_result *result);
void control_send_running(struct runner *runner, int64_t lease, int64_t index);
void control_send_cancelled(struct runner *runner, int64_t lease);
void control_send_answers(struct runner *runner, const struct runner_answers *answers);
// How long until the oldest result must be sent; -1 when there is none.
int64_t control_flush_delay_us(const struct runner *runner);

struct queued_range *range_first(struct runner *runner);
struct queued_range *range_at(struct runner *runner, size_t at);
void range_drop_first(struct runner *runner);
// The item line at the front of the range, without its line feed; false when it has not come yet. NULL-safe for counts.
bool range_peek_item(const struct runner *runner, const struct queued_range *range,
                     struct text *item);
void range_use_item(const struct runner *runner, struct queued_range *range);

// command.c: the job's command line and environment for one task.

struct command;
struct command *command_new(const struct runner_job *job);
void command_free(struct command *command);
// Fills in what depends on the task. `item` is the item line without its line feed. INVALID: it cannot be an argument.
enum status command_prepare(struct command *command, int64_t index, struct text item,
                            struct error *error);
// Has the task told what is known of its range: its token, its attempt, and that it goes on from a checkpoint. Borrows from the range.
void command_tell_range(struct command *command, const struct queued_range *range);
char *const *command_arguments(const struct command *command);
char *const *command_environment(const struct command *command);
// The program to execute: found along the job's PATH. NOT_FOUND or DENIED.
enum status command_program(struct command *command, const char **out, struct error *error);

// input.c: files named by items.

// A line "<digest> <size> <modified_us>[.<inode>] <relative path>" of an items list of files.
struct item_file {
    int64_t size;
    int64_t modified_us;
    struct text path;
};
enum status item_file_parse(struct text line, struct item_file *out, struct error *error);
// Is the file there, as it was registered? INVALID names it and what changed.
enum status item_file_check(const struct runner_job *job, struct text line, struct error *error);

// child.c: children.

// Starts a program with the three descriptors, in a new process group; 0 or an errno.
int child_start(const char *program, char *const *arguments, char *const *environment,
                const int descriptors[3], pid_t *child);
// Sends a signal to the task's processes: all there are, when this is the first process of a sandbox.
void child_signal(const struct runner *runner, pid_t child, int signal_number);
// Sends a signal to those of the task's processes that catch it: it ends none that does not know of it.
void child_ask(const struct runner *runner, pid_t child, int signal_number);
// Waits for no longer than it takes: false while the child still runs. Reaps strangers that were left to this process.
bool child_ended(pid_t child, int *status, struct rusage *usage);
// Kills and reaps what the last task left running.
void child_end_all(const struct runner *runner, pid_t child);
// Removes System V shared memory, semaphores and message queues that the last task left.
void shared_remove(const struct runner *runner);

// events.c: limits that the kernel keeps.

// For a task that failed by itself: was it for a limit that the kernel has enforced since the last call? Then its outcome is that.
// Called for each task, so that none is blamed for what happened in another.
void events_judge(struct runner *runner, struct runner_result *result);

// memory.c: the limit of memory where there is no cgroup that keeps it.

// Bytes that the task's processes hold in memory; files that they map are left out, and what they share since a fork counts
// once where it matters: when it would be more than the limit otherwise. `next_us` becomes the steady time of the next look,
// MEMORY_LOOK_US from now, or later when this one took long.
int64_t memory_used(const struct runner *runner, pid_t child, int64_t *next_us);
// The reason of a task that held more than its job's limit.
void memory_describe(const struct runner *runner, int64_t peak, char detail[RUNNER_DETAIL_MAX]);

// folder.c: what tasks leave in their folders.

enum status folder_open(const char *path, struct folder *out, struct error *error);
// Removes everything but the kept names (of the first folder).
void folder_empty(const struct folder *folder, const struct text *kept, int64_t kept_count);
// Bytes on disk below the folder, without crossing mounts; 0 for an empty one. Stops counting above `enough`.
int64_t folder_bytes(const struct folder *folder, int64_t enough);
void folders_empty(const struct runner *runner);
int64_t folders_bytes(const struct runner *runner, int64_t enough);

// output.c: what tasks print.

enum status log_file_open(const struct runner *runner, struct log_file *file, struct error *error);
// Takes what was printed: small content goes to `keep` and the file is emptied; for larger content (or `is_known`: the
// worker has been told of the file) the file is left to the worker and a new one is opened.
void log_file_take(const struct runner *runner, struct log_file *file, bool is_known,
                   struct buffer *keep, struct runner_output *out);

// task.c and stream.c: run what is at the front of the queue.

void task_run_next(struct runner *runner);
void stream_run(struct runner *runner);

#endif
