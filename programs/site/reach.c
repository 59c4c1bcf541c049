#include "site/reach.h"

#include "discover/addresses.h"
#include "os/address.h"

#include <arpa/inet.h>

enum { SOCKETS_MAX = 16 };

static json_t *url_of(const struct host_address *address, int port)
{
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(address->family, address->bytes, text, sizeof text)) {
        return json_null();
    }
    return json_sprintf(address->family == AF_INET ? "https://%s:%d" : "https://[%s]:%d", text,
                        port);
}

json_t *reach_describe(void *reach)
{
    const struct site_reach *self = reach;
    struct sockaddr_storage bound[SOCKETS_MAX];
    struct host_address found[HOST_ADDRESSES_MAX];
    struct http_server *server = atomic_load(&self->server);
    json_t *urls = json_array();
    if (self->url) {
        (void)json_array_append_new(urls, json_from_text(text_of(self->url)));
        return urls;
    }
    size_t bound_count = server ? http_server_addresses(server, bound, SOCKETS_MAX) : 0;
    size_t count = bound_count > 0 ? addresses_reached(bound, bound_count, found) : 0;
    for (size_t i = 0; i < count && json_array_size(urls) < REACH_MAX; i++) {
        if (!address_bytes_are_loopback(found[i].family, found[i].bytes)) {
            (void)json_array_append_new(urls, url_of(&found[i], http_server_port(server)));
        }
    }
    return urls;
}

void reach_say(struct site_reach *reach, const char *fingerprint, struct buffer *out)
{
    AUTO_JSON json_t *urls = reach_describe(reach);
    for (size_t i = 0; i < json_array_size(urls); i++) {
        buffer_printf(out, "  %-9s  %s\n", i == 0 ? "others" : "",
                      json_string_value(json_array_get(urls, i)));
    }
    if (json_array_size(urls) > 0) {
        buffer_printf(out,
                      "On another machine, a worker joins by\n  lode worker --site %s --pin %s\n",
                      json_string_value(json_array_get(urls, 0)), fingerprint);
    }
}
