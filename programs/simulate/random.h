// Numbers that look random and follow from a seed (splitmix64).
#ifndef LODE_PROGRAMS_SIMULATE_RANDOM_H
#define LODE_PROGRAMS_SIMULATE_RANDOM_H

#include <stdint.h>

static inline uint64_t random_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

static inline uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ULL;
    return random_mix(*state);
}

// From 0 to below 1.
static inline double random_part(uint64_t value)
{
    return (double)(value >> 11) * 0x1p-53;
}

static inline double random_between(uint64_t *state, double low, double high)
{
    return low + (high - low) * random_part(random_next(state));
}

static inline uint64_t random_below(uint64_t *state, uint64_t end)
{
    return random_next(state) % end;
}

#endif
