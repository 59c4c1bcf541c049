// The worker that a person means: by its number, or by its name where that is one's alone.
#ifndef LODE_PROGRAMS_CLI_WORKER_NAME_H
#define LODE_PROGRAMS_CLI_WORKER_NAME_H

#include "cli/contact.h"

// Of several of the name the one that is here; where none is, the last one that is gone. NOT_FOUND: there is none but lost ones.
// CONFLICT: several are here.
enum status worker_named(struct contact *contact, const char *word, int64_t *number,
                         struct error *error);

#endif
