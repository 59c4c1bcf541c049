// The audit log: who changed what, when and by which right; each row's digest covers the row before it.
//
// A row that is changed, removed from the middle or moved breaks the chain from there on. Rows cut off at the end are seen only by
// who kept the last digest.
#ifndef LODE_IDENTITY_AUDIT_H
#define LODE_IDENTITY_AUDIT_H

#include "crypto/digest.h"
#include "store/sql.h"

enum { AUDIT_TEXT_MAX = 1024 };

// Each text is UTF-8; what is longer than AUDIT_TEXT_MAX is cut.
struct audit_entry {
    struct text principal;
    struct text action; // action_name() of policy.h.
    struct text object; // "job 17".
    struct text reason; // The policy's.
};

// Adds an entry, in the transaction of the change itself: neither is there without the other.
enum status audit_append(struct sql *sql, const struct audit_entry *entry, int64_t now_us,
                         struct error *error);

// How far the log holds.
struct audit_state {
    int64_t count;
    struct digest last; // Zero when there are no entries.
};
// Checks every row. CORRUPT names the first that does not follow from the one before.
enum status audit_verify(struct sql *sql, struct audit_state *out, struct error *error);

#endif
