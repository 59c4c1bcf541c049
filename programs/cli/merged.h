// What the parts of a merged job wrote on standard error, and which of them failed: their output goes to the merge, this is for who runs it.
#ifndef LODE_PROGRAMS_CLI_MERGED_H
#define LODE_PROGRAMS_CLI_MERGED_H

#include "base/json.h"
#include "cli/contact.h"

// Says it of each part of the job, once that has ended, on standard error; each line begins with the part's site and job. What cannot be read is left out.
void merged_say_parts(struct contact *contact, const json_t *job);

#endif
