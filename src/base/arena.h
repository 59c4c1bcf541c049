// Memory that belongs to one request and dies with it.
#ifndef LODE_BASE_ARENA_H
#define LODE_BASE_ARENA_H

#include "base/text.h"

struct arena {
    struct arena_block *blocks;
};

// Embedded: struct arena arena = {0} is empty and ready.
void arena_done(struct arena *arena);

#define AUTO_ARENA __attribute__((cleanup(arena_done)))

// Zeroed memory, aligned for any type; lives until arena_done.
void *arena_new(struct arena *arena, size_t size) __attribute__((returns_nonnull));
char *arena_copy(struct arena *arena, struct text text) __attribute__((returns_nonnull));
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

#endif
