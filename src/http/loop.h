// An event loop with its thread and its mailbox: the one thread that touches the loop's connections.
//
// Others reach a connection by posting mail, which the loop's thread delivers. Everything else in here belongs to that
// thread, unless it says otherwise.
#ifndef LODE_HTTP_LOOP_H
#define LODE_HTTP_LOOP_H

#include "base/status.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct connection;
struct http_exchange;
struct http_server;
struct loop;

// Something for the loop's thread to do; embedded at the front of what it is about. `deliver` owns it from then on.
struct mail {
    struct mail *next;
    void (*deliver)(struct loop *loop, struct mail *mail);
};

enum { LOOP_BLOCK_SIZE = 256 << 10 };

struct loop {
    struct http_server *server;
    struct event_base *base;
    pthread_t thread;
    bool is_running; // The thread was started. The starter's.
    struct connection *connections;
    struct connection *first_turn; // Those that wait for their turn to shake hands.
    struct connection *last_turn;
    struct event *turn_event;        // Comes at the end of the next pass, after all that is ready.
    struct http_exchange *exchanges; // Those that are not yet answered, with or without a client.
    struct connection *current;      // The connection whose handler is running.
    bool is_draining;                // No new requests are taken.
    char *read_block;                // LOOP_BLOCK_SIZE bytes for what is being read,
    char *write_block;               // and for files being sent.
    char date[32];                   // Of the Date field, for the second `date_at`.
    time_t date_at;
    _Atomic unsigned connection_count; // Read by the accepting loop.

    pthread_mutex_t mutex; // Guards the mailbox: first and last.
    struct mail *first;
    struct mail *last;
    int mailbox_fd; // An eventfd that wakes the thread.
    struct event *mailbox_event;
};

// A loop without a thread yet.
enum status loop_new(struct http_server *server, struct loop **out, struct error *error);
enum status loop_start(struct loop *loop, struct error *error);

// From any thread: the mail is delivered on the loop's thread, in order. After loop_join mail is only kept.
void loop_post(struct loop *loop, struct mail *mail);

// Ends the loop's thread after what was posted before, and waits for it.
void loop_join(struct loop *loop);

// Delivers what is left on the calling thread, once the loop's own has ended.
void loop_deliver(struct loop *loop);

// Its thread must have ended.
void loop_free(struct loop *loop);

static inline bool loop_is_here(const struct loop *loop)
{
    return pthread_equal(loop->thread, pthread_self());
}

// The text of the Date field (RFC 9110 section 5.6.7).
const char *loop_date(struct loop *loop);

#endif
