// The statements about jobs, their tasks and their workers, portable SQL.
#ifndef LODE_RECORDS_JOBS_SQL_H
#define LODE_RECORDS_JOBS_SQL_H

static const char SQL_NEXT_LIFE[] = "INSERT INTO lives (id, started_us)"
                                    " SELECT COALESCE(MAX(id), 0) + 1, $1 FROM lives";
static const char SQL_LAST_IDS[] = "SELECT (SELECT COALESCE(MAX(id), 0) FROM lives),"
                                   " (SELECT COALESCE(MAX(id), 0) FROM jobs),"
                                   " (SELECT COALESCE(MAX(id), 0) FROM workers)";

static const char SQL_INSERT_JOB[] =
    "INSERT INTO jobs (id, owner, name, mode, cache, spec, description, family, task_count, items,"
    " items_kind, cpu_millis, memory_bytes, disk_bytes, retries, priority, inputs, locality,"
    " submitted_us, idempotency, command, first_index, gathers, place, origin, request, "
    "retry_limit,"
    " retry_lost, retry_input, retry_worker, when_lost, group_name, offer, walltime_us, "
    "checkpoint_us, software, spare) VALUES ($1, $2, $3,"
    " $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,"
    " $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37)";
static const char SQL_INSERT_PROGRESS[] =
    "INSERT INTO progress (job, state, started_us, finished_us, succeeded, failed, cancelled,"
    " cached, first_failed, exit_code, message, seq, version, ended_fail, ended_limit,"
    " ended_lost, ended_input, ended_worker)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
static const char SQL_UPDATE_PROGRESS[] =
    "UPDATE progress SET state = $2, started_us = $3, finished_us = $4, succeeded = $5,"
    " failed = $6, cancelled = $7, cached = $8, first_failed = $9, exit_code = $10, message = $11,"
    " seq = $12, version = $13, ended_fail = $14, ended_limit = $15, ended_lost = $16,"
    " ended_input = $17, ended_worker = $18 WHERE job = $1";
static const char SQL_FIND_IDEMPOTENCY[] = "SELECT id, request FROM jobs WHERE idempotency = $1";
static const char SQL_JOB_OWNER[] = "SELECT owner FROM jobs WHERE id = $1";
static const char SQL_JOB_INPUTS[] = "SELECT inputs, place FROM jobs WHERE id = $1";
static const char SQL_JOB_STATE[] = "SELECT state FROM progress WHERE job = $1";

// In the order in which job_row_read (rows.c) reads them: JOB_COLUMN_COUNT of them.
#define JOB_COLUMNS                                                                                \
    "j.id, j.owner, j.name, j.mode, j.cache, j.family, j.task_count, j.items, j.items_kind,"       \
    " j.cpu_millis, j.memory_bytes, j.disk_bytes, j.retries, j.priority, j.locality,"              \
    " j.submitted_us, p.state, p.started_us, p.finished_us, p.succeeded, p.failed, p.cancelled,"   \
    " p.cached, p.first_failed, p.exit_code, p.message, p.seq, p.version, j.command,"              \
    " j.first_index, j.gathers, j.place, j.origin, j.retry_limit, j.retry_lost, j.retry_input,"    \
    " j.retry_worker, j.when_lost, p.ended_fail, p.ended_limit, p.ended_lost, p.ended_input,"      \
    " p.ended_worker, j.group_name, j.offer, j.walltime_us, j.checkpoint_us, j.software,"          \
    " j.spare"
static const char SQL_ACTIVE_JOBS[] =
    "SELECT " JOB_COLUMNS ", j.description FROM progress p JOIN jobs j ON j.id = p.job"
    " WHERE p.state <= 1 ORDER BY p.job";
static const char SQL_ONE_JOB[] =
    "SELECT " JOB_COLUMNS ", j.description FROM jobs j JOIN progress p ON p.job = j.id"
    " WHERE j.id = $1";
static const char SQL_SHOW_JOB[] =
    "SELECT " JOB_COLUMNS ", j.spec FROM jobs j JOIN progress p ON p.job = j.id WHERE j.id = $1";
static const char SQL_LIST_JOBS[] =
    "SELECT " JOB_COLUMNS " FROM jobs j JOIN progress p ON p.job = j.id"
    " WHERE j.id < $1 ORDER BY j.id DESC LIMIT $2";
