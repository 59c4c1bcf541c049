#include "os/thread.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum status thread_start(pthread_t *out, const char *name, void *(*run)(void *context),
                         void *context, struct error *error)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGBUS); // Of the thread that reads a mapped file, see os/mapped.h.
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

void thread_stand_back(int steps)
{
    // On Linux niceness is of each thread, and an id of 0 is the calling one.
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + steps);
}

void condition_init(pthread_cond_t *out)
{
    pthread_condattr_t steady;
    (void)pthread_condattr_init(&steady);
    (void)pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    (void)pthread_cond_init(out, &steady);
    (void)pthread_condattr_destroy(&steady);
}

bool condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_us)
{
    if (until_us == INT64_MAX) {
        (void)pthread_cond_wait(condition, mutex);
        return true;
    }
    const struct timespec until = {.tv_sec = until_us / 1000000,
                                   .tv_nsec = until_us % 1000000 * 1000};
    return pthread_cond_timedwait(condition, mutex, &until) != ETIMEDOUT;
}
