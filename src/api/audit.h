// The entries of the audit log that go with what callers change.
#ifndef LODE_API_AUDIT_H
#define LODE_API_AUDIT_H

#include "api/api.h"
#include "queue/queue.h"
#include "store/sql.h"

// Adds an entry, in the transaction of the change itself: the caller did `action` to `object` ("remove dataset s:x").
enum status audit_change(struct sql *sql, const struct api_call *call, enum action action,
                         const char *object, struct error *error);

// Adds "<what> <number>" with the action of the call's route when the queue changes something for the call. `what` is static.
struct queue_witness audit_witness(struct api_call *call, const char *what);

#endif
