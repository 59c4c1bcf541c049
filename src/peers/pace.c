#include "peers/pace.h"

enum { DOWN_FACTOR = 3, DOUBLINGS_MAX = 30 };

static int64_t part_of(int64_t interval_us, uint32_t random)
{
    return (int64_t)((double)interval_us * ((double)random / (double)UINT32_MAX));
}

int64_t pace_next_us(int64_t interval_us, uint32_t random)
{
    int64_t half = interval_us / 2;
    return half + part_of(interval_us - half, random);
}

int64_t pace_spread_us(int64_t interval_us, uint32_t random)
{
    return part_of(interval_us, random);
}

int64_t pace_after_failure_us(int64_t base_us, int64_t most_us, unsigned failures, uint32_t random)
{
    int64_t range_us = base_us;
    for (unsigned i = 1; i < failures && i < DOUBLINGS_MAX && range_us < most_us; i++) {
        range_us *= 2;
    }
    range_us = range_us < most_us ? range_us : most_us;
    int64_t pause_us = part_of(range_us, random);
    return pause_us > base_us / 4 ? pause_us : base_us / 4;
}

enum peer_liveness pace_liveness(int64_t silent_us, int64_t ttl_us)
{
    if (silent_us < 0) {
        return LIVENESS_NEVER;
    }
    if (silent_us <= ttl_us) {
        return LIVENESS_UP;
    }
    return silent_us / DOWN_FACTOR <= ttl_us ? LIVENESS_STALE : LIVENESS_DOWN;
}