static const char SQL_LIST_JOBS_OWNER[] =
    "SELECT " JOB_COLUMNS " FROM jobs j JOIN progress p ON p.job = j.id"
    " WHERE j.owner = $3 AND j.id < $1 ORDER BY j.id DESC LIMIT $2";
static const char SQL_LIST_JOBS_STATE[] =
    "SELECT " JOB_COLUMNS " FROM progress p JOIN jobs j ON j.id = p.job"
    " WHERE p.state = $3 AND p.job < $1 ORDER BY p.job DESC LIMIT $2";
static const char SQL_LIST_JOBS_STATE_OWNER[] =
    "SELECT " JOB_COLUMNS " FROM progress p JOIN jobs j ON j.id = p.job"
    " WHERE p.state = $3 AND j.owner = $4 AND p.job < $1 ORDER BY p.job DESC LIMIT $2";
// Of two states, each of any owner.
static const char SQL_LIST_JOBS_STATES[] =
    "SELECT " JOB_COLUMNS " FROM progress p JOIN jobs j ON j.id = p.job"
    " WHERE p.state IN ($2, $3) AND p.job < $1 ORDER BY p.job DESC";
static const char SQL_JOB_RECORD[] =
    "SELECT " JOB_COLUMNS ", j.spec, j.inputs FROM jobs j JOIN progress p ON p.job = j.id"
    " WHERE j.id = $1";
static const char SQL_GATHER_JOB[] =
    "SELECT " JOB_COLUMNS ", j.spec, j.description, j.inputs FROM jobs j"
    " JOIN progress p ON p.job = j.id WHERE j.id = $1";
static const char SQL_UPDATE_GATHERED[] =
    "UPDATE jobs SET description = $2, family = $3, inputs = $4, gathers = 0 WHERE id = $1";
static const char SQL_COUNT_STATES[] = "SELECT state, COUNT(*) FROM progress GROUP BY state";

static const char SQL_INSERT_HOLD[] =
    "INSERT INTO holds (job, reason, way_out) VALUES ($1, $2, $3)"
    " ON CONFLICT (job) DO UPDATE SET reason = EXCLUDED.reason, way_out = EXCLUDED.way_out";
static const char SQL_DELETE_HOLD[] = "DELETE FROM holds WHERE job = $1";
static const char SQL_HOLD_OF[] = "SELECT reason FROM holds WHERE job = $1";
static const char SQL_ACTIVE_HOLDS[] =
    "SELECT h.job, h.reason, h.way_out FROM holds h JOIN progress p ON p.job = h.job"
    " WHERE p.state <= 1 ORDER BY h.job";
static const char SQL_INSERT_TWIN[] = "INSERT INTO twins (job, twin) VALUES ($1, $2) ON CONFLICT "
                                      "(job) DO UPDATE SET twin = EXCLUDED.twin";
static const char SQL_DELETE_TWIN[] = "DELETE FROM twins WHERE job = $1";
static const char SQL_ACTIVE_TWINS[] =
    "SELECT t.job, t.twin FROM twins t JOIN progress p ON p.job = t.job WHERE p.state <= 1"
    " ORDER BY t.job";
// How many of the two jobs have data, and whether it was the same, untouched, when they were submitted.
static const char SQL_TWIN_LOOKS[] =
    "SELECT (SELECT COUNT(*) FROM looks WHERE job = $1 OR job = $2),"
    " (SELECT COUNT(*) FROM looks a JOIN looks b ON b.state = a.state WHERE a.job = $1"
    " AND b.job = $2)";
static const char SQL_INSERT_MATCH[] =
    "INSERT INTO matches (job, gpus, labels, input_bytes) VALUES ($1, $2, $3, $4)";
static const char SQL_MATCH_OF[] = "SELECT gpus, labels, input_bytes FROM matches WHERE job = $1";
static const char SQL_JOB_DOCUMENTS[] = "SELECT spec, description FROM jobs WHERE id = $1";
static const char SQL_JOB_SPEC[] = "SELECT spec, idempotency FROM jobs WHERE id = $1";
static const char SQL_UPDATE_RELEASED[] =
    "UPDATE jobs SET description = $2, family = $3, items = $4, inputs = $5, locality = $6,"
    " place = $7, gathers = $8, offer = $9 WHERE id = $1";

static const char SQL_INSERT_NEED[] =
    "INSERT INTO needs (job, needed) VALUES ($1, $2) ON CONFLICT (job, needed) DO NOTHING";
