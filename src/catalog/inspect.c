#include "catalog/inspect.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum {
    BLOCK_SIZE = 256 << 10,
    READ_ATTEMPTS_MAX = 3,
    CLOCK_STEP_US =
        20000, // A kernel's ticks are 10 ms apart at most, and it stamps files with the last one.
    COARSE_STEP_US = 2000000, // Of file systems that keep whole seconds, or, as FAT, every other.
};

struct file_facts file_facts_of(const struct stat *info)
{
    // Nanoseconds count upwards from the second before 1970 too, so that this rounds down.
    return (struct file_facts){
        .size_bytes = info->st_size,
        .modified_us = (int64_t)info->st_mtim.tv_sec * 1000000 + info->st_mtim.tv_nsec / 1000,
        .changed_us = (int64_t)info->st_ctim.tv_sec * 1000000 + info->st_ctim.tv_nsec / 1000,
        .inode = (int64_t)info->st_ino,
    };
}

bool file_facts_fit(const struct file_facts *a, const struct file_facts *b)
{
    return a->size_bytes == b->size_bytes && a->modified_us == b->modified_us &&
           a->changed_us == b->changed_us && a->inode == b->inode;
}

bool is_settled(const struct stat *info, int64_t now_us)
{
    int64_t step_us = info->st_ctim.tv_nsec == 0 ? COARSE_STEP_US : CLOCK_STEP_US;
    return file_facts_of(info).changed_us < now_us - step_us;
}

static void say(struct inspection *out, enum dataset_file_state state, const char *problem)
{
    out->state = state;
    (void)snprintf(out->problem, sizeof out->problem, "%s", problem);
}

static void say_errno(struct inspection *out, const char *problem, int number)
{
    char text[128];
    out->state = number == ENOENT ? DATASET_FILE_MISSING : DATASET_FILE_UNREADABLE;
    (void)snprintf(out->problem, sizeof out->problem, "%s: %s", problem,
                   strerror_r(number, text, sizeof text));
}

// One reading of a file: what it counted in the meter stays counted.
struct reading {
    struct digest digest;
    int64_t size_bytes;
    int read_errno; // 0, or why it ended early.
};

static enum status read_through(int fd, char *block, struct meter *meter, struct reading *out,
                                struct error *error)
{
    struct digest_stream *stream = digest_stream_new();
    *out = (struct reading){0};
    for (;;) {
        if (atomic_load(&meter->is_stopped)) {
            digest_stream_free(stream);
            return error_set(error, TIMEOUT, "checksumming was stopped");
        }
        ssize_t got = pread(fd, block, BLOCK_SIZE, out->size_bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            out->read_errno = got < 0 ? errno : 0;
            break;
        }
        digest_stream_update(stream, block, (size_t)got);
        atomic_fetch_add(&meter->bytes_done, got);
        out->size_bytes += got;
    }
    out->digest = digest_stream_finish(stream);
    return OK;
}

// Reads until the facts before and after are the same, so that they belong to the checksum.
static enum status hash_at_rest(int fd, struct meter *meter, struct inspection *out,
                                struct error *error)
{
    AUTO_FREE char *block = memory_new(1, BLOCK_SIZE);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (int attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt++) {
        struct reading reading;
        struct stat info;
        TRY(read_through(fd, block, meter, &reading, error));
        if (reading.read_errno != 0 || fstat(fd, &info) < 0) {
            say_errno(out, "cannot be read", reading.read_errno != 0 ? reading.read_errno : errno);
            return OK;
        }
        struct file_facts after = file_facts_of(&info);
        if (file_facts_fit(&out->now, &after) && reading.size_bytes == after.size_bytes) {
            out->now.digest = reading.digest;
            out->now.has_digest = true;
            out->is_hashed = true;
            // One more change could bear the same time: a time that no file has makes the next look read again.
            out->now.changed_us = is_settled(&info, clock_real_us()) ? after.changed_us : 0;
            return OK;
        }
        atomic_fetch_sub(&meter->bytes_done, reading.size_bytes);
        out->now = after;
    }
    say(out, DATASET_FILE_UNREADABLE, "changes while it is being read");
    return OK;
}

static int open_file(int folder_fd, const char *path, struct inspection *out)
{
    int fd = -1;
    struct error error = {0};
    // Without waiting, should a pipe have taken the file's place.
    enum status status =
        file_open_beneath(folder_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, &error);
    if (status == NOT_FOUND) {
        say(out, DATASET_FILE_MISSING, "is missing");
    } else if (status == DENIED) {
        say(out, DATASET_FILE_UNREADABLE, "cannot be read: permission denied");
    } else if (status != OK) {
        say(out, DATASET_FILE_UNREADABLE, error.detail);
    }
    return status == OK ? fd : -1;
}

static void judge(const struct file_facts *registered, struct inspection *out)
{
    if (!registered->has_digest) {
        say(out, DATASET_FILE_NEW, "is not registered");
    } else if (!digest_equal(&out->now.digest, &registered->digest)) {
        say(out, DATASET_FILE_CHANGED, "has another content than was registered");
    } else {
        say(out, DATASET_FILE_OK, "");
    }
}

enum status inspect_file(int folder_fd, const char *path, const struct file_facts *registered,
                         enum inspect_mode mode, struct meter *meter, struct inspection *out,
                         struct error *error)
{
    *out = (struct inspection){.state = DATASET_FILE_OK};
    AUTO_CLOSE int fd = open_file(folder_fd, path, out);
    struct stat info;
    if (fd < 0) {
        return OK;
    }
    if (fstat(fd, &info) < 0) {
        say_errno(out, "cannot be looked at", errno);
        return OK;
    }
    if (!S_ISREG(info.st_mode)) {
        say(out, DATASET_FILE_CHANGED, "is no regular file any more");
        return OK;
    }
    out->now = file_facts_of(&info);
    bool is_same = registered->has_digest && file_facts_fit(registered, &out->now);
    bool is_other_size = registered->has_digest && registered->size_bytes != info.st_size;
    if (is_other_size && mode == INSPECT_QUICK) {
        say(out, DATASET_FILE_CHANGED, "has another size than was registered");
    } else if (!is_same || mode == INSPECT_FULL) {
        TRY(hash_at_rest(fd, meter, out, error));
        if (out->is_hashed) {
            judge(registered, out);
        }
        return OK;
    }
    atomic_fetch_add(&meter->bytes_done, out->now.size_bytes);
    return OK;
}
