// Runners and the jobs that tests of their classes have: who comes, who submits, and what both name.
#ifndef LODE_TESTS_QUEUE_RUNNER_JOBS_H
#define LODE_TESTS_QUEUE_RUNNER_JOBS_H

#include "fixture.h"

#include "policy/runner.h"

extern const char ONE[];
extern const char FOR_PHYSICS[];
extern const char SPARE[];
extern const char FRESH_SPARE[];

extern const struct runner NOBODYS;
extern const struct runner ALICES;
extern const struct runner SPARES;

// What a checkpoint names: the digest of "1".
#define STATE                                                                                      \
    "[[\"state\",\"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b\",1,"   \
    "420]]"

// From now on this credential registers and polls.
void act_as(struct site *site, const char *principal, const struct runner *runner);
// It registers a worker with 8 cores.
int64_t come(struct site *site, const char *principal, const struct runner *runner);
int64_t submit_as(struct site *site, const char *owner, const char *document);
// The worker polls and is given so many leases.
void lease(struct site *site, int64_t worker, size_t count);

// The program that all jobs run, so that the cache can compare it.
void keep_program(struct site *site);
struct digest store_blob(struct site *site, struct text bytes);
// What STATE names, uploaded by who registers and polls.
void store_state(struct site *site);
// A member of the document; "" when it has none.
const char *text_in(const json_t *document, const char *name);

#endif
