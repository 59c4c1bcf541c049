#include "os/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_fill(void *out, size_t length)
{
    char *at = out;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno != EINTR) {
            abort();
        }
        if (got > 0) {
            at += got;
            length -= (size_t)got;
        }
    }
}
