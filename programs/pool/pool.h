// `lode pool`: asks many machines to start, show or end a worker of one site (docs/protocols/helper.md).
#ifndef LODE_PROGRAMS_POOL_POOL_H
#define LODE_PROGRAMS_POOL_POOL_H

#include "cli/contact.h"
#include "helper/hosts.h"
#include "helper/message.h"

#include <sys/types.h>

enum { POOL_WORDS_MAX = 64, POOL_PARALLEL_MAX = 64 };

// Words of a command line, on the heap.
struct pool_words {
    char *items[POOL_WORDS_MAX];
    size_t count;
};

// What all machines are asked for.
struct pool {
    const struct options *given;
    struct helper_request
        request; // Without an invitation; {host} in the worker's name is yet to be filled in.
    struct contact contact; // With the site.
    bool makes_invitations;
    char reach[SITE_URL_SIZE]; // The site's address as the machines reach it.
    struct pool_words ssh;     // "ssh", "-o", ...
    struct pool_words lode;    // The program there.
    char *program;             // This one.
    int64_t timeout_us;        // For one machine.
    size_t parallel;
    struct host *hosts;
    size_t host_count;
};

// The machines of the command line and of --hosts, each once.
enum status pool_read_hosts(struct pool *pool, struct error *error);

// What --ssh and --lode say, or their defaults.
enum status pool_read_words(struct pool *pool, struct error *error);
void pool_words_done(struct pool_words *words);

// The user's key, which helpers that listen know: made at its first use, caller.key and caller.pem in the client's folder. The paths are the caller's (free).
struct caller_key {
    char *key_path;
    char *certificate_path;
    struct fingerprint fingerprint;
};
enum status caller_key_ensure(struct caller_key *out, struct error *error);
void caller_key_done(struct caller_key *key);

#endif
