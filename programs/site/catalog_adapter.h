// What the queue asks of the catalogue, answered by the catalogue of this site.
#ifndef LODE_PROGRAMS_SITE_CATALOG_ADAPTER_H
#define LODE_PROGRAMS_SITE_CATALOG_ADAPTER_H

#include "prepare/catalog_ops.h"

// The context is the struct catalog.
extern const struct prepare_catalog_ops CATALOG_ADAPTER;

#endif
