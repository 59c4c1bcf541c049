#include "identity/migrations.h"

const struct store_migration IDENTITY_MIGRATIONS[] = {
    {"identity", 1,
     "CREATE TABLE identity_tokens (\n"
     "    id BIGINT PRIMARY KEY,\n"
     "    digest BLOB_TYPE NOT NULL UNIQUE,\n"
     "    name TEXT NOT NULL,\n"
     "    role TEXT NOT NULL,\n"
     "    label TEXT NOT NULL,\n"
     "    created_us BIGINT NOT NULL,\n"
     "    expires_us BIGINT NOT NULL,\n"
     "    revoked_us BIGINT NOT NULL\n"
     ");\n"
     "CREATE TABLE identity_audit (\n"
     "    id BIGINT PRIMARY KEY,\n"
     "    at_us BIGINT NOT NULL,\n"
     "    principal TEXT NOT NULL,\n"
     "    action TEXT NOT NULL,\n"
     "    object TEXT NOT NULL,\n"
     "    reason TEXT NOT NULL,\n"
     "    digest BLOB_TYPE NOT NULL\n"
     ")"},
};
const size_t IDENTITY_MIGRATION_COUNT = sizeof IDENTITY_MIGRATIONS / sizeof IDENTITY_MIGRATIONS[0];
