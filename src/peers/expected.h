// Of which sites a hub knows how far their logs go, so that it can say that it has not all of them yet (mirror_lacking).
//
// What a site says of itself, signed, is expected of it. A site that came here before, and has not been heard since the start, or was just let in, may have more than is here:
// that is so until it is heard, or has not come for EXPECTED_HEARTBEATS. Nobody whom no operator has let in casts doubt on what a hub answers, and neither does one whose log is
// refused: nothing is expected of these. With the lock of peers held, where nothing else is said.
#ifndef LODE_PEERS_EXPECTED_H
#define LODE_PEERS_EXPECTED_H

#include "peers/state.h"

enum { EXPECTED_HEARTBEATS = 6 }; // A site that lost its hub tries again after five at most.

// It said that its log goes to here.
void expected_said(struct peers *peers, struct site *site, const struct ledger_position *position);
// It is to say how far its log goes.
void expected_unsaid(struct peers *peers, struct site *site, int64_t now_us);
// What others think of it, or of its log, has changed.
void expected_review(struct peers *peers, struct site *site);

// Gives up those that have not come; when to look again. The thread's, without the lock.
int64_t expected_run(struct peers *peers, int64_t now_us);

#endif
