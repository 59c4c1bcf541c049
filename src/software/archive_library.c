#include "software/archive_library.h"

#include "os/library.h"

#include <locale.h>
#include <pthread.h>
#include <stdbool.h>

#define SONAME "libarchive.so.13"

// Written once, under pthread_once, before anyone reads it.
static struct archive_library library;
static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
#define ARCHIVE_FUNCTION(name) {"archive_" #name, &library.name},
    const struct library_function functions[] = {ARCHIVE_LIBRARY_FUNCTIONS(ARCHIVE_FUNCTION)};
#undef ARCHIVE_FUNCTION
    is_loaded = library_load(SONAME, functions, sizeof functions / sizeof functions[0]);
}

enum status archive_library_get(const struct archive_library **out, struct error *error)
{
    (void)pthread_once(&once, load);
    if (!is_loaded) {
        (void)error_set(error, UNAVAILABLE,
                        "the library " SONAME ", which reads archives, cannot be loaded");
        error_fix(error, "install it (in Debian 12 the package libarchive13)");
        return UNAVAILABLE;
    }
    *out = &library;
    return OK;
}

struct archive_locale archive_locale_begin(void)
{
    struct archive_locale locale = {.own = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0)};
    locale.before = locale.own ? uselocale(locale.own) : NULL;
    return locale;
}

void archive_locale_end(const struct archive_locale *locale)
{
    if (locale->own) {
        (void)uselocale(locale->before);
        freelocale(locale->own);
    }
}
