#include "http/curl_library.h"

#include "os/library.h"

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
#define CURL_FUNCTION(name) {"curl_" #name, &library.name},
    const struct library_function functions[] = {CURL_LIBRARY_FUNCTIONS(CURL_FUNCTION)};
#undef CURL_FUNCTION
    is_loaded = library_load(SONAME, functions, sizeof functions / sizeof functions[0]) &&
                has_our_tls(&library) && library.global_init(CURL_GLOBAL_SSL) == CURLE_OK;
}

enum status curl_library_get(const struct curl_library **out, struct error *error)
{
    (void)pthread_once(&once, load);
    if (!is_loaded) {
        (void)error_set(error, UNAVAILABLE,
                        "the library " SONAME " cannot be loaded, or is not built with OpenSSL 3");
        error_fix(error, "install the package libcurl4");
        return UNAVAILABLE;
    }
    *out = &library;
    return OK;
}
