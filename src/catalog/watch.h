// Those who wait for a survey to come further: woken on a thread of their own when something changed or their time is up.
#ifndef LODE_CATALOG_WATCH_H
#define LODE_CATALOG_WATCH_H

#include "base/status.h"
#include "catalog/meter.h"

struct watches;

// Looks at the meter, which is borrowed, while there are waiters.
enum status watches_new(struct meter *meter, struct watches **out, struct error *error);
// Drops those that still wait.
void watches_free(struct watches *watches);

// As catalog_ticket, catalog_watch and catalog_wake_all.
int64_t watches_ticket(struct watches *watches);
void watches_add(struct watches *watches, int64_t ticket, int64_t deadline_us,
                 void (*wake)(void *context), void *context);
void watches_end(struct watches *watches);

// Something changed: all who wait are woken.
void watches_change(struct watches *watches);

#endif
