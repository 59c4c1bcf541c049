// How an attempt at a task ended, in the words and numbers for people.
#ifndef LODE_RECORDS_OUTCOME_H
#define LODE_RECORDS_OUTCOME_H

#include "base/buffer.h"
#include "jobs/retries.h"
#include "protocol/poll_parse.h"

// Why an attempt with this outcome came to nothing.
enum task_cause outcome_cause(enum poll_outcome outcome);
// The exit code that stands for an outcome: 128 + signal, 124 for walltime, 125 for other limits and faults.
int64_t outcome_exit_code(enum poll_outcome outcome, int64_t code);
const char *outcome_name(enum poll_outcome outcome);
// "exit status 2", or what the worker said.
void outcome_message(enum poll_outcome outcome, int64_t code, struct text detail,
                     struct buffer *out);

#endif
