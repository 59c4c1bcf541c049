// The inside of fetch.h: orders and the bytes on their way (fetch.c), and of whom these are asked (source.c).
#ifndef LODE_FETCH_STATE_H
#define LODE_FETCH_STATE_H

#include "fetch/fetch.h"
#include "fetch/part.h"
#include "fetch/unreached.h"
#include "protocol/source_answer.h"

enum { FAILED_MAX = 16 };
#define SILENCE_MAX_US                                                                             \
    INT64_C(20000000) // A connection that brings nothing for so long is given up.

enum step {
    STEP_LOOK,    // Is it in the cache?
    STEP_VERIFY,  // It is there, from an earlier life.
    STEP_WAIT,    // To be asked for.
    STEP_TAKE_UP, // What has come of it earlier is read.
    STEP_ASK,     // The site is asked who sends it.
    STEP_SEND,    // The site, or another worker, sends.
};

struct fetch {
    struct fetch *next;
    struct fetches *all;
    struct fetch_order order; // Its texts are the next two.
    char *data;
    char *path;
    enum step step;
    struct part part;
    int64_t retry_us; // Steady time before which it is not tried again.
    int64_t pause_us;
    int64_t heard_us;
    int64_t denied_us;           // Since when the site says no; 0: it does not.
    struct source_answer source; // Who sends it.
    bool has_come;               // Something of what was asked for last.
    int64_t failed[FAILED_MAX];  // Workers that it could not be had from.
    size_t failed_count;
    int wrongs; // Times that other bytes came.
    struct error fault;
    struct http_call *call;
    fetch_done done;
    void *context;
};

struct fetches {
    struct input_cache *cache;
    void (*on_shared)(void *context);
    void *context;
    struct unreached unreached;
    struct http_client *client;
    int64_t worker;
    struct fetch *first; // In order of arrival.
    size_t active;       // With a call under way.
};

// Is it large enough to be worth the question who sends it?
bool fetch_is_shared(const struct fetch *fetch);
// Asks the site who sends it; `has_it`: tells it that it is here. What failed is said along.
struct http_call *fetch_ask_site(struct fetch *fetch, bool has_it,
                                 void (*done)(void *context, const struct http_answer *answer));
// What to get of the source: the path of the request.
void fetch_write_target(const struct fetch *fetch, struct buffer *out);
// The worker that sends it is not to be asked again for this file; `is_unreached`: or for any.
void fetch_blame_peer(struct fetch *fetch, bool is_unreached);

#endif
