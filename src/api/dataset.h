// What more than one call says of a dataset.
#ifndef LODE_API_DATASET_H
#define LODE_API_DATASET_H

#include "base/json.h"
#include "catalog/catalog.h"

// [{"path", "mount", "kind"}, ...]: where it lies on this machine. A new reference.
json_t *dataset_roots_json(const struct dataset *dataset);

#endif
