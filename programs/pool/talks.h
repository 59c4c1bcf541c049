// The talks with all machines of a pool, several at once.
#ifndef LODE_PROGRAMS_POOL_TALKS_H
#define LODE_PROGRAMS_POOL_TALKS_H

#include "pool/talk.h"

// Talks with all of them; `talks` has room for one each, in the order of the hosts, and each is to be given to talk_done. Shows how far it is.
void talks_hold(struct pool *pool, struct talk *talks);

#endif
