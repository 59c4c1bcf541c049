#include "worker/entries.h"

void entries_done(struct entries *entries)
{
    buffer_done(&entries->text);
    entries->sent = 0;
}

struct buffer *entries_add(struct entries *entries)
{
    if (entries->text.length > 0) {
        buffer_append_byte(&entries->text, ',');
    }
    return &entries->text;
}

struct text entries_send(struct entries *entries)
{
    entries->sent = entries->text.length;
    return buffer_text(&entries->text);
}

void entries_settle(struct entries *entries)
{
    // A comma is between what was sent and what came meanwhile. Where nothing was sent the first element has none before it.
    bool has_comma = entries->sent > 0 && entries->text.length > entries->sent;
    buffer_consume(&entries->text, entries->sent + (has_comma ? 1 : 0));
    entries->sent = 0;
}

void entries_unsend(struct entries *entries)
{
    entries->sent = 0;
}
