// What `lode site` was told, with the defaults that make it work when it was told nothing.
#ifndef LODE_PROGRAMS_SITE_SETTINGS_H
#define LODE_PROGRAMS_SITE_SETTINGS_H

#include "api/senders.h"
#include "base/status.h"
#include "cli/options.h"
#include "site/known_peers.h"

enum { SITE_NAME_MAX = 64, SITE_WORKERS_MAX = 4096 };

struct site_settings {
    char *directory; // Absolute.
    char *address;   // "127.0.0.1:7733"
    char *name;
    char *user;    // Who started it, the principal of the local admin token.
    char *program; // Path of this program.
    const char *sandbox;
    int64_t workers; // Cores for tasks; 0: none.
    const char
        *url; // Where other sites reach it; NULL: at the address, when that is not a wildcard.
    const char *join;                    // Of a hub: "open" or "ask".
    const char *guests;                  // Whose jobs it takes: "none", "accepted", "members".
    struct senders_limits upload_limits; // Of people, a day.
    const char *hub_mode;   // How a hub keeps in step with sites: "push", "poll", "both".
    int64_t sweep_after_us; // From the start to the first sweep of blobs.
    int64_t lease_us;       // A worker with tasks that is silent for so long is lost.
    int64_t heartbeat_us;
    const char *worker_authority; // PEM; who has a certificate of it may be a worker. NULL: none.
    bool is_open;                 // Any worker may join.
    bool is_announced;            // --announce: on the local network, wherever it listens.
    bool is_silent;               // --no-announce.
    bool is_mirror;               // It is a hub.
    int64_t log_size_max;         // Bytes that a hub keeps of one site's log.
    bool is_json;                 // What it prints is JSON.
    struct known_peer *peers;     // Given by --peer.
    size_t peer_count;
};

// Fills *out (zeroed before) from the options; settings_done frees it in every case.
enum status settings_read(const struct options *options, struct site_settings *out,
                          struct error *error);
void settings_done(struct site_settings *settings);

#endif
