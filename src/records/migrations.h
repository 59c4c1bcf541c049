// The schema of the queue.
#ifndef LODE_RECORDS_MIGRATIONS_H
#define LODE_RECORDS_MIGRATIONS_H

#include "store/store.h"

extern const struct store_migration QUEUE_MIGRATIONS[];
extern const size_t QUEUE_MIGRATION_COUNT;

#endif
