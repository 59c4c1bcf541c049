#include "events.h"

#include "base/memory.h"

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
    while (at > 0 && is_before(&event, &queue->items[(at - 1) / 2])) {
        queue->items[at] = queue->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->items[at] = event;
}

bool event_queue_take(struct event_queue *queue, struct event *out)
{
    if (queue->count == 0) {
        return false;
    }
    *out = queue->items[0];
    struct event last = queue->items[--queue->count];
    size_t at = 0;
    for (size_t child = 1; child < queue->count; child = 2 * at + 1) {
        if (child + 1 < queue->count && is_before(&queue->items[child + 1], &queue->items[child])) {
            child++;
        }
        if (!is_before(&queue->items[child], &last)) {
            break;
        }
        queue->items[at] = queue->items[child];
        at = child;
    }
    if (queue->count > 0) {
        queue->items[at] = last;
    }
    return true;
}
