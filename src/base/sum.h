// Sums of numbers from outside: what is too large for the type is its largest number, and no overflow.
#ifndef LODE_BASE_SUM_H
#define LODE_BASE_SUM_H

#include <stdint.h>

// a + b of two numbers that are not negative.
static inline int64_t sum_saturated(int64_t a, int64_t b)
{
    int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

#endif
