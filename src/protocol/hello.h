// What a worker says of itself as it registers: the body of POST /v1/workers (docs/protocols/worker.md), checked and flat. Pure.
#ifndef LODE_PROTOCOL_HELLO_H
#define LODE_PROTOCOL_HELLO_H

#include "base/json.h"
#include "jobs/scheduler.h"

enum {
    WORKER_NAME_MAX = 200,
    LEAVING_SECONDS_MAX = 3660 * 24 * 3600, // Until a worker's end.
    NOTICE_SECONDS_MAX = 24 * 3600,
    WORKER_VIEW_MAX = 200,
    WORKER_URL_MAX = 300,
    WORKER_LABELS_MAX = 64,
    WORKER_GPUS_MAX = 1024,
};

struct worker_hello {
    struct text name;
    int64_t cpu_millis;
    int64_t memory_bytes;
    int64_t disk_bytes;
    struct text version;
    int64_t notice_us;    // Its tasks are interrupted so long before its end.
    int64_t leaves_in_us; // < 0: it does not say when.
    int64_t drain_in_us;  // What was left of the time that a site gave it; < 0: no site has.
    json_t *sandbox;      // Borrowed from the document.
    int64_t process;      // 0: not said.
    struct text place;    // Fingerprint of a site; empty: here.
    struct text groups[WORKER_GROUPS_MAX]; // That it works for, in order; none: for all.
    size_t group_count;
    const char *labels[WORKER_LABELS_MAX];
    size_t label_count;
    int64_t gpus;
    struct text serve_url; // Where other workers get files from it; empty: nowhere.
    struct text serve_fingerprint;
    bool serves_near; // To workers of its own zone or network only.
    struct text view; // How it sees files (os/view.h); empty: not said.
    int64_t software; // The last kind that it gives to tasks.
};

// Reads an array of at most WORKER_GROUPS_MAX names of groups into `out` (as many); the texts are borrowed. INVALID. NULL: none.
enum status groups_parse(const json_t *names, struct text *out, size_t *count, struct error *error);
// Reads a registration; the texts are borrowed from the document.
enum status worker_hello_parse(const json_t *document, struct worker_hello *out,
                               struct error *error);

#endif
