// Heap memory that never comes back NULL, locals that free themselves, and visible hand-over.
#ifndef LODE_BASE_MEMORY_H
#define LODE_BASE_MEMORY_H

#include <stddef.h>
#include <stdlib.h>

// Zeroed memory for `count` things of `size` bytes; ends the program when there is none or the product overflows.
void *memory_new(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

// `old` (or NULL) resized to `count` things of `size` bytes; what is new is not zeroed. Ends the program on failure.
void *memory_resize(void *old, size_t count, size_t size) __attribute__((returns_nonnull));

// A heap copy of the string; NULL for NULL.
char *memory_copy_string(const char *string);

// A heap copy of `length` bytes with a NUL behind them.
char *memory_copy_bytes(const void *bytes, size_t length) __attribute__((returns_nonnull));

// A formatted heap string.
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#define NEW(type) ((type *)memory_new(1, sizeof(type)))

// A local that frees what it points to when it leaves its scope: AUTO_FREE char *name = ...;
#define AUTO_FREE __attribute__((cleanup(memory_free_local)))
static inline void memory_free_local(void *local)
{
    free(*(void **)local);
}

// Hands over a pointer: its value, leaving NULL behind.
#define TAKE(pointer)                                                                              \
    (__extension__({                                                                               \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    }))

#endif
