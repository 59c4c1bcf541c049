// The statements of the broker, portable SQL.
#ifndef LODE_BROKER_BROKER_SQL_H
#define LODE_BROKER_BROKER_SQL_H

static const char SQL_STAGING_INSERT[] =
    "INSERT INTO broker_staging (job, dataset, site, owner) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (job, dataset) DO NOTHING";
static const char SQL_STAGING_ALL[] =
    "SELECT job, dataset, site, owner FROM broker_staging ORDER BY job, dataset";
static const char SQL_STAGING_DELETE[] = "DELETE FROM broker_staging WHERE job = $1";

#endif
