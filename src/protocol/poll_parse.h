// The body of a worker's poll (docs/protocols/worker.md), checked and flat. Pure.
#ifndef LODE_PROTOCOL_POLL_PARSE_H
#define LODE_PROTOCOL_POLL_PARSE_H

#include "base/arena.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "jobs/scheduler.h"

enum {
    POLL_BODY_MAX = 8 << 20,
    POLL_LEASES_MAX = 10000,
    POLL_RESULTS_MAX = 10000, // Entries; the tasks of all of them: POLL_TASKS_MAX.
    POLL_TASKS_MAX = 100000,
    POLL_LOGS_MAX = 10000,
    POLL_SETUPS_MAX = 1000,
    POLL_CHECKPOINTS_MAX = 1000,
    POLL_CHECKPOINT_FILES_MAX = 100, // Of one task.
    POLL_NOTES_MAX = 1000,
    POLL_JOBS_MAX = 10000, // That a worker holds: as many as an answer tells it of.
    POLL_WAIT_SECONDS_MAX = 60,
    POLL_INLINE_MAX = 16 << 10, // Bytes of output that a result carries itself.
    POLL_OUTPUTS_MAX = 10000,
    // Different blobs that one poll of a runner names. Results of one lease are fewer (a part of 1 MiB and one more task); a worker sends them alone
    // when all it has was refused.
    POLL_RUNNER_BLOBS_MAX = 32768,
    POLL_PATH_MAX = 4096,
    POLL_DETAIL_MAX = 1000,
    POLL_ATTEMPT_MAX = 1 << 20,
    POLL_CLASS_MAX = 16,
    POLL_WORDS_MAX = 1000,     // Jobs of which a place says something.
    POLL_WORDS_SIZE_MAX = 600, // Bytes of each text of that.
};

// Numbers in a poll: exact in every reader of JSON, and the sum of two is still a number.
#define POLL_NUMBER_MAX (INT64_C(1) << 53)

enum poll_outcome {
    OUTCOME_EXITED,
    OUTCOME_SIGNAL,
    OUTCOME_WALLTIME,
    OUTCOME_MEMORY,
    OUTCOME_DISK,
    OUTCOME_INPUT,
    OUTCOME_WORKER,
    OUTCOME_PIDS,
    OUTCOME_LOST, // Said by the site, never by a worker: this one was lost while it ran the task.
};
enum { OUTCOME_COUNT = OUTCOME_LOST + 1 };

// What a task wrote to one stream: its bytes, or the blob that has them.
struct poll_stream {
    int64_t size;
    struct text bytes; // When !is_blob.
    bool is_blob;
    struct digest digest;
};

struct poll_task {
    int64_t index;
    enum poll_outcome outcome;
    int64_t code;
    int64_t started_us;
    int64_t wall_us;
    int64_t cpu_us;
    int64_t peak_bytes;
    struct poll_stream output;
    struct poll_stream error_output;
    struct text outputs; // The JSON array as it came; empty when there are none.
    struct text detail;
    int64_t attempts;    // How often it was begun where it ran, from 1.
    struct text made_by; // Class of who computed it, as another site says; empty: nothing is said.
};

struct poll_chunk {
    int64_t from;
    int64_t to;
    struct digest answers;
    int64_t answers_size;
    int64_t started_us;
    int64_t wall_us;
    int64_t cpu_us;
    int64_t peak_bytes;
    struct poll_stream error_output;
    struct text made_by; // As that of a task.
};

struct poll_result {
    int64_t lease;
    int64_t job;
    struct poll_task *tasks;
    size_t task_count;
    bool has_chunk;
    struct poll_chunk chunk;
};

struct poll_lease {
    int64_t lease;
    int64_t job; // Not in `returned`.
    int64_t from;
    int64_t to;
};

struct poll_setup {
    int64_t job;
    struct text executable;
    struct text executable_digest;
    struct text host;
    struct text sandbox;
};

// Files from which a task can go on.
struct poll_checkpoint {
    int64_t job;
    int64_t index;
    int64_t attempt;
    struct text files; // The JSON array as it came.
};

struct poll_log {
    int64_t job;
    int64_t index;
    bool is_error_output;
    int64_t offset;
    struct text bytes;
    int64_t attempt; // Of those where it runs, from 1.
};

// What a place says of a job that is there: whether anything of it has begun, and while nothing has, why.
struct poll_words {
    int64_t job;
    enum place_begun begun; // Unknown: it does not say.
    struct text why;        // Empty: nothing any more.
    struct text change;
};

// What a job waits for at the worker, or why that cannot run it.
enum poll_note_kind { POLL_NOTE_NONE, POLL_NOTE_WAITING, POLL_NOTE_UNABLE };
struct poll_note {
    int64_t job;
    enum poll_note_kind kind;
    struct text text;
    struct text change;
};

struct poll_body {
    struct arena arena;
    json_t *document; // What the texts are borrowed from.
    int64_t wait_us;
    int64_t leaves_in_us; // < 0: it does not say when.
    bool is_leaving;
    bool is_last;        // Its last word: it holds nothing, and is gone.
    bool is_full;        // Its disk.
    struct text problem; // Of the worker's place; empty: none.
    struct text problem_change;
    bool has_leases; // It says which leases it holds, if only that it holds none.
    struct poll_lease *leases;
    size_t lease_count;
    int64_t *jobs; // That it holds something of: a description, files.
    size_t job_count;
    struct poll_result *results;
    size_t result_count;
    struct poll_lease *returned;
    size_t returned_count;
    struct poll_checkpoint *checkpoints;
    size_t checkpoint_count;
    struct poll_setup *setups;
    size_t setup_count;
    struct poll_log *logs;
    size_t log_count;
    struct poll_words *words;
    size_t word_count;
    struct poll_note *notes;
    size_t note_count;
    // Blobs that the results and checkpoints name, in order, each once; whoever takes them checks that they are there.
    struct digest *blobs;
    size_t blob_count;
    size_t blob_capacity;
};

// Reads a poll; INVALID names what is wrong. *out is the caller's (poll_free).
enum status poll_parse(struct text text, struct poll_body **out, struct error *error);
void poll_free(struct poll_body *body);

#endif
