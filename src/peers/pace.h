// When to try next: pure functions of intervals, failures and a given random number.
#ifndef LODE_PEERS_PACE_H
#define LODE_PEERS_PACE_H

#include "peers/peers.h"

// How far in the future the next turn of something regular is: between half an interval and a whole one, so that sites which
// started together drift apart and none is ever late. `random` is any 32 bits.
int64_t pace_next_us(int64_t interval_us, uint32_t random);

// A full jitter: anything from 0 to `interval_us`.
int64_t pace_spread_us(int64_t interval_us, uint32_t random);

// The pause after `failures` failures in a row (from 1): a random part of `base_us` doubled that often, of at most `most_us`; never
// less than a quarter of `base_us`, lest a refusal that comes at once is asked for at once.
int64_t pace_after_failure_us(int64_t base_us, int64_t most_us, unsigned failures, uint32_t random);

// How alive is a site that was heard `silent_us` ago (negative: never) and asked to be taken as alive for `ttl_us`?
enum peer_liveness pace_liveness(int64_t silent_us, int64_t ttl_us);

#endif
