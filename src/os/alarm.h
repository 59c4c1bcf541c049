// Calls a function at a time: a thread that sleeps until the earliest one that was asked for.
#ifndef LODE_OS_ALARM_H
#define LODE_OS_ALARM_H

#include "base/status.h"

#include <stdint.h>

struct alarm;

// `ring(context)` is called on the alarm's thread, once for each time that came.
enum status alarm_new(void (*ring)(void *context), void *context, struct alarm **out,
                      struct error *error);
// No ring comes after that. NULL is allowed.
void alarm_free(struct alarm *alarm);

// Rings at `at_us` (steady clock), unless it rings sooner anyway; then it must be set again. Any thread.
void alarm_set(struct alarm *alarm, int64_t at_us);

#endif
