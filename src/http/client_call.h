// One request of a client under way: its options for libcurl, and what has come back.
#ifndef LODE_HTTP_CLIENT_CALL_H
#define LODE_HTTP_CLIENT_CALL_H

#include "http/client.h"
#include "http/curl_library.h"

#include <openssl/ssl.h>

struct http_call {
    struct http_client *client;
    struct http_call *previous;
    struct http_call *next;
    CURL *easy;
    struct curl_slist *fields;
    struct http_ask ask; // Its texts are not used after call_new, but for the copied `body`.
    char *body;
    int64_t body_offset; // How far body_fd was read.
    void (*done)(void *context, const struct http_answer *answer);
    void *done_context;
    struct error refusal; // Why the request could not be sent at all, when its status is not OK.
    int code;             // Of the answer whose head came last.
    size_t head_size;     // Of all heads so far.
    struct buffer answer_body;
    struct buffer content_type;
    struct buffer location;
    bool is_stopped; // By on_data.
    int64_t progress_at_us;
    char detail[CURL_ERROR_SIZE];
};

struct call_settings {
    const struct curl_library *curl;
    CURLSH *sessions;
    struct http_peer peer; // Of the calls that name none; its base_url may be NULL.
    SSL_CTX *key;          // The client's own, from tls_client_key_read; NULL: none.
    int64_t connect_timeout_us;
    bool watches; // As in http_client_options.
};

// A call with the request set up on `easy`, which it takes over; or with its `refusal`, when a text cannot be sent.
struct http_call *call_new(const struct call_settings *settings, CURL *easy,
                           const struct http_ask *ask);
// Frees all but the handle.
void call_free(const struct curl_library *curl, struct http_call *call);

// What has become of the call, which ended with `result`. The texts are borrowed from the call.
void call_judge(struct http_call *call, CURLcode result, const struct curl_library *curl,
                struct http_answer *answer);

#endif
