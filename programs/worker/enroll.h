// How a worker's key is accepted by an invitation, which was made at the site before.
#ifndef LODE_PROGRAMS_WORKER_ENROLL_H
#define LODE_PROGRAMS_WORKER_ENROLL_H

#include "base/json.h"
#include "worker/choose.h"
#include "worker/trust.h"

// Shows the site the worker's key together with the token; *out is the key as the site knows it from then on (a new reference). INVALID when the token has not
// the form of one.
enum status worker_enroll(const struct worker_site *site, const struct worker_key *key,
                          struct text token, const char *name, json_t **out, struct error *error);

#endif
