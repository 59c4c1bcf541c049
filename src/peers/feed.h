// The feed of changes that other hubs read: who has changed since a point, told each once, however often that was.
//
// Its memory is two pointers and a number in each site, whatever readers do: a site that changes moves to the end of one list. Pure.
#ifndef LODE_PEERS_FEED_H
#define LODE_PEERS_FEED_H

#include "base/text.h"

struct feed_entry {
    uint64_t change; // The number of its last change; 0: it is not in the feed.
    struct feed_entry *older;
    struct feed_entry *newer;
};

struct feed {
    uint64_t instance; // Of this feed: numbers of another one mean nothing here.
    uint64_t changes;
    struct feed_entry *oldest;
    struct feed_entry *newest;
};

// The entry has changed.
void feed_touch(struct feed *feed, struct feed_entry *entry);

// The first entry that changed behind the number; NULL when none did. Walk on with `newer`.
struct feed_entry *feed_after(const struct feed *feed, uint64_t change);

// A cursor is text that only this feed can read: instance and number. `out` holds 40 bytes; returns `out`.
enum { FEED_CURSOR_SIZE = 40 };
char *feed_write_cursor(const struct feed *feed, uint64_t change, char out[FEED_CURSOR_SIZE]);
// The number; 0, which is the beginning, for a text that is no cursor of this feed.
uint64_t feed_read_cursor(const struct feed *feed, struct text cursor);

#endif
