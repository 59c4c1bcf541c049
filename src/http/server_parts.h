// What the parts of one server share; set up by http_server_start and then only read, but for what says otherwise.
#ifndef LODE_HTTP_SERVER_PARTS_H
#define LODE_HTTP_SERVER_PARTS_H

#include "http/loop.h"
#include "http/offload.h"
#include "http/router.h"
#include "http/server.h"

#include <openssl/ssl.h>

struct listener {
    int fd;
    struct event *event;
    struct event *pause; // Takes it up again after the program ran out of descriptors.
    struct http_server *server;
};

struct http_server {
    struct router *router;
    SSL_CTX *tls; // NULL: plain.
    void *context;
    bool (*admit)(struct http_request *request, void *context);
    void (*problem)(int code, const char *detail, const char *fix, struct buffer *body,
                    const char **content_type);
    int64_t header_timeout_us;
    int64_t idle_timeout_us;
    unsigned connections_max;
    int port;
    struct offload *offload;
    struct offload *background;
    struct listener *listeners; // Their events belong to the first loop's thread.
    size_t listener_count;
    struct loop **loops;
    size_t loop_count;
    _Atomic unsigned connection_count;
    pthread_mutex_t mutex; // With `is_empty`: signalled when connection_count reaches 0.
    pthread_cond_t is_empty;
};

#endif
