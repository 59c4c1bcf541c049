// Tells the publisher of a dataset as others may know it, within the write that changed it.
#ifndef LODE_CATALOG_PUBLISH_H
#define LODE_CATALOG_PUBLISH_H

#include "catalog/catalog.h"

// Does nothing without a publisher, and for a dataset that is under survey or could not be registered: what was told last holds until
// that is decided.
enum status publish_dataset(const struct catalog_publisher *publisher, struct sql *sql,
                            int64_t number, struct error *error);
enum status publish_removal(const struct catalog_publisher *publisher, struct sql *sql,
                            const char *id, struct error *error);

#endif
