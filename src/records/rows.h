// What the database has of jobs and their tasks, row by row.
#ifndef LODE_RECORDS_ROWS_H
#define LODE_RECORDS_ROWS_H

#include "base/ranges.h"
#include "jobs/retries.h"
#include "jobs/spec.h"
#include "policy/runner.h"
#include "protocol/poll_parse.h"
#include "store/sql.h"

// Of jobs and of tasks. No row says held: it is a task that was lost too often, and a job that has nothing else left to run.
enum job_state { JOB_WAITING, JOB_RUNNING, JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED, JOB_HELD };
enum { JOB_STATE_COUNT = JOB_HELD + 1 };

enum items_kind { ITEMS_NONE, ITEMS_LINES, ITEMS_FILES };

enum { JOB_MESSAGE_MAX = 600 }; // Bytes of a reason that is kept; longer ones are cut.

// What changes of a job with every commit: the row of `progress`.
struct job_progress {
    enum job_state state;
    int64_t started_us;
    int64_t finished_us;
    int64_t succeeded;
    int64_t failed;
    int64_t cancelled;
    int64_t cached;
    int64_t failures[CAUSE_COUNT]; // Attempts that came to nothing, since it was submitted.
    int64_t first_failed;          // The smallest index that failed; -1: none.
    int64_t exit_code;
    char message[JOB_MESSAGE_MAX];
    int64_t seq;     // Of the last task or chunk.
    int64_t version; // Rises with every change that can be seen.
};

// A job as its row has it. The texts are borrowed from the row, or owned by an active job.
struct job_row {
    int64_t id;
    struct text owner;
    struct text group; // That it is for: its owner's own has his name.
    struct text name;
    struct text command; // In one line, for lists; an active job has it in its row only.
    enum spec_mode mode;
    enum spec_cache cache;
    struct text place; // Fingerprint of the site where it runs; empty: here.
    struct text offer; // JSON of the offer that it comes under; empty: none.
    struct digest family;
    bool has_origin;
    struct digest origin; // See struct queue_submission.
    int64_t count;
    int64_t first_index; // Of task 0, in its command and in its items.
    bool gathers;        // The outputs of the jobs in its input_from are not among its files yet.
    bool has_items;
    struct digest items;
    enum items_kind items_kind;
    struct resources need;
    struct retries retries;
    enum spec_when_lost when_lost;
    int64_t priority;
    int64_t locality;      // A hash of its data; 0: it has none.
    int64_t walltime_us;   // What a task may take, as its user has said; 0: the default.
    int64_t checkpoint_us; // Between two checkpoints of a task; 0: it has none.
    bool is_spare;
    int64_t submitted_us;
    struct job_progress progress;
};

enum { JOB_COLUMN_COUNT = 49 }; // What else a statement reads follows these.
// Reads the row of JOB_COLUMNS; its texts are borrowed until the next one.
void job_row_read(const struct sql_rows *rows, struct job_row *out);
// Adds the indices of the tasks of a job that have ended to *done.
enum status job_read_done(struct sql *sql, int64_t job, struct ranges *done, struct error *error);
// Writes what changes of the job: its first row of `progress`, and every later one.
enum status job_progress_insert(struct sql *sql, const struct job_row *row, struct error *error);
enum status job_progress_update(struct sql *sql, const struct job_row *row, struct error *error);

// NOT_FOUND: there is no job of that number.
enum status job_unknown(int64_t job, struct error *error);
const char *job_state_name(enum job_state state);
bool job_state_from_text(struct text text, enum job_state *out);

// A task that has ended. The texts are borrowed.
struct task_row {
    int64_t index;
    enum job_state state;
    enum poll_outcome outcome;
    int64_t code;
    int64_t worker;
    int64_t started_us;
    int64_t wall_us;
    int64_t cpu_us;
    int64_t peak_bytes;
    struct poll_stream output;
    struct poll_stream error_output;
    struct text outputs;
    struct text message;
    int64_t cached_job; // 0: it ran.
    int64_t cached_index;
    enum runner_class kind; // Of who computed it.
    int64_t seq;            // Read only.
    int64_t attempts;       // Written: those since the last one that came to nothing; read: all.
};
void task_row_read(const struct sql_rows *rows, struct task_row *out);

// Answers of a streamed job to the items [from, to).
struct chunk_row {
    int64_t from;
    int64_t to;
    struct digest answers;
    int64_t answers_size;
    int64_t answers_first; // Index of the blob's first line.
    int64_t worker;
    int64_t started_us;
    int64_t wall_us;
    int64_t cpu_us;
    int64_t peak_bytes;
    struct poll_stream error_output;
    int64_t cached_job;
    enum runner_class kind;
};
void chunk_row_read(const struct sql_rows *rows, struct chunk_row *out);

#endif
