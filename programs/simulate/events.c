#include "events.h"

#include "base/memory.h"

enum { HEAP_WIDTH = 4 }; // Children of a node: a flat heap touches less memory.

void event_queue_done(struct event_queue *queue)
{
    free(queue->items);
    *queue = (struct event_queue){0};
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->sequence < b->sequence;
}

void event_queue_add(struct event_queue *queue, struct event event)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 1024;
        queue->items = memory_resize(queue->items, queue->capacity, sizeof *queue->items);
    }
    event.sequence = queue->sequence++;
    size_t at = queue->count++;
    while (at > 0 && is_before(&event, &queue->items[(at - 1) / HEAP_WIDTH])) {
        queue->items[at] = queue->items[(at - 1) / HEAP_WIDTH];
        at = (at - 1) / HEAP_WIDTH;
    }
    queue->items[at] = event;
}

// The earliest of the children of `at`; queue->count when it has none.
static size_t first_child(const struct event_queue *queue, size_t at)
{
    size_t child = at * HEAP_WIDTH + 1;
    size_t first = child < queue->count ? child : queue->count;
    for (size_t end = child + HEAP_WIDTH; child < end && child < queue->count; child++) {
        if (is_before(&queue->items[child], &queue->items[first])) {
            first = child;
        }
    }
    return first;
}

bool event_queue_take(struct event_queue *queue, struct event *out)
{
    if (queue->count == 0) {
        return false;
    }
    *out = queue->items[0];
    struct event last = queue->items[--queue->count];
    size_t at = 0;
    for (size_t child = first_child(queue, at);
         child < queue->count && is_before(&queue->items[child], &last);
         child = first_child(queue, at)) {
        queue->items[at] = queue->items[child];
        at = child;
    }
    queue->items[at] = last;
    return true;
}
