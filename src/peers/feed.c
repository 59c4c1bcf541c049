#include "peers/feed.h"

#include <stdio.h>

void feed_touch(struct feed *feed, struct feed_entry *entry)
{
    if (entry->change > 0 && feed->newest != entry) {
        *(entry->older ? &entry->older->newer : &feed->oldest) = entry->newer;
        entry->newer->older = entry->older;
    }
    if (feed->newest != entry) {
        entry->older = feed->newest;
        entry->newer = NULL;
        *(feed->newest ? &feed->newest->newer : &feed->oldest) = entry;
        feed->newest = entry;
    }
    entry->change = ++feed->changes;
}

// From the newest: readers are mostly a few changes behind.
struct feed_entry *feed_after(const struct feed *feed, uint64_t change)
{
    if (change == 0) {
        return feed->oldest;
    }
    struct feed_entry *first = NULL;
    for (struct feed_entry *each = feed->newest; each && each->change > change;
         each = each->older) {
        first = each;
    }
    return first;
}

enum { INSTANCE_DIGITS = 16 };

char *feed_write_cursor(const struct feed *feed, uint64_t change, char out[FEED_CURSOR_SIZE])
{
    (void)snprintf(out, FEED_CURSOR_SIZE, "%016llx-%llu", (unsigned long long)feed->instance,
                   (unsigned long long)change);
    return out;
}

uint64_t feed_read_cursor(const struct feed *feed, struct text cursor)
{
    char own[FEED_CURSOR_SIZE];
    int64_t number = 0;
    (void)feed_write_cursor(feed, 0, own);
    struct text instance = {own, INSTANCE_DIGITS + 1};
    if (!text_starts_with(cursor, instance) ||
        !text_to_int64(text_slice(cursor, instance.length, cursor.length), &number) || number < 0 ||
        (uint64_t)number > feed->changes) {
        return 0;
    }
    return (uint64_t)number;
}
