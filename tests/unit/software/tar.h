// Tar archives as nobody else would write them, header by header (POSIX.1-1988 ustar).
#ifndef LODE_TEST_SOFTWARE_TAR_H
#define LODE_TEST_SOFTWARE_TAR_H

#include "../cmocka_all.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "os/file.h"

#include <fcntl.h>
#include <stdio.h>

enum { TAR_BLOCK = 512 };

struct tar_entry {
    const char *name;
    char type; // '0' file, '1' hard link, '2' symbolic link, '3' device, '5' folder, '6' FIFO
    const char *target;
    const char *content;
    unsigned mode; // 0: 0644
    uint64_t size; // Where it is not the content's.
};

static inline void tar_octal(unsigned char *out, size_t digits, uint64_t number)
{
    for (size_t i = digits; i-- > 0; number /= 8) {
        out[i] = (unsigned char)('0' + number % 8);
    }
}

static inline void tar_put(struct buffer *out, const struct tar_entry *entry)
{
    unsigned char header[TAR_BLOCK] = {0};
    struct text content = text_of(entry->content);
    uint64_t size = entry->size ? entry->size : content.length;
    (void)snprintf((char *)header, 100, "%s", entry->name);
    tar_octal(header + 100, 7, entry->mode ? entry->mode : 0644);
    tar_octal(header + 108, 7, 0);
    tar_octal(header + 116, 7, 0);
    tar_octal(header + 124, 11, size);
    tar_octal(header + 136, 11, 0);
    memset(header + 148, ' ', 8);
    header[156] = (unsigned char)entry->type;
    if (entry->target) {
        (void)snprintf((char *)header + 157, 100, "%s", entry->target);
    }
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof header; i++) {
        sum += header[i];
    }
    tar_octal(header + 148, 6, sum);
    header[154] = '\0';
    buffer_append(out, header, sizeof header);
    buffer_append_text(out, content);
    static const char zeros[TAR_BLOCK];
    buffer_append(out, zeros, (TAR_BLOCK - content.length % TAR_BLOCK) % TAR_BLOCK);
}

static inline void tar_end(struct buffer *out)
{
    static const char zeros[2 * TAR_BLOCK];
    buffer_append(out, zeros, sizeof zeros);
}

// A descriptor of a nameless file with these bytes.
static inline int tar_file(const struct buffer *bytes)
{
    int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, buffer_text(bytes), NULL), OK);
    return fd;
}

static inline int tar_of(const struct tar_entry *entries, size_t count)
{
    AUTO_BUFFER struct buffer bytes = {0};
    for (size_t i = 0; i < count; i++) {
        tar_put(&bytes, &entries[i]);
    }
    tar_end(&bytes);
    return tar_file(&bytes);
}

// The content of a file below a folder; NULL when there is none. The caller's.
static inline char *tar_read(int folder_fd, const char *path)
{
    AUTO_BUFFER struct buffer content = {0};
    AUTO_FREE char *whole = memory_format("/proc/self/fd/%d/%s", folder_fd, path);
    if (file_read(whole, 1 << 20, &content, NULL) != OK) {
        return NULL;
    }
    return buffer_take_string(&content);
}

static inline void tar_expect(int folder_fd, const char *path, const char *expected)
{
    AUTO_FREE char *content = tar_read(folder_fd, path);
    assert_non_null(content);
    assert_string_equal(content, expected);
}

static inline bool tar_has(int folder_fd, const char *path)
{
    struct stat info;
    return fstatat(folder_fd, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

#endif
