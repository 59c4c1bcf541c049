// One-time tokens with which the key of a worker is accepted before it was seen. The site keeps only their SHA-256.
#ifndef LODE_IDENTITY_INVITATIONS_H
#define LODE_IDENTITY_INVITATIONS_H

#include "identity/known_workers.h"

enum {
    INVITATION_TEXT_SIZE = 54, // "lode_join_", 43 characters of base64url (32 random bytes), NUL.
    INVITATIONS_MAX = 1000,    // That can be used, at a time.
};

// The text of an invitation. A struct, so that nothing formats it by mistake.
struct invitation_secret {
    char text[INVITATION_TEXT_SIZE];
};

struct invitation {
    char name[KNOWN_WORKER_NAME_MAX + 1]; // Of the worker; empty: it chooses itself.
    char by[KNOWN_WORKER_BY_MAX + 1];     // Who made it.
    int64_t expires_us;
    struct runner runner; // The class of who comes with it.
};

// Has it the form of an invitation's text?
bool invitation_is_well_formed(struct text said);

// Makes one; call it in a store_write, and show *secret only after the commit. INVALID for a bad name or a time that has passed; QUOTA.
enum status invitations_create(struct sql *sql, const struct invitation *invitation, int64_t now_us,
                               struct invitation_secret *secret, struct error *error);

// Uses it up, in a store_write that ends with what it is used for. DENIED, saying why without repeating it: malformed, not known, used
// before, expired.
enum status invitations_use(struct sql *sql, struct text said, int64_t now_us,
                            struct invitation *out, struct error *error);

#endif
