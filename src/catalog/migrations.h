// The tables of the catalogue, for store_open.
#ifndef LODE_CATALOG_MIGRATIONS_H
#define LODE_CATALOG_MIGRATIONS_H

#include "store/store.h"

extern const struct store_migration CATALOG_MIGRATIONS[];
extern const size_t CATALOG_MIGRATION_COUNT;

#endif
