// The tables of identity: tokens and the audit log.
#ifndef LODE_IDENTITY_MIGRATIONS_H
#define LODE_IDENTITY_MIGRATIONS_H

#include "store/store.h"

extern const struct store_migration IDENTITY_MIGRATIONS[];
extern const size_t IDENTITY_MIGRATION_COUNT;

#endif
