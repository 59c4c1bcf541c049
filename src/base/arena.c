#include "base/arena.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

// The first block is small: most requests need no more, and thousands of them may wait.
enum { ARENA_FIRST_SIZE = 1024, ARENA_BLOCK_SIZE = 4096, ARENA_ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    _Alignas(ARENA_ALIGN) char bytes[];
};

void arena_done(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}

void *arena_new(struct arena *arena, size_t size)
{
    size_t rounded = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < rounded) {
        size_t usual = block ? ARENA_BLOCK_SIZE : ARENA_FIRST_SIZE;
        size_t room = rounded > usual ? rounded : usual;
        block = memory_new(1, sizeof *block + room);
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += rounded;
    return memory;
}

char *arena_copy(struct arena *arena, struct text text)
{
    char *copy = arena_new(arena, text.length + 1);
    if (text.length > 0) {
        memcpy(copy, text.bytes, text.length);
    }
    return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *out = arena_new(arena, (size_t)(length < 0 ? 0 : length) + 1);
    (void)vsnprintf(out, (size_t)(length < 0 ? 0 : length) + 1, format, again);
    va_end(again);
    return out;
}
