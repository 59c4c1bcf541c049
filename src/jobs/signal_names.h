// The signals that people may name: for a job's checkpoints, and of a batch system's warning.
#ifndef LODE_JOBS_SIGNAL_NAMES_H
#define LODE_JOBS_SIGNAL_NAMES_H

#include "base/text.h"

#define SIGNAL_NAMES "HUP, INT, QUIT, USR1, USR2 or TERM"

// The number of "USR1" or "SIGUSR1"; 0 for what is none of SIGNAL_NAMES.
int signal_from_name(struct text name);
// "USR1"; a static string. The number must be one that signal_from_name gives.
const char *signal_name(int number);

#endif
