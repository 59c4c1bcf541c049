#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void out_of_memory(size_t count, size_t size)
{
    (void)fprintf(stderr, "lode: out of memory: %zu x %zu bytes\n", count, size);
    abort();
}

void *memory_new(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory) {
        out_of_memory(count, size);
    }
    return memory;
}

void *memory_resize(void *old, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        out_of_memory(count, size);
    }
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory) {
        out_of_memory(count, size);
    }
    return memory;
}

char *memory_copy_string(const char *string)
{
    return string ? memory_copy_bytes(string, strlen(string)) : NULL;
}

char *memory_copy_bytes(const void *bytes, size_t length)
{
    char *copy = memory_resize(NULL, length + 1, 1);
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    copy[length] = '\0';
    return copy;
}

char *memory_format(const char *format, ...)
{
    char *out = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&out, format, arguments);
    va_end(arguments);
    if (length < 0) {
        out_of_memory(1, 0);
    }
    return out;
}
