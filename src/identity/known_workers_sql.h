// The statements of known_workers.c and known_workers_change.c.
#ifndef LODE_IDENTITY_KNOWN_WORKERS_SQL_H
#define LODE_IDENTITY_KNOWN_WORKERS_SQL_H

#include "identity/runner_columns.h"

#define WORKER_COLUMNS                                                                             \
    "fingerprint, name, state, trust, decided_by, address, first_us, seen_us, decided_us, "        \
    "rival_fingerprint, rival_address, rival_us, " RUNNER_COLUMNS

static const char SQL_WORKERS_ALL[] = "SELECT " WORKER_COLUMNS " FROM identity_workers";

static const char SQL_WORKERS_AFTER[] = "SELECT " WORKER_COLUMNS " FROM identity_workers "
                                        "WHERE fingerprint > $1 ORDER BY fingerprint LIMIT $2";

static const char SQL_WORKER_PUT[] =
    "INSERT INTO identity_workers (" WORKER_COLUMNS ") "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) "
    "ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name, state = excluded.state, "
    "trust = excluded.trust, decided_by = excluded.decided_by, address = excluded.address, "
    "first_us = excluded.first_us, seen_us = excluded.seen_us, decided_us = excluded.decided_us, "
    "rival_fingerprint = excluded.rival_fingerprint, rival_address = excluded.rival_address, "
    "rival_us = excluded.rival_us, class = excluded.class, for_user = excluded.for_user, "
    "for_groups = excluded.for_groups, for_job = excluded.for_job";

static const char SQL_WORKER_FORGET[] = "DELETE FROM identity_workers WHERE fingerprint = $1";

static const char SQL_WORKERS_FORGET_TRUST[] = "DELETE FROM identity_workers WHERE trust = $1";

#endif
