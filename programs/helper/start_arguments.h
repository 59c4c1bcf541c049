// The command line of the worker that a request asks for.
#ifndef LODE_PROGRAMS_HELPER_START_ARGUMENTS_H
#define LODE_PROGRAMS_HELPER_START_ARGUMENTS_H

#include "helper/message.h"

// NULL-terminated; start_arguments_free frees it. Each value is in one argument with its option, so that none can be taken for an option; the invitation is not among them.
char **start_arguments(const char *program, const char *directory,
                       const struct helper_request *request);
void start_arguments_free(char **arguments);

#endif