static const char SQL_INSERT_USE[] = "INSERT INTO uses (job, dataset) VALUES ($1, $2)";
static const char SQL_WHO_USES[] = "SELECT u.job FROM uses u JOIN progress p ON p.job = u.job"
                                   " WHERE u.dataset = $1 AND p.state <= 1 ORDER BY u.job LIMIT 1";
static const char SQL_UNMET_NEEDS[] =
    "SELECT n.needed, p.state FROM needs n JOIN progress p ON p.job = n.needed"
    " WHERE n.job = $1 AND p.state <> 2 ORDER BY n.needed";
static const char SQL_WHO_NEEDS[] = "SELECT n.job FROM needs n JOIN progress p ON p.job = n.job"
                                    " WHERE n.needed = $1 AND p.state <= 1 ORDER BY n.job";

static const char SQL_INSERT_TASK[] =
    "INSERT INTO tasks (job, idx, seq, state, outcome, code, attempts, worker, started_us, wall_us,"
    " cpu_us, peak_bytes, stdout, stdout_size, stdout_digest, stderr, stderr_size, stderr_digest,"
    " outputs, message, cached_job, cached_idx, class) VALUES ($1, $2, $3, $4, $5, $6,"
    " $23 + (SELECT COALESCE(MAX(attempt), 0) FROM attempts WHERE job = $1 AND idx = $2),"
    " $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";
static const char SQL_LAST_ATTEMPT[] =
    "SELECT COALESCE(MAX(attempt), 0) FROM attempts WHERE job = $1 AND idx = $2";
static const char SQL_INSERT_ATTEMPT[] =
    "INSERT INTO attempts (job, idx, attempt, worker, outcome, code, message, ended_us)"
    " SELECT $1, $2, COALESCE(MAX(attempt), 0) + $8, $3, $4, $5, $6, $7 FROM attempts"
    " WHERE job = $1 AND idx = $2";
static const char SQL_INSERT_CHUNK[] =
    "INSERT INTO chunks (job, first_idx, end_idx, seq, answers, answers_size, answers_first, "
    "worker,"
    " started_us, wall_us, cpu_us, peak_bytes, stderr, stderr_size, stderr_digest, cached_job, "
    "class)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
static const char SQL_INSERT_SETUP[] =
    "INSERT INTO setups (job, worker, executable, executable_digest, host, sandbox)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (job, worker) DO UPDATE SET"
    " executable = EXCLUDED.executable, executable_digest = EXCLUDED.executable_digest,"
    " host = EXCLUDED.host, sandbox = EXCLUDED.sandbox";
static const char SQL_JOB_SETUPS[] =
    "SELECT s.executable, s.executable_digest, s.host, s.sandbox, w.name, s.worker FROM setups s"
    " LEFT JOIN workers w ON w.id = s.worker WHERE s.job = $1 ORDER BY s.worker LIMIT 1000";
static const char SQL_DONE_TASKS[] = "SELECT idx FROM tasks WHERE job = $1 ORDER BY idx";
static const char SQL_DONE_CHUNKS[] =
    "SELECT first_idx, end_idx FROM chunks WHERE job = $1 ORDER BY first_idx";

static const char SQL_ARCHIVE_FAILED[] =
    "INSERT INTO attempts (job, idx, attempt, worker, outcome, code, message, ended_us)"
    " SELECT job, idx, attempts, worker, outcome, code, COALESCE(message, ''),"
    " started_us + wall_us FROM tasks WHERE job = $1 AND state = 3";
// Of tasks that may run again: what counts against them still, oldest first.
static const char SQL_COUNTED_ATTEMPTS[] =
    "SELECT idx, outcome, COUNT(*) FROM attempts WHERE job = $1 AND is_past = 0"
    " GROUP BY idx, outcome ORDER BY idx, outcome";
static const char SQL_PASS_ATTEMPTS[] =
    "UPDATE attempts SET is_past = 1 WHERE job = $1 AND idx = $2 AND is_past = 0";
static const char SQL_PASS_ALL_ATTEMPTS[] =
    "UPDATE attempts SET is_past = 1 WHERE job = $1 AND is_past = 0";
static const char SQL_LOSSES_OF[] =
    "SELECT message, ended_us FROM attempts WHERE job = $1 AND idx = $2 AND outcome = $3"
    " AND is_past = 0 ORDER BY attempt DESC LIMIT $4";
static const char SQL_DELETE_FAILED[] = "DELETE FROM tasks WHERE job = $1 AND state = 3";

