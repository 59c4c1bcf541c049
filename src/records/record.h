// The documents of tasks: short for lists and events, and the whole record.
#ifndef LODE_RECORDS_RECORD_H
#define LODE_RECORDS_RECORD_H

#include "records/rows.h"
#include "store/blobs.h"

enum { RECORD_STREAM_INLINE_MAX = 16 << 10 }; // Bytes of output that an event carries.

// `{"job", "index", "state", ...}` of a list.
void record_write_summary(int64_t job, const struct task_row *row, struct buffer *out);

// The same of a task that runs on the worker.
// `checkpoint_us`: when one was stored; 0: none.
void record_write_running(int64_t job, int64_t index, struct text worker, int64_t checkpoint_us,
                          struct buffer *out);

// The same of a held task.
void record_write_held(int64_t job, int64_t index, struct buffer *out);

// Appends `,"failures":{"fail":n,...}`: attempts that came to nothing, by cause.
void record_write_failures(const int64_t failures[CAUSE_COUNT], struct buffer *out);

// What `event: task` carries. Reads small outputs that are blobs.
void record_write_event(struct blobs *blobs, const struct task_row *row, struct buffer *out);

// One output file each: appends `{"index"?, "path", "digest", "size_bytes", "mode"}` with commas between; `index` < 0: without.
void record_write_outputs(struct text outputs, int64_t index, bool *is_first, struct buffer *out);

// The whole record of a task of this job. `rows` is at the row of SQL_JOB_RECORD.
enum status record_write(struct blobs *blobs, struct sql *sql, const struct job_row *job,
                         struct text spec, struct text inputs, const struct task_row *task,
                         struct buffer *out, struct error *error);

#endif
