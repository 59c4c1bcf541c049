// The statements of tokens.c.
#ifndef LODE_IDENTITY_TOKENS_SQL_H
#define LODE_IDENTITY_TOKENS_SQL_H

#include "identity/runner_columns.h"

static const char SQL_TOKEN_NEXT_ID[] = "SELECT COALESCE(MAX(id), 0) + 1 FROM identity_tokens";

static const char SQL_TOKEN_ADD[] = "INSERT INTO identity_tokens (id, name, role, label, "
                                    "created_us, expires_us, revoked_us, digest, " RUNNER_COLUMNS
                                    ") VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10, $11)";

static const char SQL_TOKEN_REVOKE[] =
    "UPDATE identity_tokens SET revoked_us = $2 WHERE id = $1 AND revoked_us = 0";

static const char SQL_TOKEN_END[] =
    "UPDATE identity_tokens SET expires_us = $2 WHERE id = $1 AND revoked_us = 0";

static const char SQL_TOKEN_VALID[] =
    "SELECT id, name, role, label, created_us, expires_us, revoked_us, " RUNNER_COLUMNS ", digest "
    "FROM identity_tokens WHERE revoked_us = 0 ORDER BY id";

static const char SQL_TOKEN_LIST[] =
    "SELECT id, name, role, label, created_us, expires_us, revoked_us, " RUNNER_COLUMNS
    " FROM identity_tokens WHERE id > $1 ORDER BY id LIMIT $2";

static const char SQL_TOKEN_LIST_OF[] =
    "SELECT id, name, role, label, created_us, expires_us, revoked_us, " RUNNER_COLUMNS
    " FROM identity_tokens WHERE name = $3 AND id > $1 ORDER BY id LIMIT $2";

#endif
