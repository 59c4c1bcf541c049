// Who may make a worker's credential of which class, and what is not said of it.
#ifndef LODE_API_RUNNER_MAKING_H
#define LODE_API_RUNNER_MAKING_H

#include "api/api.h"

// Fills in whose jobs it is for, where that is not said: of a runner of one job the job's owner, else the caller. DENIED when the caller may not
// make it; NOT_FOUND: there is no such job or group; INVALID as runner_check. Waits for the database.
enum status runner_making_complete(const struct api_call *call, struct runner *runner,
                                   struct error *error);

// "class", "user", "groups", "job" as in documents.
void runner_describe(const struct runner *runner, json_t *out);

#endif
