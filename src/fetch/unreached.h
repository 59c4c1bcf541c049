// Other workers that this one could not reach lately: each is left alone for a while, as every file would wait for it.
#ifndef LODE_FETCH_UNREACHED_H
#define LODE_FETCH_UNREACHED_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

enum { UNREACHED_MAX = 16 };
#define UNREACHED_US INT64_C(600000000)

// All zero: none.
struct unreached {
    struct {
        int64_t worker;
        int64_t until_us;
    } items[UNREACHED_MAX]; // A ring.
    size_t count;           // Of all that were ever added.
};

void unreached_add(struct unreached *unreached, int64_t worker, int64_t now_us);
// Appends those of the last UNREACHED_US, as a member of what the site is asked: ,"unreached":[7,9] or nothing.
void unreached_write(const struct unreached *unreached, int64_t now_us, struct buffer *out);

#endif
