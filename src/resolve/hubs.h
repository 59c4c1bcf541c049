// Asking hubs over HTTP: connections that are kept, and a pause for a hub that let somebody wait.
#ifndef LODE_RESOLVE_HUBS_H
#define LODE_RESOLVE_HUBS_H

#include "resolve/resolve.h"

struct hubs;

// `directory` holds the key and certificate that calls are made with; NULL: none.
struct hubs *hubs_new(const char *directory);
void hubs_free(struct hubs *hubs); // NULL is allowed.

// What the hub answers about the name, unread. Any thread; blocks for at most `timeout_us`. NOT_FOUND: it answered that it knows of none; every other
// failure: it gave no answer. *document is what was answered also with NOT_FOUND. BUSY: it was not asked, as it let another wait a moment ago.
enum status hubs_ask(struct hubs *hubs, const struct resolve_hub *hub, struct text name,
                     int64_t timeout_us, struct buffer *document, struct error *error);

#endif
