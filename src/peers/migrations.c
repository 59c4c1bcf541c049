#include "peers/peers.h"

const struct store_migration PEERS_MIGRATIONS[] = {
    // `statement` is empty for a hub that was added and has not been reached yet; `hub_added` is 0 for a site that is not one of our hubs.
    {"peers", 1,
     "CREATE TABLE peers_sites (\n"
     "    site TEXT PRIMARY KEY,\n"
     "    statement TEXT NOT NULL,\n"
     "    standing BIGINT NOT NULL,\n"
     "    mode BIGINT NOT NULL,\n"
     "    hub_added BIGINT NOT NULL,\n"
     "    hub_mode BIGINT NOT NULL,\n"
     "    hub_url TEXT NOT NULL\n"
     ")"},
    // When each site was last heard, now and then. `heard_us` is by the wall clock; `heard_by` is the hub by whose word, empty when it was heard itself; `heartbeat` may be empty.
    {"peers", 2,
     "CREATE TABLE peers_heard (\n"
     "    site TEXT PRIMARY KEY,\n"
     "    heard_us BIGINT NOT NULL,\n"
     "    ttl_us BIGINT NOT NULL,\n"
     "    heard_by TEXT NOT NULL,\n"
     "    heartbeat TEXT NOT NULL\n"
     ")"},
    // For how long it had been silent when that was written, while this site was there to hear it.
    {"peers", 3, "ALTER TABLE peers_heard ADD COLUMN silent_us BIGINT NOT NULL DEFAULT 0"},
};
const size_t PEERS_MIGRATION_COUNT = sizeof PEERS_MIGRATIONS / sizeof PEERS_MIGRATIONS[0];
