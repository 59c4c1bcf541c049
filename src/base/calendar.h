// Times as RFC 3339 UTC text. In the program a time is int64_t microseconds since 1970-01-01T00:00:00Z.
#ifndef LODE_BASE_CALENDAR_H
#define LODE_BASE_CALENDAR_H

#include "base/text.h"

enum { CALENDAR_TEXT_SIZE = 32 };

// Writes "2026-11-21T10:00:00.123456Z" (no fraction when it is zero) and a NUL; returns `out`. Years 0 to 9999.
char *calendar_format(int64_t time_us, char out[CALENDAR_TEXT_SIZE]);

// Reads such a text (any number of fraction digits, "Z" or a numeric offset); false when it is not one.
bool calendar_parse(struct text text, int64_t *time_us);

#endif
