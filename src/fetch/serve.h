// The files of a worker's cache for other workers of its site: by HTTPS with a key of its own, each to who has a pass for it.
//
// The server has threads of its own; what it shares with the worker is the folder, whose files never change, and the key for passes.
#ifndef LODE_FETCH_SERVE_H
#define LODE_FETCH_SERVE_H

#include "crypto/key.h"
#include "crypto/pass.h"

struct sharing;

// Takes `address` ("10.0.0.5:7744", port 0: any); who connects is refused as yet. The key is kept in the folder `keys`, which must exist; the files
// are those of the folder `cache`. INVALID: an address that says nothing to other machines.
enum status sharing_new(const char *address, const char *keys, const char *cache,
                        struct sharing **out, struct error *error);
// Listens, and serves from now on. Once: what failed is to be stopped.
enum status sharing_begin(struct sharing *sharing, struct error *error);
bool sharing_has_begun(const struct sharing *sharing);
// NULL is allowed.
void sharing_stop(struct sharing *sharing);
// Is it at this address ("10.0.0.5", "[fd00::5]"), whatever the port?
bool sharing_is_at(const struct sharing *sharing, const char *host);
// "https://10.0.0.5:7744", and the fingerprint of the key.
const char *sharing_url(const struct sharing *sharing);
const char *sharing_fingerprint(const struct sharing *sharing);
// What passes are made with from now on; none is good before. Hexadecimal.
void sharing_set_key(struct sharing *sharing, const char *key);
// Has the site given one? Else nobody is sent here.
bool sharing_has_key(struct sharing *sharing);

#endif
