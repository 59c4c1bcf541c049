// What every fuzz target implements, and how it says that a property does not hold.
#ifndef LODE_FUZZ_FUZZ_H
#define LODE_FUZZ_FUZZ_H

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

// libFuzzer's entry: reads `size` bytes in any way that may neither crash, leak nor hang; returns 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

// The input as text, in memory of its exact size, so that the sanitizers see a read of one byte too many.
static inline struct text fuzz_text(const uint8_t *data, size_t size)
{
    return (struct text){(const char *)data, size};
}

#endif
