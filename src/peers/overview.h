// The federation as the hubs of a site see it, read of them when somebody wants to look: what following.c does all the time at a hub, once.
//
// One round asks the hubs in turn, each for its part of the time, until one has told all that it has; its statements and heartbeats go into the table of sites, as at a hub.
// All who look meanwhile wait for the same round, and those who come soon after it look at what it brought. Guarded by the lock of peers.
#ifndef LODE_PEERS_OVERVIEW_H
#define LODE_PEERS_OVERVIEW_H

#include "peers/peers.h"

struct site;
struct turn;
struct looker;

struct overview {
    bool is_asking;
    struct site *hubs[PEERS_HUBS_MAX]; // Of this round.
    size_t hub_count;
    size_t next;
    struct site *asked;  // A call to it is due or under way; NULL: none.
    bool is_going_on;    // It has answered in this round, and has more.
    enum status failure; // Of the one that is asked: it has lied in this round, or not answered.
    int64_t deadline_us; // Of the round, on the steady clock.
    int64_t ended_us;    // Of the last round; 0: there was none.
    struct site *teller; // Who told all that it has, or most of it, last; NULL: nobody yet.
    int64_t told_us;     // When that was.
    bool is_told;        // In the last round.
    bool is_complete;
    size_t problem_count;
    char problems[PEERS_OVERVIEW_PROBLEMS_MAX][PEERS_OVERVIEW_PROBLEM_SIZE];
    struct looker *lookers;
    size_t looker_count;
};

// How long the hub that is asked has for its answer.
int64_t overview_timeout_us(struct peers *peers);
// The hub's feed was taken with this status; `has_more`: it was read to its end, and was full. Ends the turn, and goes on with the round. Without the lock.
void overview_take_turn(struct turn *turn, enum status status, bool has_more,
                        const struct error *error);
// Calls those who wait, without the lock.
void overview_wake_all(struct peers *peers);
void overview_free(struct peers *peers);

#endif
