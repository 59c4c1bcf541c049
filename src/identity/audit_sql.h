// The statements of audit.c.
#ifndef LODE_IDENTITY_AUDIT_SQL_H
#define LODE_IDENTITY_AUDIT_SQL_H

static const char SQL_AUDIT_LAST[] =
    "SELECT id, digest FROM identity_audit ORDER BY id DESC LIMIT 1";

static const char SQL_AUDIT_ADD[] =
    "INSERT INTO identity_audit (id, at_us, principal, action, object, reason, digest) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)";

static const char SQL_AUDIT_ALL[] =
    "SELECT id, at_us, principal, action, object, reason, digest FROM identity_audit ORDER BY id";

#endif
