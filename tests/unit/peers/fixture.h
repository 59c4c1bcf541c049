// One site with its peers, a hub or not, that nobody can reach; other sites are keys and words only.
#ifndef LODE_TESTS_PEERS_FIXTURE_H
#define LODE_TESTS_PEERS_FIXTURE_H

#include "peers/peers.h"

struct fixture {
    char folder[64];
    const char *name; // Of the site.
    bool is_hub;
    struct signing_key *key;
    struct signing_key *ocean; // Of others.
    struct signing_key *lake;
    struct store *store;
    struct ledger *ledger;
    struct mirror *mirror; // Of a hub.
    struct peers *peers;
};

// For cmocka's setup and teardown: a hub named "hub", or a site named "desk".
int start_hub(void **state);
int start_site(void **state);
int stop(void **state);
void open_all(struct fixture *fixture, bool joins_openly);
void close_all(struct fixture *fixture);

// The caller frees it.
struct signing_key *make_key(const struct fixture *fixture, const char *name);
// The statement, signed, as text; it is given away.
char *sign(json_t *statement, const struct signing_key *key);
// What a site of that name and key says of itself. `url`: NULL, it says none.
char *site_of(const struct signing_key *key, const char *name, const char *url);
char *heartbeat_of(const struct signing_key *key, int64_t time_us, int cpus);

#endif
