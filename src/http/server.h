// An HTTP/1.1 server over TLS: one event loop per core, strict parsing, answers from any thread.
//
// A request reaches the handler of the first route whose method and pattern fit. The handler runs on the loop of its
// connection and must not block; it answers at once or later, from any thread, exactly once, with http_reply or with
// http_stream_begin ... http_stream_end. A client that leaves is told to the handler by http_on_gone.
#ifndef LODE_HTTP_SERVER_H
#define LODE_HTTP_SERVER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/text.h"

#include <sys/socket.h>

struct http_server;
struct http_route;
struct http_exchange; // One request on its way to its answer; valid until it has been answered.

enum {
    HTTP_HEADER_SIZE_MAX = 32768,
    HTTP_PARAMETERS_MAX = 4, // {names} in a pattern.
    HTTP_BODY_SMALL_MAX = 16 << 20,
    // They wait for the disk more than they work: as many as may be slow (submissions, syncs) before quick ones have to wait.
    HTTP_POOL_THREADS = 8,
    HTTP_BACKGROUND_THREADS_MAX = 8, // One a core. These work more than they wait.
};

// A request whose head (and body, for a small-body route) is complete. Everything lives in `arena` until the answer.
struct http_request {
    struct http_exchange *exchange;
    struct arena *arena;
    struct text method;
    struct text path;  // As sent, percent-encoded, without the query.
    struct text query; // As sent, without "?"; empty when there is none.
    struct text parameters
        [HTTP_PARAMETERS_MAX]; // The pattern's {names} in order, percent-decoded; may hold any byte.
    struct text body;          // Empty for sink routes.
    struct text peer_address;  // "127.0.0.1"
    const char *peer_key; // Fingerprint of the client certificate ("sha256:..."), NULL without one.
    const char *peer_name; // Its common name, when it chains to one of authority_path; else NULL.
    const struct http_route *route; // The one that fits: an entry of the server's table.
};

// The value of a header (name without regard to case); the empty text when it is absent. Repeated ones: the first.
struct text http_header(const struct http_request *request, const char *name);

// The decoded value of a query parameter ("wait"): false when it is absent. INVALID escapes read as absent.
bool http_query(const struct http_request *request, const char *name, struct text *out);

struct http_field {
    const char *name;
    const char *value;
};

// A response. Everything is copied before http_reply returns, except the file, which the server then owns.
struct http_response {
    int code;                 // 200 ...
    const char *content_type; // NULL: no body type.
    const struct http_field *fields;
    size_t field_count;
    struct text body;
    bool
        is_file; // Sends bytes [file_from, file_from + file_length) of file_fd, which the server closes.
    int file_fd;
    int64_t file_from;
    int64_t file_length;
    _Atomic int64_t *
        file_sent; // Bytes of it that are sent are added here as they go; must outlive the server. NULL: not counted.
};

// Answers. Exactly once for each exchange; any thread. A client that has gone is no error. HEAD sends no body.
void http_reply(struct http_exchange *exchange, const struct http_response *response);

// An answer in pieces (chunked): begin, any number of writes, end. Any thread, one at a time.
void http_stream_begin(struct http_exchange *exchange, const struct http_response *head);
// Queues bytes; returns how many are waiting for a slow client, 0 or more, or -1 when it has gone (still call end).
int64_t http_stream_write(struct http_exchange *exchange, struct text bytes);
void http_stream_end(struct http_exchange *exchange);

// Calls `gone(context)` on the loop's thread when the client leaves before the answer is complete; at most once, and never
// after http_reply or http_stream_end was called. It may be running while another thread makes that call, so what both
// use needs a lock or a count. The exchange stays valid and must still be answered. Set it from within the handler.
void http_on_gone(struct http_exchange *exchange, void (*gone)(void *context), void *context);

// Has the system ask the client's machine whether it is there while nothing comes of it, so that a client whose machine or network is gone leaves (as above)
// `seconds` (2 or more) after the last that came, not after minutes. Costs the machines one packet each way in half that time. Holds for
// the connection from now on, of which the first call counts. Set it from within the handler.
void http_watch_closely(struct http_exchange *exchange, int seconds);

