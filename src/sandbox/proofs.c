#include "sandbox/proofs.h"

#include "base/map.h"
#include "base/memory.h"
#include "os/file.h"

#include <fcntl.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 256, NANOSECONDS = 1000000000, NUMBERS = 5 };

struct proof {
    struct file_mark mark;
    struct digest digest;
};

struct proofs {
    struct map *known; // By device and inode.
    char *path;
    int fd; // For new lines; -1: it cannot be written.
};

struct file_mark file_mark_of(const struct stat *info)
{
    return (struct file_mark){
        .device = (int64_t)info->st_dev,
        .inode = (int64_t)info->st_ino,
        .size = info->st_size,
        .modified_ns = (int64_t)info->st_mtim.tv_sec * NANOSECONDS + info->st_mtim.tv_nsec,
        .changed_ns = (int64_t)info->st_ctim.tv_sec * NANOSECONDS + info->st_ctim.tv_nsec};
}

bool file_mark_equal(const struct file_mark *a, const struct file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

int64_t file_mark_modified_us(const struct file_mark *mark)
{
    int64_t rest_ns = mark->modified_ns % 1000;
    return mark->modified_ns / 1000 - (rest_ns < 0 ? 1 : 0);
}

static void make_key(const struct file_mark *mark, char key[64])
{
    (void)snprintf(key, 64, "%lld:%lld", (long long)mark->device, (long long)mark->inode);
}

static void forget_all(struct proofs *proofs)
{
    size_t at = 0;
    for (void *proof; (proof = map_next(proofs->known, &at)) != NULL;) {
        free(proof);
    }
    map_free(proofs->known);
    proofs->known = map_new();
}

static void remember(struct proofs *proofs, const struct file_mark *mark,
                     const struct digest *digest)
{
    char key[64];
    struct proof *proof = NEW(struct proof);
    *proof = (struct proof){*mark, *digest};
    make_key(mark, key);
    free(map_set_text(proofs->known, text_of(key), proof));
}

// "<device> <inode> <size> <modified> <changed> sha256:<hex>"; anything else is left out.
static void take_line(struct proofs *proofs, struct text line)
{
    int64_t numbers[NUMBERS];
    struct digest digest;
    struct text part;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (!text_next_part(&line, ' ', &part) || !text_to_int64(part, &numbers[i])) {
            return;
        }
    }
    if (digest_from_text(line, &digest, NULL) == OK) {
        const struct file_mark mark = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
        remember(proofs, &mark, &digest);
    }
}

static void open_file(struct proofs *proofs, int flags)
{
    file_close_local(&proofs->fd);
    proofs->fd = open(proofs->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0600);
}

struct proofs *proofs_open(const char *path)
{
    struct proofs *proofs = NEW(struct proofs);
    AUTO_BUFFER struct buffer content = {0};
    proofs->known = map_new();
    proofs->path = memory_copy_string(path);
    proofs->fd = -1;
    bool is_read = file_read(path, (size_t)PROOFS_MAX * LINE_MAX_BYTES, &content, NULL) == OK;
    struct text rest = buffer_text(&content);
    for (struct text line; text_next_part(&rest, '\n', &line);) {
        take_line(proofs, line);
    }
    open_file(proofs, is_read ? 0 : O_TRUNC);
    return proofs;
}

void proofs_free(struct proofs *proofs)
{
    if (proofs) {
        forget_all(proofs);
        map_free(proofs->known);
        file_close_local(&proofs->fd);
        free(proofs->path);
        free(proofs);
    }
}

bool proofs_find(const struct proofs *proofs, const struct file_mark *mark, struct digest *out)
{
    char key[64];
    make_key(mark, key);
    const struct proof *proof = map_find_text(proofs->known, text_of(key));
    if (!proof || !file_mark_equal(&proof->mark, mark)) {
        return false;
    }
    *out = proof->digest;
    return true;
}

void proofs_add(struct proofs *proofs, const struct file_mark *mark, const struct digest *digest)
{
    AUTO_BUFFER struct buffer line = {0};
    char text[DIGEST_TEXT_SIZE];
    if (map_count(proofs->known) >= PROOFS_MAX) {
        forget_all(proofs);
        open_file(proofs, O_TRUNC);
    }
    remember(proofs, mark, digest);
    buffer_printf(&line, "%lld %lld %lld %lld %lld %s\n", (long long)mark->device,
                  (long long)mark->inode, (long long)mark->size, (long long)mark->modified_ns,
                  (long long)mark->changed_ns, digest_to_text(digest, text));
    if (proofs->fd >= 0) {
        // When it cannot be written, the file is read once more in the next life.
        (void)file_write_all(proofs->fd, buffer_text(&line), NULL);
    }
}
