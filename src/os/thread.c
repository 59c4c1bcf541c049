#include "os/thread.h"

#include <signal.h>

enum status thread_start(pthread_t *out, const char *name, void *(*run)(void *context),
                         void *context, struct error *error)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    // The new thread inherits the mask, so that it takes none from its first instruction on.
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(out, NULL, run, context);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0) {
        return error_set_errno(error, failure, "cannot start the thread %s", name);
    }
    (void)pthread_setname_np(*out, name);
    return OK;
}