// Within `gone`: nothing came of the client's machine any more; false: it has closed the connection.
bool http_fell_silent(const struct http_exchange *exchange);

typedef void http_handler(struct http_request *request,
                          void *context); // A function type, for the table.

// Where a large body goes, piece by piece, on the loop's thread. `begin` may refuse by answering the exchange itself and
// returning NULL; otherwise it returns the state for the others. `end` is called once when the body is complete and must
// lead to an answer; `abort` once when the client left before that, and ends the exchange without an answer.
// `data` answers false to refuse the rest, after it has answered the exchange; then only `abort` follows. The state may
// live in the request's arena: that lasts until the end, the abort, or the answer that follows the end.
struct http_sink {
    void *(*begin)(struct http_request *request, void *context);
    bool (*data)(void *state, struct text bytes);
    void (*end)(void *state, struct http_request *request);
    void (*abort)(void *state);
};

struct http_route {
    const char *method; // "GET" serves HEAD too.
    const char *
        pattern; // "/v1/jobs/{id}"; a last "{name...}" takes the rest of the path with its slashes.
    http_handler *handle;
    const struct http_sink *sink; // Instead of `handle`, for bodies of any size.
    size_t
        body_max; // For `handle`; 0: no body allowed. At most HTTP_BODY_SMALL_MAX. Larger bodies get 413.
};

struct http_server_options {
    const char *
        address; // "127.0.0.1:7733", "[::1]:0"; port 0 picks a free one. NULL: use the sockets of `fds`.
    const int *
        fds; // Listening sockets handed over (socket activation); closed also when the start fails.
    size_t fd_count;
    const char *key_path; // PEM; NULL: plain HTTP (tests and measurements).
    const char *certificate_path;
    const char *
        authority_path; // PEM; whose certificates of clients have a name that counts. NULL: nobody's.
    unsigned loops;     // 0: one per core.
    const struct http_route *routes; // Must outlive the server.
    size_t route_count;
    void *context; // Handed to the handlers and sinks, and to `admit`.
    // Called on the loop before the body of a request for a handler is taken into memory; false refuses it, after the
    // exchange was answered. Must not block. NULL: all are taken.
    bool (*admit)(struct http_request *request, void *context);
    // Called for what no route serves, for oversized bodies and other refusals of the server itself (400, 404, 405, 408,
    // 413, 431, 501 ...): fills in the problem body. NULL: a plain text body.
    void (*problem)(int code, const char *detail, const char *fix, struct buffer *body,
                    const char **content_type);
    int64_t header_timeout_us; // Absolute, from the first byte (or the TLS handshake); 0: 10 s.
    int64_t idle_timeout_us;   // Between requests; 0: 120 s.
    // Set to the server before the first request can come; NULL: not wanted.
    struct http_server **started;
    unsigned connections_max; // 0: 20000.
};

// Starts to listen; *out is running already. Errors: address in use (with the way out), key unreadable.
enum status http_server_start(const struct http_server_options *options, struct http_server **out,
                              struct error *error);

// The port that it listens on.
int http_server_port(const struct http_server *server);

// Fills `out` with the addresses that its sockets are bound to, at most `max`; returns how many.
size_t http_server_addresses(const struct http_server *server, struct sockaddr_storage *out,
                             size_t max);

// Stops taking connections and requests, lets answers under way finish for up to `grace_us`, closes all connections and ends
// all threads. Exchanges that are unanswered then may still be answered, which has no effect, until http_server_free.
void http_server_stop(struct http_server *server, int64_t grace_us);

// Frees a server that was stopped, when nobody is left who could answer an exchange. NULL is allowed.
void http_server_free(struct http_server *server);

// Calls `run(context)` on a thread of a small pool, away from the loops: for file I/O that can block, such as fsync. Once the
// server is stopping, when nobody waits for its answer any more, it may do nothing.
void http_server_offload(struct http_server *server, void (*run)(void *context), void *context);

// The same on threads of another pool, as many as there are processors, which stand back behind all others of the program: for what comes
// in masses and is not awaited by a person, such as other sites' logs. So thousands of them at once delay neither loops nor the other pool.
void http_server_background(struct http_server *server, void (*run)(void *context), void *context);

#endif
