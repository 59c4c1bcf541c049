// What people have sent into the store of blobs within the last day, held against what they may: users of other sites (guests), each and all of one site together, as a site may
// make up names of users; and this site's own, when its operator says so. Operators are not counted.
//
// A file counts for a day, after which the store may remove it if no job named it by then (see store/sweep.h). Nothing is stored: a site that was started again counts
// from then on.
#ifndef LODE_API_SENDERS_H
#define LODE_API_SENDERS_H

#include "base/status.h"
#include "policy/policy.h"

#include <stdint.h>

struct senders;

enum {
    SENDERS_SITE_FACTOR = 10,   // All guests of one site together may send so often what one may.
    SENDERS_OF_SITE_MAX = 1000, // Guests of one site that send within a day.
    SENDERS_FILE_BYTES = 4096,  // A file counts as so much at least: it takes room on the disk.
};
#define SENDERS_GUEST_BYTES (INT64_C(10) << 30) // Default.

struct senders_limits {
    int64_t guest_bytes; // A day; 0: no limit.
    int64_t user_bytes;  // The same.
};

struct senders *senders_new(const struct senders_limits *limits);
void senders_free(struct senders *senders); // NULL is allowed.

// Counts bytes that are to come, or came, of the principal. QUOTA, with the limit and what was sent: it is too much, and nothing is counted. Any thread; does not block.
enum status senders_spend(struct senders *senders, const struct principal *principal, int64_t bytes,
                          int64_t now_us, struct error *error);
// They became no blob.
void senders_give_back(struct senders *senders, const struct principal *principal, int64_t bytes,
                       int64_t now_us);

#endif
