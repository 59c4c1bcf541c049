// What became of the machines of a pool, for people and for programs.
#ifndef LODE_PROGRAMS_POOL_REPORT_H
#define LODE_PROGRAMS_POOL_REPORT_H

#include "pool/talk.h"

// Prints it; returns the exit status: 0 when all machines are as was asked for.
int pool_report(const struct pool *pool, const struct talk *talks);

#endif
