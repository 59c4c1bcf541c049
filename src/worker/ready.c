#include "worker/ready.h"

#include "base/memory.h"

void ready_done(struct ready *ready)
{
    buffer_done(&ready->text);
    free(ready->parts);
    *ready = (struct ready){0};
}

static void end_part(struct ready *ready)
{
    if (ready->part_count == ready->part_capacity) {
        ready->part_capacity = ready->part_capacity ? ready->part_capacity * 2 : 4;
        ready->parts = memory_resize(ready->parts, ready->part_capacity, sizeof *ready->parts);
    }
    ready->parts[ready->part_count++] = (struct ready_part){ready->text.length, ready->to};
    ready->entries = 0;
}

void ready_add(struct ready *ready, struct text entry, int64_t to)
{
    size_t begin = ready->part_count > 0 ? ready->parts[ready->part_count - 1].length : 0;
    if (ready->text.length > 0) {
        buffer_append_byte(&ready->text, ',');
    }
    buffer_append_text(&ready->text, entry);
    ready->to = to;
    ready->entries++;
    if (ready->text.length - begin >= READY_PART_BYTES || ready->entries >= READY_PART_ENTRIES) {
        end_part(ready);
    }
}

struct text ready_send(struct ready *ready)
{
    bool is_whole = ready->part_count == 0;
    ready->sent_length = is_whole ? ready->text.length : ready->parts[0].length;
    ready->sent_to = is_whole ? ready->to : ready->parts[0].to;
    return text_slice(buffer_text(&ready->text), 0, ready->sent_length);
}

bool ready_settle(struct ready *ready, int64_t *to)
{
    size_t gone = ready->sent_length;
    size_t kept = 0;
    if (gone == 0) {
        return false;
    }
    *to = ready->sent_to;
    gone += ready->text.length > gone ? 1 : 0; // The comma behind it.
    for (size_t i = 0; i < ready->part_count; i++) {
        if (ready->parts[i].length > gone) {
            ready->parts[kept] = ready->parts[i];
            ready->parts[kept++].length -= gone;
        }
    }
    ready->part_count = kept;
    buffer_consume(&ready->text, gone);
    ready->entries = ready->text.length > 0 ? ready->entries : 0;
    ready->sent_length = 0;
    return true;
}

void ready_unsend(struct ready *ready)
{
    ready->sent_length = 0;
}
