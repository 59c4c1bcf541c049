// A set of task indices as sorted, disjoint half-open ranges: a million finished tasks are one range.
#ifndef LODE_BASE_RANGES_H
#define LODE_BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
    int64_t from;
    int64_t to; // Exclusive.
};

// Embedded: struct ranges r = {0} is the empty set.
struct ranges {
    struct range *items; // Sorted; no two touch.
    size_t count;
    size_t capacity;
};

void ranges_done(struct ranges *ranges);

// Adds [from, to); returns how many indices were new.
int64_t ranges_add(struct ranges *ranges, int64_t from, int64_t to);

// Removes [from, to); returns how many indices were there.
int64_t ranges_remove(struct ranges *ranges, int64_t from, int64_t to);

bool ranges_contains(const struct ranges *ranges, int64_t index);

// How many indices are in the set.
int64_t ranges_total(const struct ranges *ranges);

// Takes up to `count_max` indices off the lowest range; false when the set is empty.
bool ranges_take(struct ranges *ranges, int64_t count_max, struct range *out);

// The first part of [from, to) that is not in the set; false when all of it is.
bool ranges_first_gap(const struct ranges *ranges, int64_t from, int64_t to, struct range *out);

// The first part of [from, to) that is in the set; false when nothing of it is.
bool ranges_first_overlap(const struct ranges *ranges, int64_t from, int64_t to, struct range *out);

#endif
