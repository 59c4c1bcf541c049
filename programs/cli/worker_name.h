// The worker that a person means: by its number, or by its name where that is one's alone.
#ifndef LODE_PROGRAMS_CLI_WORKER_NAME_H
#define LODE_PROGRAMS_CLI_WORKER_NAME_H

#include "cli/contact.h"

// NOT_FOUND: there is none of the name that is not lost. CONFLICT: there are several.
enum status worker_named(struct contact *contact, const char *word, int64_t *number,
                         struct error *error);

#endif
