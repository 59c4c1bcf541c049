// Random bytes of the kernel, for keys, tokens and identifiers.
#ifndef LODE_OS_RANDOM_H
#define LODE_OS_RANDOM_H

#include <stddef.h>

// Fills `out`; ends the program in the impossible case that the kernel has none.
void random_fill(void *out, size_t length);

#endif
