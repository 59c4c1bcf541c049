#include "broker/broker.h"

// Jobs that are held until data is at the site where they run ('' is this one). The rows of a job go when it is let go or has failed.
const struct store_migration BROKER_MIGRATIONS[] = {
    {"broker", 1,
     "CREATE TABLE broker_staging (job BIGINT NOT NULL, dataset BLOB_TYPE NOT NULL,"
     " site TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (job, dataset))"},
    // How often a job was refused as it was planned, and whether it is being planned anew.
    {"broker", 2,
     "CREATE TABLE broker_replans (job BIGINT PRIMARY KEY, tries BIGINT NOT NULL,"
     " is_pending BIGINT NOT NULL, reason TEXT NOT NULL)"},
    // The content that the job is for; '': whatever the dataset has.
    {"broker", 3, "ALTER TABLE broker_staging ADD COLUMN content TEXT NOT NULL DEFAULT ''"},
    // What was ordered for it, by its number where the data is to be; 0: nothing that is known.
    {"broker", 4, "ALTER TABLE broker_staging ADD COLUMN transfer BIGINT NOT NULL DEFAULT 0"},
};
const size_t BROKER_MIGRATION_COUNT = sizeof BROKER_MIGRATIONS / sizeof BROKER_MIGRATIONS[0];
