// How long a site may know nothing of a lease that it gave. Pure.
#ifndef LODE_PROTOCOL_LEASE_WAIT_H
#define LODE_PROTOCOL_LEASE_WAIT_H

#include <stdbool.h>
#include <stdint.h>

enum { CODE_NO_LEASE = 409 }; // The site's answer to an upload for which it knows no lease.
// A site that was started again knows of none before a poll has told it: by then it has.
#define LEASE_WAIT_US INT64_C(60000000)

// Is an upload that was answered with this code to be sent again, as the site may hear of its lease yet? *refused_us: since when it has been
// answered so, by the steady clock; 0: it was not.
bool lease_is_awaited(int64_t *refused_us, int code, int64_t now_us);

#endif
