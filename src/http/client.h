// An HTTPS client with pinned keys: blocking calls for programs, and several requests at once on one thread, to one server or to
// thousands of them.
//
// A client belongs to one thread, but for http_client_wake. What it holds is bounded, however many servers it talks to: `calls_max`
// calls under way, `connections_kept` idle connections, and eight TLS sessions to resume. A connection or session that was made
// for one pin is never used for a call with another one, or with none.
#ifndef LODE_HTTP_CLIENT_H
#define LODE_HTTP_CLIENT_H

#include "base/buffer.h"
#include "base/status.h"
#include "base/text.h"

#include <poll.h>

struct http_client;
struct http_call; // One request under way; belongs to the client and ends with its `done`.

// A server to talk to.
struct http_peer {
    const char *base_url; // "https://127.0.0.1:7733"
    // The key that the server must have ("sha256:<hex>"), by https only; NULL only to learn it.
    const char *pin;
    const char *token; // Bearer token, or NULL.
};

struct http_client_options {
    const char *
        base_url; // The server of the calls that name no peer, as in http_peer; NULL: each call names one.
    const char *pin;
    const char *token;
    const char *key_path; // Client certificate and key (PEM), read once, or NULL.
    const char *certificate_path;
    int64_t connect_timeout_us; // Without the wait for others' calls; 0: 10 s.
    unsigned calls_max;         // Calls that http_client_start has under way; 0: no bound.
    unsigned connections_kept;  // Idle ones, over all servers; 0: 8.
    bool
        watches; // A server that is silent while it owes an answer is asked every few seconds whether it knows the connection still.
};

// Errors: a pin that is none, a key that cannot be used (INVALID), no libcurl (UNAVAILABLE).
enum status http_client_new(const struct http_client_options *options, struct http_client **out,
                            struct error *error);
// Ends the calls under way without their `done`.
void http_client_free(struct http_client *client);

struct http_answer {
    int code; // 0 when there was no HTTP answer.
    bool
        may_have_arrived; // With code 0: some of the request was sent, so the server may have acted on it.
    struct text body; // Borrowed; empty when it went to `on_data`.
    struct text content_type;
    struct text location;
    enum status
        status; // OK for codes below 400; UNAVAILABLE when the server cannot be reached, TIMEOUT, DENIED for
                // a wrong pin; else from the code.
    struct error error; // For a problem document (RFC 9457): its detail and fix.
};

struct http_ask {
    const struct http_peer *peer; // Copied. NULL: the server of the client's options.
    const char *user;             // Lode-User: for which of its users a site asks; NULL: not said.
    const char *method;
    const char *path;         // "/v1/jobs?state=done", already encoded.
    const char *content_type; // Of the body; NULL: application/json when there is a body.
    struct text body;         // Copied for asynchronous calls.
    int body_fd; // When `has_body_fd`: the body is bytes [0, body_size) of this file, streamed; stays the caller's
    bool has_body_fd; // and must stay open until done.
    int64_t body_size;
    const char *idempotency_key;
    const char *
        origin_key; // Lode-Origin-Key: the digest of a user's key at the site that asks; NULL: none
    const char *range; // "bytes=100-"; NULL: none
    const char *last_event_id;
    int64_t timeout_us;         // For the whole call; 0: none.
    int64_t connect_timeout_us; // 0: that of the client's options.
    size_t
        answer_size_max; // Of a body kept in memory (QUOTA beyond it); 0: 64 MiB. Heads have a maximum of 256 KiB.
    // Gets the body of a successful answer piece by piece as it comes; false ends the call (status CONFLICT). NULL: kept.
    bool (*on_data)(void *context, struct text bytes);
    // Gets each header of the final answer, before its body; names as they came, any case. NULL: not.
    void (*on_header)(void *context, struct text name, struct text value);
    // Called about four times a second with bytes moved so far and in all (-1 unknown), up or down; NULL: not.
    void (*on_progress)(void *context, int64_t done, int64_t total);
    // For http_client_ask alone: asked several times a second, true ends the call (status CONFLICT). NULL: it is waited for.
    bool (*is_given_up)(void *context);
    void *context;
};

// Sends one request and waits; calls under way on the same client move on meanwhile, and their `done` may be called. Returns
// answer->status, and copies the error. The answer's texts live in `keep`.
enum status http_client_ask(struct http_client *client, const struct http_ask *ask,
                            struct buffer *keep, struct http_answer *answer, struct error *error);

// As above with a JSON body and a JSON answer: `body` (or "" for none) is sent; *text gets the answer's body.
enum status http_client_json(struct http_client *client, const char *method, const char *path,
                             struct text body, struct buffer *text, struct error *error);

// Starts a request; `done(context, answer)` is called from within http_client_wait, once; it may start another one. Keeps
// connections warm: a second call while one is waiting opens a second connection, later ones reuse them. NULL, without a
// `done`, when `calls_max` calls are under way.
struct http_call *http_client_start(struct http_client *client, const struct http_ask *ask,
                                    void (*done)(void *context, const struct http_answer *answer));
// Ends a call without its `done`.
void http_client_cancel(struct http_client *client, struct http_call *call);

// Waits up to `timeout_us` for traffic or for one of the `count` descriptors (their revents are set), moves the calls on
// and calls their `done`. Returns the number of descriptors that are ready.
int http_client_wait(struct http_client *client, struct pollfd *fds, size_t count,
                     int64_t timeout_us);

// From any thread: the wait under way, or else the next one, returns at once.
void http_client_wake(struct http_client *client);

// Connects and returns the fingerprint of the server's key ("sha256:<hex>"): the first step of the leap of faith.
enum status http_client_fingerprint(const char *base_url, char out[72], struct error *error);

#endif
