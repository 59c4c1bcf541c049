// The statements of invitations.c.
#ifndef LODE_IDENTITY_INVITATIONS_SQL_H
#define LODE_IDENTITY_INVITATIONS_SQL_H

#include "identity/runner_columns.h"

static const char SQL_INVITATION_NEXT_ID[] =
    "SELECT COALESCE(MAX(id), 0) + 1 FROM identity_invitations";

static const char SQL_INVITATION_COUNT[] =
    "SELECT COUNT(*) FROM identity_invitations WHERE used_us = 0";

static const char SQL_INVITATION_DROP_OLD[] =
    "DELETE FROM identity_invitations WHERE expires_us <= $1";

static const char SQL_INVITATION_ADD[] =
    "INSERT INTO identity_invitations (id, digest, name, made_by, created_us, expires_us, "
    "used_us, " RUNNER_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)";

static const char SQL_INVITATION_FIND[] =
    "SELECT id, name, made_by, expires_us, used_us, " RUNNER_COLUMNS
    " FROM identity_invitations WHERE digest = $1";

static const char SQL_INVITATION_USE[] =
    "UPDATE identity_invitations SET used_us = $2 WHERE id = $1 AND used_us = 0";

#endif