static const char SQL_INSERT_FAMILY[] =
    "INSERT INTO families (family, job) VALUES ($1, $2) ON CONFLICT (family, job) DO NOTHING";
// Those that had no data, whose data was not touched while they ran, or not since they were submitted ($2: as it is now).
static const char SQL_FAMILY_JOBS[] =
    "SELECT f.job, j.items, j.items_kind, j.task_count, p.state FROM families f"
    " JOIN jobs j ON j.id = f.job JOIN progress p ON p.job = f.job"
    " LEFT JOIN looks l ON l.job = f.job"
    " WHERE f.family = $1 AND (l.job IS NULL OR l.is_kept = 1 OR l.state = $2)"
    " ORDER BY f.job DESC LIMIT 8";
static const char SQL_INSERT_SCOPED_FAMILY[] =
    "INSERT INTO scoped_families (family, scope, job) VALUES ($1, $2, $3)"
    " ON CONFLICT (family, scope, job) DO NOTHING";
// The same of those with results that are not for everyone ($3: for whom).
static const char SQL_SCOPED_FAMILY_JOBS[] =
    "SELECT f.job, j.items, j.items_kind, j.task_count, p.state FROM scoped_families f"
    " JOIN jobs j ON j.id = f.job JOIN progress p ON p.job = f.job"
    " LEFT JOIN looks l ON l.job = f.job"
    " WHERE f.family = $1 AND f.scope = $3"
    " AND (l.job IS NULL OR l.is_kept = 1 OR l.state = $2) ORDER BY f.job DESC LIMIT 8";
// The same of those that are the same submission, by way of other sites.
static const char SQL_ORIGIN_JOBS[] =
    "SELECT j.id, j.items, j.items_kind, j.task_count, p.state FROM jobs j"
    " JOIN progress p ON p.job = j.id LEFT JOIN looks l ON l.job = j.id"
    " WHERE j.family = $1 AND (l.job IS NULL OR l.is_kept = 1 OR l.state = $2)"
    " AND j.origin = $3 ORDER BY j.id DESC LIMIT 8";

static const char SQL_INSERT_LOOK[] = "INSERT INTO looks (job, state, is_kept) VALUES ($1, $2, 0)";
static const char SQL_FIRST_LOOK[] =
    "SELECT state FROM looks WHERE job = $1 AND state IS NOT NULL AND is_kept = 0";
static const char SQL_JOB_USES[] = "SELECT dataset FROM uses WHERE job = $1 ORDER BY dataset";
// The job may have been tried again meanwhile: then this end of it is not its last.
static const char SQL_KEEP_LOOK[] =
    "UPDATE looks SET is_kept = 1 WHERE job = $1 AND EXISTS"
    " (SELECT 1 FROM progress p WHERE p.job = $1 AND p.finished_us = $2 AND p.state >= 2)";
static const char SQL_FORGET_SECOND_LOOK[] = "UPDATE looks SET is_kept = 0 WHERE job = $1";

static const char SQL_INSERT_CHECKPOINT[] =
    "INSERT INTO checkpoints (job, idx, attempt, worker, taken_us, files, class)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (job, idx) DO UPDATE SET"
    " attempt = EXCLUDED.attempt, worker = EXCLUDED.worker, taken_us = EXCLUDED.taken_us,"
    " files = EXCLUDED.files, class = EXCLUDED.class";
static const char SQL_DELETE_CHECKPOINT[] = "DELETE FROM checkpoints WHERE job = $1 AND idx = $2";
static const char SQL_DELETE_CHECKPOINTS[] = "DELETE FROM checkpoints WHERE job = $1";
static const char SQL_JOB_CHECKPOINTS[] =
    "SELECT idx, attempt, taken_us, files, class FROM checkpoints WHERE job = $1 ORDER BY idx";

#define TASK_COLUMNS                                                                               \
    "idx, seq, state, outcome, code, attempts, worker, started_us, wall_us, cpu_us, peak_bytes,"   \
    " stdout, stdout_size, stdout_digest, stderr, stderr_size, stderr_digest, outputs, message,"   \
    " cached_job, cached_idx, class"
static const char SQL_CACHED_TASKS[] =
    "SELECT " TASK_COLUMNS " FROM tasks WHERE job = $1 AND idx >= $2 AND idx < $3 AND state = 2"
    " AND cached_job IS NULL ORDER BY idx";
