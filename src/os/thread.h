// Threads that leave signals to the program.
#ifndef LODE_OS_THREAD_H
#define LODE_OS_THREAD_H

#include "base/status.h"

#include <pthread.h>

// Starts a thread that takes no signals. `name` (up to 15 bytes) is what the system shows for it. *out is the caller's to join.
enum status thread_start(pthread_t *out, const char *name, void *(*run)(void *context),
                         void *context, struct error *error);

#endif
