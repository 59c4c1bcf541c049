// Which other sites are guests here: what the site's policy said, remembered for a moment for those who must not block.
#ifndef LODE_API_GUESTS_H
#define LODE_API_GUESTS_H

#include "base/status.h"
#include "crypto/key.h"

#include <stdbool.h>
#include <stdint.h>

struct guests;

enum { GUESTS_KEPT_MAX = 256 };
#define GUESTS_KEPT_US INT64_C(10000000) // So long an answer holds for who must not block.

// DENIED with the reason when jobs of that site are not taken. May block for some seconds.
typedef enum status guest_check_fn(void *context, const struct fingerprint *site,
                                   struct error *error);

// `check` NULL: nobody is a guest.
struct guests *guests_new(guest_check_fn *check, void *context);
void guests_free(struct guests *guests); // NULL is allowed.

// Asks the policy, and remembers its answer. May block. Any thread.
enum status guests_check(struct guests *guests, const struct fingerprint *site, int64_t now_us,
                         struct error *error);

// What it last said, if that was within GUESTS_KEPT_US: true, with *status and the error set. Never blocks. Any thread.
bool guests_recall(struct guests *guests, const struct fingerprint *site, int64_t now_us,
                   enum status *status, struct error *error);

#endif
