#include "os/mapped.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A signal handler has no argument to find it by. Written under the mutex while `is_set` is false.
static char mark[MAPPED_MARK_MAX];
static volatile sig_atomic_t is_set;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

// The default comes back only here: else a second thread that reads at the same moment would end the program before the mark is there. The signal
// comes again as soon as this returns.
static void leave_mark(int number)
{
    if (is_set) {
        int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    (void)signal(number, SIG_DFL);
}

bool mapped_mark_set(const char *path)
{
    const struct sigaction action = {.sa_handler = leave_mark};
    bool is_free = false;
    (void)pthread_mutex_lock(&mutex);
    if (!is_set && strlen(path) < sizeof mark) {
        (void)snprintf(mark, sizeof mark, "%s", path);
        is_free = sigaction(SIGBUS, &action, NULL) == 0;
        is_set = is_free;
    }
    (void)pthread_mutex_unlock(&mutex);
    return is_free;
}

void mapped_mark_clear(const char *path)
{
    (void)pthread_mutex_lock(&mutex);
    if (is_set && strcmp(mark, path) == 0) {
        is_set = false;
        (void)signal(SIGBUS, SIG_DFL);
    }
    (void)pthread_mutex_unlock(&mutex);
}
