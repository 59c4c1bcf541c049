// Input files on their way into the worker's cache: several at once, each from where it was left, each held against its digest.
//
// A file that is in the cache already is only looked at. One that another order fetches just now is waited for. A broken connection, a site
// that is away, a worker that was killed: what had come stays, and only the rest is asked for.
#ifndef LODE_FETCH_FETCH_H
#define LODE_FETCH_FETCH_H

#include "fetch/input_cache.h"
#include "http/client.h"

struct fetches;
struct fetch;

// A file of data of a job. The texts are copied.
struct fetch_order {
    struct digest digest;
    int64_t size;
    int64_t modified_us;
    int64_t job;
    const char *data; // Name of the data in the job,
    const char *path; // and of the file in the data.
};

// INVALID: the site has the file no more as it was registered, or sends other bytes. QUOTA: no room. Anything else: this worker cannot.
typedef void (*fetch_done)(void *context, enum status status, const struct error *error);

// `on_shared(context)` is called when a file has come that the site is then told of, as other workers may want it.
struct fetches *fetches_new(struct input_cache *cache, void (*on_shared)(void *context),
                            void *context);
// Drops all without their `done`.
void fetches_free(struct fetches *fetches);
// The client to use from now on, and this worker's number at its site; what was under way goes on with it. NULL: none at present.
void fetches_set_site(struct fetches *fetches, struct http_client *client, int64_t worker);

// Tells the site that the file is here, for other workers to get it; false: it is too small for that, or there is no site at present.
bool fetches_tell(struct fetches *fetches, const struct fetch_order *order);

struct fetch *fetches_order(struct fetches *fetches, const struct fetch_order *order,
                            fetch_done done, void *context);
// Ends it without its `done`; what has come of it stays for a while.
void fetch_cancel(struct fetch *fetch);
// Bytes that are here of it.
int64_t fetch_have(const struct fetch *fetch);

// Moves things on: reads what is to be verified, starts what may start. Returns microseconds until it wants to be called again; -1: when
// there is news only.
int64_t fetches_work(struct fetches *fetches, int64_t now_us);

#endif
