#include "ledger/ledger.h"

// Identifiers and entries are BLOB_TYPE: they are compared byte by byte in every database.
const struct store_migration LEDGER_MIGRATIONS[] = {
    {"ledger", 1,
     "CREATE TABLE ledger_log ("
     "one BIGINT PRIMARY KEY, "
     "epoch BIGINT NOT NULL, "
     "serial BIGINT NOT NULL, "
     "head BLOB_TYPE NOT NULL, "
     "is_complete BIGINT NOT NULL);\n"
     "CREATE TABLE ledger_entries ("
     "epoch BIGINT NOT NULL, "
     "serial BIGINT NOT NULL, "
     "chain BLOB_TYPE NOT NULL, "
     "entry BLOB_TYPE NOT NULL, "
     "PRIMARY KEY (epoch, serial));\n"
     "CREATE TABLE ledger_datasets ("
     "id BLOB_TYPE PRIMARY KEY, "
     "epoch BIGINT NOT NULL, "
     "serial BIGINT NOT NULL, "
     "said BLOB_TYPE NOT NULL);\n"
     "CREATE INDEX ledger_datasets_epoch ON ledger_datasets (epoch)"},
};
const size_t LEDGER_MIGRATION_COUNT = sizeof LEDGER_MIGRATIONS / sizeof LEDGER_MIGRATIONS[0];
