// libcurl, loaded when the first client is made: with what it brings along it takes 6 MB of a process and 2 ms of its
// start, which a site and a runner never need.
#ifndef LODE_HTTP_CURL_LIBRARY_H
#define LODE_HTTP_CURL_LIBRARY_H

#define CURL_DISABLE_TYPECHECK
#include "base/status.h"

#include <curl/curl.h>

// The functions in use, under their names without "curl_".
#define CURL_LIBRARY_FUNCTIONS(X)                                                                  \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_reset)                                                                                  \
    X(easy_perform)                                                                                \
    X(easy_cleanup)                                                                                \
    X(easy_strerror)                                                                               \
    X(multi_init)                                                                                  \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_perform)                                                                               \
    X(multi_poll)                                                                                  \
    X(multi_info_read)                                                                             \
    X(multi_cleanup)                                                                               \
    X(multi_wakeup)                                                                                \
    X(share_init)                                                                                  \
    X(share_setopt)                                                                                \
    X(share_cleanup)                                                                               \
    X(version_info)                                                                                \
    X(slist_append)                                                                                \
    X(slist_free_all)

struct curl_library {
#define CURL_LIBRARY_MEMBER(name) __typeof__(&curl_##name) name;
    CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_MEMBER)
#undef CURL_LIBRARY_MEMBER
};

// The library, loaded and initialised once for the program; from any thread. UNAVAILABLE when it is not installed, or works with
// another TLS library than this program, with which it shares keys.
enum status curl_library_get(const struct curl_library **out, struct error *error);

#endif
