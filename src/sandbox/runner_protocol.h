// The words that a worker and its lode-runner exchange over a pair of stream sockets.
//
// A frame is a header {uint32 length, uint32 kind} and `length` bytes of payload, in the machine's byte order: both ends
// run on one machine. A payload is a sequence of 64-bit integers and of texts (uint32 length and bytes), as listed below.
//
//     worker -> runner   JOB        once, first: what to run and how (struct runner_job)
//                        RANGE      lease, from, to, attempt, is_restored: run these tasks after what was sent before. `attempt` above 0 is told
//                                   to the task, and whether a checkpoint lies in its folder
//                        TOKEN      text: the LODE_TOKEN of the tasks of the next RANGE
//                        ITEMS      lease, lines: the next item lines of that range, each ended by a line feed
//                        CONTINUE   go on after a result that was held
//                        CANCEL     lease: stop its running task, forget the rest; answered by CANCELLED
//                        SIGNAL     number, is_leaving: send the running task this signal. When leaving, no other task is started from then on:
//                                   the running one is reported with `is_warned`, and what was not begun is answered by CANCELLED
//     runner -> worker   READY      version: the sandbox is up
//                        RESULTS    any number of ended tasks (struct runner_result), in order
//                        RUNNING    lease, index, stdout file, stderr file: this task runs for a while; its output is there
//                        ANSWERS    a streamed program's answers for [from, to) (struct runner_answers)
//                        CANCELLED  lease: nothing of it will be reported any more
//
// The runner gathers results: it sends them when there are RUNNER_BATCH_MAX, when the oldest waits RUNNER_BATCH_US, or
// when it has nothing else to do. The worker sends items ahead of the results by at most RUNNER_ITEMS_AHEAD bytes (but
// at least one item). What tasks print goes to numbered files in the log folder, "out-<n>" and "err-<n>": small content
// comes inside the result, larger as the file's number; the file is then the worker's.
#ifndef LODE_SANDBOX_RUNNER_PROTOCOL_H
#define LODE_SANDBOX_RUNNER_PROTOCOL_H

#include "base/buffer.h"

enum {
    RUNNER_VERSION = 4,
    RUNNER_FRAME_MAX = 8 << 20,
    RUNNER_BATCH_MAX = 64,
    RUNNER_BATCH_US = 20000,
    RUNNER_ITEMS_AHEAD = 512 << 10,
    RUNNER_ITEM_MAX = 1 << 20, // Bytes of one item or one answer.
    RUNNER_INLINE_MAX = 16384, // Bytes of output that travel inside a result.
    RUNNER_DETAIL_MAX = 400,
    RUNNER_STRINGS_MAX = 8192, // Arguments, variables or names in a job.
};

enum runner_kind {
    RUNNER_JOB = 1,
    RUNNER_RANGE,
    RUNNER_ITEMS,
    RUNNER_CONTINUE,
    RUNNER_CANCEL,
    RUNNER_SIGNAL,
    RUNNER_TOKEN,
    RUNNER_READY,
    RUNNER_RESULTS,
    RUNNER_RUNNING,
    RUNNER_ANSWERS,
    RUNNER_CANCELLED,
    RUNNER_KIND_END,
};

// The outcomes of docs/protocols/worker.md.
enum runner_outcome {
    OUTCOME_EXITED,
    OUTCOME_SIGNAL,
    OUTCOME_WALLTIME,
    OUTCOME_MEMORY,
    OUTCOME_DISK,
    OUTCOME_INPUT,
    OUTCOME_WORKER,
    OUTCOME_PIDS,
    OUTCOME_END,
};

enum runner_items { ITEMS_COUNT, ITEMS_LINES, ITEMS_FILES };

// When the runner waits for CONTINUE after a task, so that the worker can look at what it left behind.
enum runner_hold { HOLD_SUCCESS = 1, HOLD_FAILURE = 2, HOLD_WARNED = 4 };
enum { HOLD_ALL = HOLD_SUCCESS | HOLD_FAILURE | HOLD_WARNED };

struct runner_job {
    int64_t is_stream;
    int64_t items;       // enum runner_items
    int64_t holds;       // Set of enum runner_hold.
    int64_t first_index; // Task i has index first_index + i in words of the command.
    int64_t walltime_us;
    int64_t disk_bytes;   // 0: no limit
    int64_t memory_bytes; // Of the task, kept by the runner where there is no cgroup; 0: no limit.
    int64_t pids_rlimit;  // Processes, where there is no cgroup; 0: no limit
    int64_t
        keeps_beneath; // Items that are files must not leave the data folder through symbolic links.
    struct text data_folder; // Of items that are files: where their relative paths start.
    struct text *arguments;  // Templates.
    int64_t argument_count;
    struct text *environment; // "NAME=value"
    int64_t environment_count;
    struct text
        *kept; // Names in the working folder that belong to the job: mount points, left alone.
    int64_t kept_count;
};

// What a task printed: nothing (size 0), the bytes themselves, or the file with this number.
struct runner_output {
    int64_t size;
    int64_t file; // -1: inline
    struct text bytes;
};

struct runner_result {
    int64_t lease;
    int64_t index;
    int64_t outcome; // enum runner_outcome
    int64_t code;
    int64_t started_us; // Since 1970.
    int64_t wall_us;
    int64_t cpu_us;
    int64_t peak_bytes;
    int64_t is_held;   // The runner waits for CONTINUE.
    int64_t is_warned; // It had been told before that the worker leaves.
    struct runner_output out;
    struct runner_output err;
    struct text detail; // For people; empty: nothing to say.
};

struct runner_answers {
    int64_t lease;
    int64_t from;
    int64_t to;
    int64_t started_us;
    int64_t wall_us;
    int64_t cpu_us;
    int64_t peak_bytes;
    struct text
        errors; // The newest of what the program wrote to its standard error since the last message.
    struct text lines; // One line for each index, each ended by a line feed.
};

struct runner_frame {
    enum runner_kind kind;
    struct text payload; // Borrowed from the bytes that were given.
};

// Takes the first frame of `bytes`: *used is its whole length, or 0 when it is not complete yet. CORRUPT: the length or
// the kind cannot be.
enum status runner_take_frame(struct text bytes, struct runner_frame *frame, size_t *used,
                              struct error *error);

// Starts a frame at the end of the buffer, and ends it: what was appended between becomes its payload.
size_t runner_begin_frame(struct buffer *buffer, enum runner_kind kind);
void runner_end_frame(struct buffer *buffer, size_t begin);

void runner_put_int64(struct buffer *buffer, int64_t value);
void runner_put_text(struct buffer *buffer, struct text text);
void runner_put_job(struct buffer *buffer, const struct runner_job *job);
void runner_put_result(struct buffer *buffer, const struct runner_result *result);
void runner_put_answers(struct buffer *buffer, const struct runner_answers *answers);

// Takes values off the front of *rest; CORRUPT when it is too short, a number is out of its range or a text too long.
// Texts are borrowed.
enum status runner_get_int64(struct text *rest, int64_t min, int64_t max, int64_t *out,
                             struct error *error);
enum status runner_get_text(struct text *rest, struct text *out, struct error *error);
enum status runner_get_result(struct text *rest, struct runner_result *out, struct error *error);
enum status runner_get_answers(struct text *rest, struct runner_answers *out, struct error *error);
// The lists of the job are the caller's: runner_job_done.
enum status runner_get_job(struct text *rest, struct runner_job *out, struct error *error);
void runner_job_done(struct runner_job *job);

#endif
