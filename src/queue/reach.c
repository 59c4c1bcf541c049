#include "queue/reach.h"

#include "base/memory.h"
#include "os/address.h"
#include "os/clock.h"

#include <stdio.h>

enum { MISSES_MAX = 3 }; // With so many others; then it is left alone for MISSED_US.
#define MISSED_US INT64_C(600000000)

void reach_note(struct worker *worker, const char *address)
{
    if (!worker->reach) {
        worker->reach = NEW(struct reach);
    }
    (void)snprintf(worker->reach->seen, sizeof worker->reach->seen, "%s", address);
}

static const char *zone_of(const struct worker *worker)
{
    for (size_t i = 0; i < worker->label_count; i++) {
        if (label_fits(worker->labels[i], "zone")) {
            return worker->labels[i];
        }
    }
    return "";
}

static struct text seen_address(const struct worker *worker)
{
    return text_of(worker->reach ? worker->reach->seen : "");
}

// Its address by its own word, as far as it has said one.
static struct text own_address(const struct worker *worker)
{
    return worker->serve_url[0] != '\0' ? address_host(text_of(worker->serve_url))
                                        : seen_address(worker);
}

bool reach_is_near(const struct worker *a, const struct worker *b)
{
    const char *zone_a = zone_of(a);
    const char *zone_b = zone_of(b);
    if (zone_a[0] != '\0' && zone_b[0] != '\0') {
        return strcmp(zone_a, zone_b) == 0;
    }
    struct text own_a = own_address(a);
    struct text own_b = own_address(b);
    bool is_plain = address_text_is_same(own_a, seen_address(a)) &&
                    address_text_is_same(own_b, seen_address(b));
    return address_text_is_near(own_a, own_b) &&
           (is_plain || address_text_is_same(seen_address(a), seen_address(b)));
}

static bool is_missed(const struct misses *misses)
{
    return misses->count >= MISSES_MAX && clock_steady_us() - misses->at_us < MISSED_US;
}

bool reach_may_give(const struct worker *holder, const struct worker *taker)
{
    bool is_out = holder->reach && is_missed(&holder->reach->given);
    return !is_out && (!holder->serves_near || reach_is_near(holder, taker));
}

bool reach_is_alone(const struct worker *taker)
{
    return taker->reach && is_missed(&taker->reach->taken);
}

static void note(struct misses *misses, int64_t other, bool has_reached)
{
    if (has_reached) {
        *misses = (struct misses){0};
    } else if (misses->last != other) { // Several files of one are one miss.
        *misses = (struct misses){other, misses->count + 1, clock_steady_us()};
    }
}

void reach_note_end(struct worker *holder, struct worker *taker, bool has_reached)
{
    if (holder->reach && taker->reach) {
        note(&holder->reach->given, taker->id, has_reached);
        note(&taker->reach->taken, holder->id, has_reached);
    }
}
