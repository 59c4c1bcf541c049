#include "ledger/ledger.h"

// Identifiers and entries are BLOB_TYPE: they are compared byte by byte in every database. A batch of another site's log is one row, so that a log of
// millions of entries is thousands of rows; `batch` is a frame of store/compressed.h unless it was stored before there was `is_compressed`, `size_bytes` what it
// holds.
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
     "CREATE INDEX ledger_datasets_epoch ON ledger_datasets (epoch);\n"
     "CREATE TABLE mirror_sites ("
     "number BIGINT PRIMARY KEY, "
     "site TEXT NOT NULL, "
     "epoch BIGINT NOT NULL, "
     "serial BIGINT NOT NULL, "
     "head BLOB_TYPE NOT NULL, "
     "statement BLOB_TYPE NOT NULL);\n"
     "CREATE UNIQUE INDEX mirror_sites_site ON mirror_sites (site);\n"
     "CREATE TABLE mirror_batches ("
     "number BIGINT NOT NULL, "
     "epoch BIGINT NOT NULL, "
     "last BIGINT NOT NULL, "
     "first BIGINT NOT NULL, "
     "entries BIGINT NOT NULL, "
     "size_bytes BIGINT NOT NULL, "
     "head BLOB_TYPE NOT NULL, "
     "batch BLOB_TYPE NOT NULL, "
     "PRIMARY KEY (number, epoch, last))"},
    {"ledger", 2, "ALTER TABLE mirror_batches ADD COLUMN is_compressed BIGINT NOT NULL DEFAULT 0"},
};
const size_t LEDGER_MIGRATION_COUNT = sizeof LEDGER_MIGRATIONS / sizeof LEDGER_MIGRATIONS[0];
