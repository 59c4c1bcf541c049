#include "base/ranges.h"

#include "base/memory.h"

#include <string.h>

void ranges_done(struct ranges *ranges)
{
    free(ranges->items);
    *ranges = (struct ranges){0};
}

// The first range that ends at or after `index`.
static size_t lower_bound(const struct ranges *ranges, int64_t index)
{
    size_t low = 0;
    size_t high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->items[middle].to < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Replaces `old_count` ranges at `at` by `new_count` undefined ones.
static void splice(struct ranges *ranges, size_t at, size_t old_count, size_t new_count)
{
    if (old_count == new_count) {
        return;
    }
    size_t count = ranges->count - old_count + new_count;
    if (count > ranges->capacity) {
        ranges->capacity = count * 2;
        ranges->items = memory_resize(ranges->items, ranges->capacity, sizeof *ranges->items);
    }
    memmove(ranges->items + at + new_count, ranges->items + at + old_count,
            (ranges->count - at - old_count) * sizeof *ranges->items);
    ranges->count = count;
}

int64_t ranges_add(struct ranges *ranges, int64_t from, int64_t to)
{
    if (from >= to) {
        return 0;
    }
    struct range *last = ranges->count > 0 ? &ranges->items[ranges->count - 1] : NULL;
    if (last && from == last->to) {
        last->to = to; // Tasks mostly finish in order.
        return to - from;
    }
    size_t first = lower_bound(ranges, from);
    size_t end = first;
    int64_t added = to - from;
    struct range merged = {from, to};
    while (end < ranges->count && ranges->items[end].from <= to) {
        const struct range *each = &ranges->items[end++];
        int64_t low = each->from > from ? each->from : from;
        int64_t high = each->to < to ? each->to : to;
        added -= high > low ? high - low : 0;
        merged.from = each->from < merged.from ? each->from : merged.from;
        merged.to = each->to > merged.to ? each->to : merged.to;
    }
    if (end == first) {
        splice(ranges, first, 0, 1);
    } else {
        splice(ranges, first, end - first, 1);
    }
    ranges->items[first] = merged;
    return added;
}

int64_t ranges_remove(struct ranges *ranges, int64_t from, int64_t to)
{
    if (from >= to) {
        return 0;
    }
    size_t first = lower_bound(ranges, from + 1);
    size_t end = first;
    int64_t removed = 0;
    struct range keep[2];
    size_t keep_count = 0;
    while (end < ranges->count && ranges->items[end].from < to) {
        struct range each = ranges->items[end++];
        if (each.from < from) {
            keep[keep_count++] = (struct range){each.from, from};
        }
        if (each.to > to) {
            keep[keep_count++] = (struct range){to, each.to};
        }
        int64_t low = each.from > from ? each.from : from;
        int64_t high = each.to < to ? each.to : to;
        removed += high - low;
    }
    if (end > first) {
        splice(ranges, first, end - first, keep_count);
        memcpy(ranges->items + first, keep, keep_count * sizeof keep[0]);
    }
    return removed;
}

bool ranges_contains(const struct ranges *ranges, int64_t index)
{
    size_t at = lower_bound(ranges, index + 1);
    return at < ranges->count && ranges->items[at].from <= index;
}

int64_t ranges_total(const struct ranges *ranges)
{
    int64_t total = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        total += ranges->items[i].to - ranges->items[i].from;
    }
    return total;
}

bool ranges_take(struct ranges *ranges, int64_t count_max, struct range *out)
{
    if (ranges->count == 0 || count_max <= 0) {
        return false;
    }
    struct range *first = &ranges->items[0];
    int64_t have = first->to - first->from;
    int64_t count = have < count_max ? have : count_max;
    *out = (struct range){first->from, first->from + count};
    first->from += count;
    if (first->from == first->to) {
        splice(ranges, 0, 1, 0);
    }
    return true;
}

bool ranges_first_gap(const struct ranges *ranges, int64_t from, int64_t to, struct range *out)
{
    size_t at = lower_bound(ranges, from + 1);
    if (at < ranges->count && ranges->items[at].from <= from) {
        from = ranges->items[at++].to;
    }
    if (from >= to) {
        return false;
    }
    int64_t end = at < ranges->count && ranges->items[at].from < to ? ranges->items[at].from : to;
    *out = (struct range){from, end};
    return true;
}

bool ranges_first_overlap(const struct ranges *ranges, int64_t from, int64_t to, struct range *out)
{
    size_t at = lower_bound(ranges, from + 1);
    if (from >= to || at >= ranges->count || ranges->items[at].from >= to) {
        return false;
    }
    const struct range *found = &ranges->items[at];
    *out = (struct range){found->from > from ? found->from : from, found->to < to ? found->to : to};
    return true;
}
