// One connection of the server: reads requests one after the other, hands them over, and sends their answers.
//
//     handshake -> head -> body -> answer -> head ...            (kept alive)
//                                         -> closing -> lingering (the last one)
//
// A request is not begun before the answer to the one before it is on its way, so pipelining costs no memory; meanwhile
// only what tells that the client has left is read. All of it runs on the loop's thread.
#ifndef LODE_HTTP_CONNECTION_H
#define LODE_HTTP_CONNECTION_H

#include "crypto/key.h"
#include "http/exchange.h"
#include "http/tls.h"
#include "http/transport.h"

enum { ADDRESS_SIZE = 64 };

enum phase {
    PHASE_HANDSHAKE,
    PHASE_HEAD, // Waits for a request, or for the rest of its head.
    PHASE_BODY,
    PHASE_ANSWER,  // Waits for the handler, or for the end of its stream.
    PHASE_CLOSING, // Nothing more is read; ends when all is sent.
    PHASE_LINGERING, // All is sent; what the client still sends is dropped for a moment, lest it miss the answer.
    PHASE_GONE, // To be freed as soon as no code is at work on it.
};

enum deadline_kind { DEADLINE_NONE, DEADLINE_FIXED, DEADLINE_IDLE, DEADLINE_SENDING };

struct connection {
    struct loop *loop;
    struct connection *previous;
    struct connection *next;
    struct transport transport;
    struct event *readable;
    struct event *writable;
    struct event *timer;
    enum phase phase;
    bool
        is_waiting; // For its turn to shake hands, in the loop's list of those, since `waiting_since_us`.
    int64_t waiting_since_us;
    bool is_late; // It has not shaken hands in time; its turn ends it.
    struct connection *turn_previous;
    struct connection *turn_next;
    bool is_reading; // The event `readable` is added.
    bool is_advancing;
    bool is_watched;  // http_watch_closely.
    bool must_close;  // After the answer under way.
    bool must_linger; // The client may still be sending.
    enum deadline_kind deadline_kind;
    int64_t deadline_us;
    int64_t timer_at_us; // When `timer` comes; 0: it is not added.
    int64_t sent_seen;   // transport.sent_bytes when the deadline was set.
    struct head_scan scan;
    struct buffer input;            // Read, but not yet used.
    struct text incoming;           // What is being used: of `input`, or of the loop's block.
    struct http_exchange *exchange; // NULL between requests.
    struct parser parser;
    const struct http_sink *sink; // While it takes a body.
    void *sink_state;
    const struct http_route *route;
    int file_fd; // -1: none; sent after the output.
    int64_t file_from;
    int64_t file_length;
    _Atomic int64_t *file_sent; // NULL: nobody counts.
    char address[ADDRESS_SIZE];
    bool has_peer_key;
    struct fingerprint peer_key;
    char peer_name[TLS_NAME_SIZE]; // Empty: no authority of ours vouches for one.
    int64_t peer_name_until_us;    // Wall clock: its certificate ends, maybe while it is connected.
};

// Takes a new socket over on the loop's thread.
void http_connection_open(struct loop *loop, int fd, const char *address);

// Delivers an answer that came by mail, and goes on with the connection. The answer stays the caller's.
void http_connection_deliver(struct connection *connection, struct answer *answer);

// No more requests: closes it now, or after the answer under way.
void http_connection_drain(struct connection *connection);

// Closes it now.
void http_connection_drop(struct connection *connection);

// Goes on with a connection whose handshake is done, or was moved on: reads if there may be a request, waits for what it needs.
void http_connection_resume(struct connection *connection, bool may_read);

// connection_handshake.c: handshakes, by turns.

// The handshake can go on: the connection waits for its turn.
void http_handshake_queue(struct connection *connection);

// Takes it off the list, if it is there.
void http_handshake_leave(struct connection *connection);

// Moves on the handshakes that wait longest, for a share of the loop's time; the callback of turn_event, with the loop as its context.
void http_handshake_turns(int fd, short what, void *context);

// http_connection_send.c: what goes out.

// Puts an answer into the output and sends what can be sent; for the handler that is just running.
void http_connection_take(struct connection *connection, struct answer *answer);

// Answers the request with a problem of the server's own, and closes behind it unless it has been read whole.
void http_connection_refuse(struct connection *connection, const struct refusal *refusal,
                            const char *allowed);

// Sends what can be sent now; waits for the socket with the rest.
void http_connection_send(struct connection *connection);

static inline bool http_connection_has_unsent(const struct connection *connection)
{
    return connection->file_fd >= 0 || evbuffer_get_length(connection->transport.output) > 0;
}

#endif
