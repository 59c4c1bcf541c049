// One request on its way to its answer, and the answers that travel to its connection's loop.
#ifndef LODE_HTTP_EXCHANGE_H
#define LODE_HTTP_EXCHANGE_H

#include "http/loop.h"
#include "http/parser.h"
#include "http/server.h"

// Belongs to its loop's thread, but for what the answering thread may touch: the atomics, and what never changes.
struct http_exchange {
    struct http_request request;
    struct request_head head;
    struct arena arena;
    struct buffer body;
    struct loop *loop;
    struct connection *connection; // NULL once the client has left.
    struct http_exchange *previous;
    struct http_exchange *next;
    bool
        is_handed_over; // To the handler, which has to answer; before that it ends with its connection.
    bool is_chunked; // The answer, once a stream has begun.
    bool has_fallen_silent;
    void (*gone)(void *context);
    void *gone_context;
    _Atomic bool is_answered; // http_reply or http_stream_end was called.
    _Atomic bool is_client_gone;
    _Atomic int64_t posted_bytes; // Of a stream: on their way to the loop,
    _Atomic int64_t unsent_bytes; // and there, but not yet sent.
};

// A new exchange in the loop's list.
struct http_exchange *exchange_new(struct loop *loop, struct connection *connection);
void exchange_free(struct http_exchange *exchange);

// The client has left: tells the handler, unless it has answered already.
void exchange_leave(struct http_exchange *exchange);

enum answer_kind { ANSWER_WHOLE, ANSWER_BEGIN, ANSWER_PIECE, ANSWER_END };

// A part of an answer. What depends on the connection (Date, Connection, framing) is added when it is delivered.
struct answer {
    struct mail mail;
    struct http_exchange *exchange;
    enum answer_kind kind;
    int code;
    struct buffer head; // The status line and the handler's fields.
    struct buffer body;
    bool is_file;
    int file_fd;
    int64_t file_from;
    int64_t file_length;
    _Atomic int64_t *file_sent;
};

// Fills in head and body (copied) and the file (taken over).
void answer_fill(struct answer *answer, const struct http_response *response);
// Frees what it holds and closes its file, unless that was taken (is_file false).
void answer_done(struct answer *answer);

// Has an answer of this code no body (RFC 9110 section 6.4.1)?
static inline bool answer_is_bare(int code)
{
    return code == 204 || code == 304 || code < 200;
}

#endif
