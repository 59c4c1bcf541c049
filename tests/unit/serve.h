// A server for a test, over HTTPS, on a free port of this machine.
#ifndef LODE_TESTS_SERVE_H
#define LODE_TESTS_SERVE_H

#include "cmocka_all.h"

#include "base/memory.h"
#include "http/server.h"

#include <stdio.h>

// Serves the routes with the key and certificate of the folder, on one loop; writes its URL.
static inline struct http_server *serve(const char *folder, const struct http_route *routes,
                                        size_t route_count, void *context, char *url,
                                        size_t url_size)
{
    AUTO_FREE char *key = memory_format("%s/key.pem", folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", folder);
    const struct http_server_options options = {
        .address = "127.0.0.1:0",
        .key_path = key,
        .certificate_path = certificate,
        .loops = 1,
        .routes = routes,
        .route_count = route_count,
        .context = context,
    };
    struct http_server *server = NULL;
    struct error error = {0};
    if (http_server_start(&options, &server, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    (void)snprintf(url, url_size, "https://127.0.0.1:%d", http_server_port(server));
    return server;
}

#endif
