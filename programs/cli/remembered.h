// What the client remembers of where data is: signed answers, and the hubs that its site told it about.
//
// Below $XDG_CACHE_HOME/lode (or ~/.cache/lode): `answers/<SHA-256 of the identifier>`, at most ANSWERS_KEPT_MAX of them, and `hubs`. Everything in
// there may be lost without harm; what is read from there is verified like an answer of a stranger.
#ifndef LODE_PROGRAMS_CLI_REMEMBERED_H
#define LODE_PROGRAMS_CLI_REMEMBERED_H

#include "base/json.h"
#include "resolve/resolve.h"

enum { ANSWERS_KEPT_MAX = 1000 };

// Keeps an answer; the one that was kept longest makes room.
enum status remembered_save(struct text name, const json_t *answer, int64_t now_us,
                            struct error *error);
// *answer is a new reference, *answered_us when it was given. NOT_FOUND.
enum status remembered_find(struct text name, json_t **answer, int64_t *answered_us,
                            struct error *error);

// [{"site", "name", "url"}, ...], as a site writes it.
enum status remembered_save_hubs(const json_t *hubs, struct error *error);
// At most `max`; what is not well-formed is left out.
size_t remembered_hubs(struct resolve_hub *out, size_t max);

#endif
