// A site among others: its log, the mirror if it is a hub, and its peers.
#ifndef LODE_PROGRAMS_SITE_FEDERATION_H
#define LODE_PROGRAMS_SITE_FEDERATION_H

#include "catalog/catalog.h"
#include "crypto/signature.h"
#include "ledger/ledger.h"
#include "ledger/mirror.h"
#include "ledger/self_copy.h"
#include "peers/peers.h"
#include "site/settings.h"

#include <stdatomic.h>

struct queue;

struct federation {
    const struct site_settings *settings;
    struct signing_key *key;
    struct ledger *ledger;
    struct mirror *mirror;       // NULL: the site is no hub.
    struct self_copy *self_copy; // The own log in the mirror; NULL: no hub.
    uint32_t own_number;         // In the mirror's index; 0: no hub.
    struct peers *peers;
    struct catalog_publisher publisher;
    _Atomic(struct queue *) queue; // For the load of heartbeats, once it is open.
};

// Before the catalogue, which publishes to the log. On failure what is open is left to the two functions below.
enum status federation_open(struct federation *federation, const struct site_settings *settings,
                            struct store *store, struct error *error);
// Once the server runs and `url` is known.
enum status federation_start(struct federation *federation, const char *url, struct error *error);
// May jobs of that site's users run here? The policy is --guests. May block for some seconds.
enum status federation_check_guest(void *context, const struct fingerprint *site,
                                   struct error *error);
// What heartbeats say of this site; the context is the struct federation. Zeros before the queue is open.
void federation_tell_load(void *context, struct peers_load *out);
// Ends what goes out, before the store is closed; then frees, after that.
void federation_stop(struct federation *federation);
void federation_close(struct federation *federation);

#endif
