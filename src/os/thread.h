// Threads that leave signals to the program, and conditions that they wait for by the steady clock.
#ifndef LODE_OS_THREAD_H
#define LODE_OS_THREAD_H

#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

// Starts a thread that takes no signals. `name` (up to 15 bytes) is what the system shows for it. *out is the caller's to join.
enum status thread_start(pthread_t *out, const char *name, void *(*run)(void *context),
                         void *context, struct error *error);

// Has the calling thread stand back by so many steps of niceness (to 19 at most): whoever else wants the processor comes first, but it is
// not starved. Cannot be taken back.
void thread_stand_back(int steps);

// Makes a condition for condition_wait_until; pthread_cond_destroy ends it.
void condition_init(pthread_cond_t *out);
// Waits, with the mutex held, for a signal, or for `until_us` on the steady clock (INT64_MAX: for ever). False: that time has come. True says
// no more than that it is worth a look.
bool condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_us);

#endif
