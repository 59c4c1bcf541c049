// The statements of the broker, portable SQL.
#ifndef LODE_BROKER_BROKER_SQL_H
#define LODE_BROKER_BROKER_SQL_H

static const char SQL_STAGING_INSERT[] =
    "INSERT INTO broker_staging (job, dataset, site, owner, content) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (job, dataset) DO NOTHING";
static const char SQL_STAGING_ALL[] =
    "SELECT job, dataset, site, owner, content, transfer FROM broker_staging"
    " ORDER BY job, dataset";
static const char SQL_STAGING_ORDERED[] =
    "UPDATE broker_staging SET transfer = $3 WHERE job = $1 AND dataset = $2";
static const char SQL_STAGING_DELETE[] = "DELETE FROM broker_staging WHERE job = $1";

static const char SQL_REPLAN_COUNT[] =
    "INSERT INTO broker_replans (job, tries, is_pending, reason) VALUES ($1, 1, 1, $2)"
    " ON CONFLICT (job) DO UPDATE SET tries = broker_replans.tries + 1, is_pending = 1,"
    " reason = EXCLUDED.reason";
static const char SQL_REPLAN_TRIES[] = "SELECT tries FROM broker_replans WHERE job = $1";
static const char SQL_REPLANS_PENDING[] =
    "SELECT job, tries, reason FROM broker_replans WHERE is_pending = 1 ORDER BY job";
static const char SQL_REPLAN_DONE[] = "UPDATE broker_replans SET is_pending = 0 WHERE job = $1";

#endif
