#include "resolve/resolve.h"

// What was answered about a name, so that it can be answered again when no hub is there. Names are BLOB_TYPE: they compare byte by byte.
const struct store_migration RESOLVE_MIGRATIONS[] = {
    {"resolve", 1,
     "CREATE TABLE resolve_remembered ("
     "name BLOB_TYPE PRIMARY KEY, "
     "answer BLOB_TYPE NOT NULL, "
     "answered_us BIGINT NOT NULL);\n"
     "CREATE INDEX resolve_remembered_answered ON resolve_remembered (answered_us)"},
};
const size_t RESOLVE_MIGRATION_COUNT = sizeof RESOLVE_MIGRATIONS / sizeof RESOLVE_MIGRATIONS[0];
