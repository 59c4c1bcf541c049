// The clocks. Only os/ reads them; everything else is handed the time.
#ifndef LODE_OS_CLOCK_H
#define LODE_OS_CLOCK_H

#include <stdint.h>

// Wall-clock time in microseconds since 1970-01-01T00:00:00Z.
int64_t clock_real_us(void);

// Time that never jumps, in microseconds since some moment; for time-outs and durations.
int64_t clock_steady_us(void);

// The same from another moment, but it also goes on while the machine is asleep, as the wall clock does.
int64_t clock_boot_us(void);

#endif
