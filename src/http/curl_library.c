#include "http/curl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define SONAME "libcurl.so.4"

// Written once, under pthread_once, before anyone reads it.
static struct curl_library library;
static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// The client's key is handed over as an object of OpenSSL 3 (http/tls.h).
static bool has_our_tls(const struct curl_library *curl)
{
    const curl_version_info_data *info = curl->version_info(CURLVERSION_NOW);
    return info->ssl_version && strncmp(info->ssl_version, "OpenSSL/3", 9) == 0;
}

static void load(void)
{
    void *handle = dlopen(SONAME, RTLD_LAZY | RTLD_LOCAL);
    if (!handle) {
        return;
    }
    bool is_complete = true;
    void *address;
    // A function pointer is copied, not cast, as ISO C has no conversion from an object pointer.
#define CURL_LIBRARY_LOAD(name)                                                                    \
    address = dlsym(handle, "curl_" #name);                                                        \
    memcpy(&library.name, &address, sizeof address);                                               \
    is_complete = is_complete && address;
    CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_LOAD)
#undef CURL_LIBRARY_LOAD
    is_loaded =
        is_complete && has_our_tls(&library) && library.global_init(CURL_GLOBAL_SSL) == CURLE_OK;
}

enum status curl_library_get(const struct curl_library **out, struct error *error)
{
    (void)pthread_once(&once, load);
    if (!is_loaded) {
        (void)error_set(error, UNAVAILABLE,
                        "the library " SONAME " cannot be loaded, or is not built with OpenSSL 3");
        return error_fix(error, "install the package libcurl4");
    }
    *out = &library;
    return OK;
}
