#include "store/rocksdb_library.h"

#include "os/library.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

// Files are written by one thread of ordinary priority, so that a writer waits for it as little as possible; files are
// merged by others, which give way to whoever answers a request.
enum { FLUSHING_THREADS = 1, MERGING_THREADS = 2 };

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// The library is not instrumented: what its atomics order looks like a race within it.
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:" LODE_ROCKSDB_SONAME "\n";
}
#endif
#endif

// Written once, under pthread_once, before anyone reads it.
static struct rocksdb_library library;
static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start_threads(void)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGBUS); // Theirs, as they read mapped files.
    // The library's threads inherit the mask: signals are the program's.
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    // The environment is the library's own and stays for as long as the program runs.
    static rocksdb_env_t *environment;
    environment = library.create_default_env();
    library.env_set_high_priority_background_threads(environment, FLUSHING_THREADS);
    library.env_set_background_threads(environment, MERGING_THREADS);
    library.env_lower_thread_pool_cpu_priority(environment);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void load(void)
{
#define ROCKSDB_FUNCTION(name) {"rocksdb_" #name, &library.name},
    const struct library_function functions[] = {ROCKSDB_LIBRARY_FUNCTIONS(ROCKSDB_FUNCTION)};
#undef ROCKSDB_FUNCTION
    if (library_load(LODE_ROCKSDB_SONAME, functions, sizeof functions / sizeof functions[0])) {
        start_threads();
        is_loaded = true;
    }
}

enum status rocksdb_library_get(const struct rocksdb_library **out, struct error *error)
{
    (void)pthread_once(&once, load);
    if (!is_loaded) {
        (void)error_set(error, UNAVAILABLE, "the library " LODE_ROCKSDB_SONAME " cannot be loaded");
        error_fix(error, "install RocksDB (in Debian 12 the package librocksdb7.8)");
        return UNAVAILABLE;
    }
    *out = &library;
    return OK;
}
