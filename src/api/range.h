// The Range header of a request for bytes (RFC 9110 section 14), one range only.
#ifndef LODE_API_RANGE_H
#define LODE_API_RANGE_H

#include "base/text.h"

enum range_kind {
    RANGE_WHOLE, // No header, another unit, several ranges or malformed: the whole is sent (RFC 9110 allows it).
    RANGE_PART,          // [*from, *to) of the `size` bytes.
    RANGE_UNSATISFIABLE, // Answer 416.
};

enum range_kind range_parse(struct text header, int64_t size, int64_t *from, int64_t *to);

#endif
