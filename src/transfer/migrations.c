#include "transfer/transfer.h"

const struct store_migration TRANSFER_MIGRATIONS[] = {
    {"transfer", 1,
     "CREATE TABLE transfers (transfer BIGINT PRIMARY KEY, dataset BLOB_TYPE NOT NULL,"
     " owner TEXT NOT NULL, wanted_site TEXT NOT NULL, state BIGINT NOT NULL,"
     " source TEXT NOT NULL, problem TEXT NOT NULL, files_total BIGINT NOT NULL,"
     " bytes_total BIGINT NOT NULL, ordered_us BIGINT NOT NULL, finished_us BIGINT NOT NULL);\n"
     "CREATE INDEX transfers_active ON transfers (finished_us, transfer)"},
    {"transfer", 2, "ALTER TABLE transfers ADD COLUMN wanted_content TEXT NOT NULL DEFAULT ''"},
};
const size_t TRANSFER_MIGRATION_COUNT = sizeof TRANSFER_MIGRATIONS / sizeof TRANSFER_MIGRATIONS[0];