static const char SQL_CACHED_CHUNKS[] =
    "SELECT first_idx, end_idx, answers, answers_size, answers_first, worker, started_us, wall_us,"
    " cpu_us, peak_bytes, stderr, stderr_size, stderr_digest, class FROM chunks WHERE job = $1"
    " AND cached_job IS NULL ORDER BY first_idx";
// The job's row as far as it says who may reuse what was computed for it.
static const char SQL_JOB_MADE_FOR[] =
    "SELECT owner, group_name, spare, submitted_us FROM jobs WHERE id = $1";
static const char SQL_ONE_TASK[] = "SELECT " TASK_COLUMNS " FROM tasks WHERE job = $1 AND idx = $2";
static const char SQL_TASKS_FROM[] =
    "SELECT " TASK_COLUMNS " FROM tasks WHERE job = $1 AND idx >= $2 ORDER BY idx LIMIT $3";
static const char SQL_TASKS_FROM_STATE[] = "SELECT " TASK_COLUMNS " FROM tasks WHERE job = $1"
                                           " AND idx >= $2 AND state = $4 ORDER BY idx LIMIT $3";
static const char SQL_TASKS_AFTER_SEQ[] =
    "SELECT " TASK_COLUMNS " FROM tasks WHERE job = $1 AND seq > $2 ORDER BY seq LIMIT $3";
static const char SQL_TASKS_WITH_OUTPUTS[] =
    "SELECT idx, outputs FROM tasks WHERE job = $1 AND idx >= $2 AND outputs IS NOT NULL"
    " ORDER BY idx LIMIT $3";
static const char SQL_CHUNK_OF[] =
    "SELECT first_idx, end_idx, answers, answers_size, answers_first, worker, started_us, wall_us,"
    " cpu_us, peak_bytes, stderr, stderr_size, stderr_digest, cached_job, class FROM chunks"
    " WHERE job = $1 AND first_idx <= $2 AND end_idx > $2 ORDER BY first_idx DESC LIMIT 1";
static const char SQL_CHUNKS_AFTER_SEQ[] =
    "SELECT first_idx, end_idx, answers, answers_size, answers_first, worker, started_us, wall_us,"
    " cpu_us, peak_bytes, stderr, stderr_size, stderr_digest, cached_job, seq, class"
    " FROM chunks"
    " WHERE job = $1 AND seq > $2 ORDER BY seq LIMIT $3";
static const char SQL_TASK_ATTEMPTS[] =
    "SELECT a.attempt, w.name, a.outcome, a.code, a.message, a.ended_us FROM attempts a"
    " LEFT JOIN workers w ON w.id = a.worker WHERE a.job = $1 AND a.idx = $2 ORDER BY a.attempt";
static const char SQL_WORKER_NAME[] = "SELECT name FROM workers WHERE id = $1";
static const char SQL_TASK_SETUP[] = "SELECT executable, executable_digest, host, sandbox FROM "
                                     "setups WHERE job = $1 AND worker = $2";
static const char SQL_FIND_MOVE[] =
    "SELECT moved_to FROM moves WHERE owner = $1 AND name = $2 AND said = $3";
static const char SQL_SET_MOVE[] =
    "INSERT INTO moves (owner, name, said, moved_to) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (owner, name) DO UPDATE SET said = EXCLUDED.said, moved_to = EXCLUDED.moved_to";
static const char SQL_NOTE_UPLOAD[] =
    "INSERT INTO runner_uploads (owner, digest, noted_us) VALUES ($1, $2, $3)"
    " ON CONFLICT (owner, digest) DO UPDATE SET noted_us = EXCLUDED.noted_us";
static const char SQL_FIND_UPLOAD[] =
    "SELECT digest FROM runner_uploads WHERE owner = $1 AND digest = $2";
static const char SQL_FORGET_UPLOADS[] = "DELETE FROM runner_uploads WHERE owner = $1";
static const char SQL_FORGET_OLD_UPLOADS[] =
    "DELETE FROM runner_uploads WHERE (owner, digest) IN (SELECT owner, digest FROM runner_uploads"
    " WHERE noted_us < $1 ORDER BY noted_us LIMIT $2)";
static const char SQL_INSERT_WORKER[] =
    "INSERT INTO workers (id, name, owner, version, cpu_millis, memory_bytes, disk_bytes, sandbox,"
    " registered_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
// The last one tells which numbers were given.
static const char SQL_FORGET_WORKER[] =
    "DELETE FROM workers WHERE id = $1 AND id < (SELECT MAX(id) FROM workers)";

#endif
