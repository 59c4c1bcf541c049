#include "fetch/unreached.h"

#include <inttypes.h>

static size_t kept(const struct unreached *unreached)
{
    return unreached->count < UNREACHED_MAX ? unreached->count : UNREACHED_MAX;
}

void unreached_add(struct unreached *unreached, int64_t worker, int64_t now_us)
{
    size_t at = 0;
    while (at < kept(unreached) && unreached->items[at].worker != worker) {
        at++;
    }
    if (at == kept(unreached)) {
        at = unreached->count++ % UNREACHED_MAX;
    }
    unreached->items[at].worker = worker;
    unreached->items[at].until_us = now_us + UNREACHED_US;
}

void unreached_write(const struct unreached *unreached, int64_t now_us, struct buffer *out)
{
    bool is_first = true;
    for (size_t i = 0; i < kept(unreached); i++) {
        if (now_us < unreached->items[i].until_us) {
            buffer_printf(out, "%s%" PRId64, is_first ? ",\"unreached\":[" : ",",
                          unreached->items[i].worker);
            is_first = false;
        }
    }
    buffer_append_string(out, is_first ? "" : "]");
}
