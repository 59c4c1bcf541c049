// Output files of a job, brought into a local folder and never outside of it.
#ifndef LODE_PROGRAMS_CLI_FETCH_H
#define LODE_PROGRAMS_CLI_FETCH_H

#include "cli/contact.h"

// Fetches the outputs of a job into `folder` (made when missing): of a job with one task as folder/<path>, else
// folder/<index>/<path>. Each is checked against its digest before it gets its name; what is there already is not fetched
// again, and what was broken off goes on. *list (may be NULL) gets an array of what was fetched (a new reference).
enum status fetch_outputs(struct contact *contact, int64_t job, const char *folder, bool is_quiet,
                          json_t **list, struct error *error);

#endif
