#include "records/migrations.h"

// What never changes of a job is in `jobs`, what changes with every commit in `progress`: a job's document may be a
// megabyte, and a row is written whole. A task has a row once it has ended finally, or is part of a row of `chunks`.
const struct store_migration QUEUE_MIGRATIONS[] = {
    {"queue", 1,
     "CREATE TABLE lives (id BIGINT PRIMARY KEY, started_us BIGINT NOT NULL);\n"
     "CREATE TABLE jobs (id BIGINT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL,"
     " mode BIGINT NOT NULL, cache BIGINT NOT NULL, spec TEXT NOT NULL, description TEXT NOT NULL,"
     " family BLOB_TYPE NOT NULL, task_count BIGINT NOT NULL, items BLOB_TYPE,"
     " items_kind BIGINT NOT NULL, cpu_millis BIGINT NOT NULL, memory_bytes BIGINT NOT NULL,"
     " disk_bytes BIGINT NOT NULL, retries BIGINT NOT NULL, priority BIGINT NOT NULL,"
     " inputs TEXT NOT NULL, locality BIGINT NOT NULL, submitted_us BIGINT NOT NULL, idempotency "
     "TEXT);\n"
     "CREATE UNIQUE INDEX jobs_idempotency ON jobs (idempotency);\n"
     "CREATE INDEX jobs_owner ON jobs (owner, id);\n"
     "CREATE TABLE progress (job BIGINT PRIMARY KEY, state BIGINT NOT NULL,"
     " started_us BIGINT NOT NULL, finished_us BIGINT NOT NULL, succeeded BIGINT NOT NULL,"
     " failed BIGINT NOT NULL, cancelled BIGINT NOT NULL, cached BIGINT NOT NULL,"
     " first_failed BIGINT NOT NULL, exit_code BIGINT NOT NULL, message TEXT NOT NULL,"
     " seq BIGINT NOT NULL, version BIGINT NOT NULL);\n"
     "CREATE INDEX progress_state ON progress (state, job);\n"
     "CREATE TABLE families (family BLOB_TYPE NOT NULL, job BIGINT NOT NULL,"
     " PRIMARY KEY (family, job));\n"
     "CREATE TABLE needs (job BIGINT NOT NULL, needed BIGINT NOT NULL,"
     " PRIMARY KEY (job, needed));\n"
     "CREATE INDEX needs_needed ON needs (needed);\n"
     "CREATE TABLE tasks (job BIGINT NOT NULL, idx BIGINT NOT NULL, seq BIGINT NOT NULL,"
     " state BIGINT NOT NULL, outcome BIGINT NOT NULL, code BIGINT NOT NULL,"
     " attempts BIGINT NOT NULL, worker BIGINT NOT NULL, started_us BIGINT NOT NULL,"
     " wall_us BIGINT NOT NULL, cpu_us BIGINT NOT NULL, peak_bytes BIGINT NOT NULL,"
     " stdout BLOB_TYPE, stdout_size BIGINT NOT NULL, stdout_digest BLOB_TYPE,"
     " stderr BLOB_TYPE, stderr_size BIGINT NOT NULL, stderr_digest BLOB_TYPE,"
     " outputs TEXT, message TEXT, cached_job BIGINT, cached_idx BIGINT,"
     " PRIMARY KEY (job, idx));\n"
     "CREATE UNIQUE INDEX tasks_seq ON tasks (job, seq);\n"
     "CREATE TABLE attempts (job BIGINT NOT NULL, idx BIGINT NOT NULL, attempt BIGINT NOT NULL,"
     " worker BIGINT NOT NULL, outcome BIGINT NOT NULL, code BIGINT NOT NULL,"
     " message TEXT NOT NULL, ended_us BIGINT NOT NULL, PRIMARY KEY (job, idx, attempt));\n"
     "CREATE TABLE chunks (job BIGINT NOT NULL, first_idx BIGINT NOT NULL, end_idx BIGINT NOT NULL,"
     " seq BIGINT NOT NULL, answers BLOB_TYPE NOT NULL, answers_size BIGINT NOT NULL,"
     " answers_first BIGINT NOT NULL, worker BIGINT NOT NULL, started_us BIGINT NOT NULL,"
     " wall_us BIGINT NOT NULL, cpu_us BIGINT NOT NULL, peak_bytes BIGINT NOT NULL,"
     " stderr BLOB_TYPE, stderr_size BIGINT NOT NULL, stderr_digest BLOB_TYPE,"
     " cached_job BIGINT, PRIMARY KEY (job, first_idx));\n"
     "CREATE TABLE setups (job BIGINT NOT NULL, worker BIGINT NOT NULL, executable TEXT NOT NULL,"
     " executable_digest TEXT NOT NULL, host TEXT NOT NULL, sandbox TEXT NOT NULL,"
     " PRIMARY KEY (job, worker));\n"
     "CREATE TABLE workers (id BIGINT PRIMARY KEY, name TEXT NOT NULL, owner TEXT NOT NULL,"
     " version TEXT NOT NULL, cpu_millis BIGINT NOT NULL, memory_bytes BIGINT NOT NULL,"
     " disk_bytes BIGINT NOT NULL, sandbox TEXT NOT NULL, registered_us BIGINT NOT NULL)"},
    {"queue", 2,
     "CREATE TABLE uses (job BIGINT NOT NULL, dataset TEXT NOT NULL, PRIMARY KEY (job, dataset));\n"
     "CREATE INDEX uses_dataset ON uses (dataset, job)"},
    {"queue", 3, "ALTER TABLE jobs ADD COLUMN command TEXT NOT NULL DEFAULT ''"},
    // Of a job with data: what it was like at submission (NULL: it cannot be told), and whether it was the same at the end. What
    // was computed before this was looked at is computed once more.
    {"queue", 4,
     "CREATE TABLE looks (job BIGINT PRIMARY KEY, state BIGINT, is_kept BIGINT NOT NULL);\n"
     "INSERT INTO looks (job, state, is_kept)"
     " SELECT DISTINCT job, CAST(NULL AS BIGINT), 0 FROM uses"},
    {"queue", 5,
     "ALTER TABLE jobs ADD COLUMN first_index BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE jobs ADD COLUMN gathers BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE jobs ADD COLUMN place TEXT NOT NULL DEFAULT '';\n"
     "CREATE TABLE holds (job BIGINT PRIMARY KEY, reason TEXT NOT NULL, way_out TEXT NOT NULL)"},
    // Jobs that wait for another one, which computes the same.
    {"queue", 6, "CREATE TABLE twins (job BIGINT PRIMARY KEY, twin BIGINT NOT NULL)"},
    // Of a job that another site brought: the digest of the key under which it was submitted there.
    {"queue", 7,
     "ALTER TABLE jobs ADD COLUMN origin BLOB_TYPE;\n"
     "CREATE INDEX jobs_origin ON jobs (origin, family) WHERE origin IS NOT NULL"},
    // Of a job with an idempotency key: the digest of the request, to tell it from another one under the same key. NULL: not kept.
    {"queue", 8, "ALTER TABLE jobs ADD COLUMN request BLOB_TYPE"},
    // `retries` is that of the tasks' own failures. What is past of a task's attempts is no longer counted: it was released or tried again.
    {"queue", 9,
     "ALTER TABLE jobs ADD COLUMN retry_limit BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE jobs ADD COLUMN retry_lost BIGINT NOT NULL DEFAULT 2;\n"
     "ALTER TABLE jobs ADD COLUMN retry_input BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE jobs ADD COLUMN retry_worker BIGINT NOT NULL DEFAULT 2;\n"
     "ALTER TABLE jobs ADD COLUMN when_lost BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE progress ADD COLUMN ended_fail BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE progress ADD COLUMN ended_limit BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE progress ADD COLUMN ended_lost BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE progress ADD COLUMN ended_input BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE progress ADD COLUMN ended_worker BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE attempts ADD COLUMN is_past BIGINT NOT NULL DEFAULT 0"},
    // An empty group is the owner's own. Where workers were moved to, and what they said then that they work for.
    {"queue", 10,
     "ALTER TABLE jobs ADD COLUMN group_name TEXT NOT NULL DEFAULT '';\n"
     "CREATE TABLE moves (owner TEXT NOT NULL, name TEXT NOT NULL, said TEXT NOT NULL,"
     " moved_to TEXT NOT NULL, PRIMARY KEY (owner, name))"},
    // Under which a job comes; see struct job_row.
    {"queue", 11, "ALTER TABLE jobs ADD COLUMN offer TEXT NOT NULL DEFAULT ''"},
    // What a task may take, as its user has said; 0: the default.
    {"queue", 12, "ALTER TABLE jobs ADD COLUMN walltime_us BIGINT NOT NULL DEFAULT 0"},
    // From what a task that has not ended goes on: the newest only.
    {"queue", 13,
     "ALTER TABLE jobs ADD COLUMN checkpoint_us BIGINT NOT NULL DEFAULT 0;\n"
     "CREATE TABLE checkpoints (job BIGINT NOT NULL, idx BIGINT NOT NULL, attempt BIGINT NOT NULL,"
     " worker BIGINT NOT NULL, taken_us BIGINT NOT NULL, files TEXT NOT NULL,"
     " PRIMARY KEY (job, idx))"},
    // What a job requires of workers beside room, and how much data its tasks need; most have none of it.
    {"queue", 14,
     "CREATE TABLE matches (job BIGINT PRIMARY KEY, gpus BIGINT NOT NULL, labels TEXT NOT NULL,"
     " input_bytes BIGINT NOT NULL)"},
    // Whose programs its tasks see: an enum spec_software.
    {"queue", 15, "ALTER TABLE jobs ADD COLUMN software BIGINT NOT NULL DEFAULT 0"},
    // What workers of which class computed, an enum runner_class; `families` are those of jobs with results for everyone, the others
    // are found by whom their results are for.
    {"queue", 16,
     "ALTER TABLE jobs ADD COLUMN spare BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE tasks ADD COLUMN class BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE chunks ADD COLUMN class BIGINT NOT NULL DEFAULT 0;\n"
     "ALTER TABLE checkpoints ADD COLUMN class BIGINT NOT NULL DEFAULT 0;\n"
     "CREATE TABLE scoped_families (family BLOB_TYPE NOT NULL, scope TEXT NOT NULL,"
     " job BIGINT NOT NULL, PRIMARY KEY (family, scope, job))"},
    // What runners have uploaded, and when last: they speak of these blobs alone.
    {"queue", 17,
     "CREATE TABLE runner_uploads (owner TEXT NOT NULL, digest BLOB_TYPE NOT NULL,"
     " noted_us BIGINT NOT NULL, PRIMARY KEY (owner, digest));\n"
     "CREATE INDEX runner_uploads_noted ON runner_uploads (noted_us)"},
};

const size_t QUEUE_MIGRATION_COUNT = sizeof QUEUE_MIGRATIONS / sizeof QUEUE_MIGRATIONS[0];
