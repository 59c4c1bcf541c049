// The answers of a streamed job, in the order of its items.
#ifndef LODE_PROGRAMS_CLI_ANSWERS_H
#define LODE_PROGRAMS_CLI_ANSWERS_H

#include "cli/follow.h"

// Prints the answers to standard output as they come until the job has ended; otherwise as follow_job.
enum status answers_follow(struct contact *contact, const struct follow_options *options,
                           json_t **job, struct error *error);

#endif
