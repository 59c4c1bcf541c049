// Paths from outside: are they fit to be registered, or to be looked for in a dataset? Pure.
#ifndef LODE_CATALOG_PATH_H
#define LODE_CATALOG_PATH_H

#include "base/status.h"
#include "base/text.h"

// A path to register: absolute, at most CATALOG_PATH_MAX bytes of UTF-8, without control characters and parts "." or "..", and not
// the root folder. *last is its last part, borrowed. INVALID says what is wrong.
enum status path_check_absolute(struct text path, struct text *last, struct error *error);

// A path of a file in a dataset: relative, without empty parts, otherwise as above.
enum status path_check_relative(struct text path, struct error *error);

#endif
