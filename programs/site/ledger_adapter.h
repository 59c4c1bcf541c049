// What the catalogue publishes, entered into the site's own log.
#ifndef LODE_PROGRAMS_SITE_LEDGER_ADAPTER_H
#define LODE_PROGRAMS_SITE_LEDGER_ADAPTER_H

#include "catalog/catalog.h"
#include "ledger/ledger.h"

struct catalog_publisher ledger_publisher(struct ledger *ledger);

// Enters, once in the life of a site, the datasets that were registered before there was a log.
enum status ledger_adopt_datasets(struct store *store, struct catalog *catalog,
                                  struct error *error);

#endif
