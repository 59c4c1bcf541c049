// Names that nobody knew a moment ago, in memory: so that asking again costs no hub anything.
#ifndef LODE_RESOLVE_UNKNOWN_H
#define LODE_RESOLVE_UNKNOWN_H

#include "base/status.h"
#include "base/text.h"

struct unknown_names;

// Not for several threads at once.
struct unknown_names *unknown_names_new(size_t count_max);
void unknown_names_free(struct unknown_names *names); // NULL is allowed.

// Notes that `name` was unknown, as `error` says; the oldest one makes room.
void unknown_names_add(struct unknown_names *names, struct text name, const struct error *error,
                       int64_t until_us);

// Was it unknown, and is that still to be believed at `now_us`? *out gets the error it was noted with.
bool unknown_names_find(const struct unknown_names *names, struct text name, int64_t now_us,
                        struct error *out);

// It is known now.
void unknown_names_remove(struct unknown_names *names, struct text name);

#endif
