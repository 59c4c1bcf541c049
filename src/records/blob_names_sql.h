// The statements that read by what blobs are named, in the order of their keys, portable SQL.
#ifndef LODE_RECORDS_BLOB_NAMES_SQL_H
#define LODE_RECORDS_BLOB_NAMES_SQL_H

static const char SQL_NAMES_OF_JOBS[] = "SELECT id, 0, items, NULL, spec, description FROM jobs"
                                        " WHERE id > $1 AND $2 >= -1 ORDER BY id LIMIT $3";
static const char SQL_NAMES_OF_TASKS[] =
    "SELECT job, idx, stdout_digest, stderr_digest, outputs, NULL FROM tasks"
    " WHERE (job, idx) > ($1, $2) ORDER BY job, idx LIMIT $3";
static const char SQL_NAMES_OF_CHUNKS[] =
    "SELECT job, first_idx, answers, stderr_digest, NULL, NULL FROM chunks"
    " WHERE (job, first_idx) > ($1, $2) ORDER BY job, first_idx LIMIT $3";
static const char SQL_NAMES_OF_CHECKPOINTS[] =
    "SELECT job, idx, NULL, NULL, files, NULL FROM checkpoints"
    " WHERE (job, idx) > ($1, $2) ORDER BY job, idx LIMIT $3";

#endif
