#include "store/blobs.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    FAN_OUT = 256,             // Folders 00 to ff: a million blobs are four thousand files each.
    WRITE_BACK_SIZE = 8 << 20, // Bytes after which the disk begins to write a growing blob.
};
// One that is so old holds long enough.
#define CLAIM_AGAIN_US (BLOB_UNCLAIMED_US - BLOB_CLAIM_US)

struct blobs {
    char *folder;
    char *incoming;
    _Atomic uint64_t next_name; // Of a file in incoming/.
    int64_t real_us;            // Both clocks when it was opened.
    int64_t boot_us;
    pthread_mutex_t lock; // Guards what follows.
    pthread_cond_t removed;
    bool is_removing;
    struct digest removing; // Whoever claims this one waits.
};

struct blob_writer {
    struct blobs *blobs;
    char *path; // In incoming/; NULL once it has its name.
    int fd;
    int64_t size;
    int64_t write_back_from; // What is before it is on its way to the disk.
    bool is_kept;            // It is to stay.
    struct digest_stream *digest;
};

enum status blobs_open(const char *folder, struct blobs **out, struct error *error)
{
    AUTO_FREE char *incoming = memory_format("%s/incoming", folder);
    TRY(file_remove_tree(incoming, error));
    TRY(file_make_folder(incoming, error));
    // All at once and synced here, so that a commit has to sync only the one folder that it adds a name to.
    for (int i = 0; i < FAN_OUT; i++) {
        AUTO_FREE char *path = memory_format("%s/%02x", folder, (unsigned)i);
        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
            return error_set_errno(error, errno, "cannot make folder %s", path);
        }
    }
    TRY(file_sync_folder(folder, error));
    struct blobs *blobs = NEW(struct blobs);
    blobs->folder = memory_copy_string(folder);
    blobs->real_us = clock_real_us();
    blobs->boot_us = clock_boot_us();
    (void)pthread_mutex_init(&blobs->lock, NULL);
    (void)pthread_cond_init(&blobs->removed, NULL);
    blobs->incoming = TAKE(incoming);
    *out = blobs;
    return OK;
}

void blobs_close(struct blobs *blobs)
{
    if (blobs) {
        (void)pthread_cond_destroy(&blobs->removed);
        (void)pthread_mutex_destroy(&blobs->lock);
        free(blobs->folder);
        free(blobs->incoming);
        free(blobs);
    }
}

enum status blob_writer_new(struct blobs *blobs, struct blob_writer **out, struct error *error)
{
    uint64_t name = blobs->next_name++;
    AUTO_FREE char *path = memory_format("%s/%lld-%llu", blobs->incoming, (long long)getpid(),
                                         (unsigned long long)name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot create %s", path);
    }
    struct blob_writer *writer = NEW(struct blob_writer);
    writer->blobs = blobs;
    writer->path = TAKE(path);
    writer->fd = fd;
    writer->digest = digest_stream_new();
    *out = writer;
    return OK;
}

// Else a large blob waits in memory for its sync, and with it everybody else's on the same disk.
static void begin_write_back(struct blob_writer *writer)
{
    int64_t length = writer->size - writer->write_back_from;
    if (length >= WRITE_BACK_SIZE) {
        (void)sync_file_range(writer->fd, writer->write_back_from, length, SYNC_FILE_RANGE_WRITE);
        writer->write_back_from = writer->size;
    }
}

enum status blob_writer_append(struct blob_writer *writer, struct text bytes, struct error *error)
{
    TRY(file_write_all(writer->fd, bytes, error));
    digest_stream_update(writer->digest, bytes.bytes, bytes.length);
    writer->size += (int64_t)bytes.length;
    begin_write_back(writer);
    return OK;
}

static enum status check_digest(const struct digest *found, const struct digest *expected,
                                struct error *error)
{
    if (!expected || digest_equal(found, expected)) {
        return OK;
    }
    char found_text[DIGEST_TEXT_SIZE];
    char expected_text[DIGEST_TEXT_SIZE];
    (void)error_set(error, CORRUPT, "the bytes have digest %s, but %s was announced",
                    digest_to_text(found, found_text), digest_to_text(expected, expected_text));
    if (error) {
        error_fix(error, "send them again; if it fails again, the source has changed");
    }
    return CORRUPT;
}

static char *folder_of(const struct blobs *blobs, const struct digest *digest)
{
    return memory_format("%s/%02x", blobs->folder, digest->bytes[0]);
}

static struct timespec time_of(int64_t time_us)
{
    return (struct timespec){time_us / 1000000, time_us % 1000000 * 1000};
}

static int64_t claimed_us(const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000000 + info->st_mtim.tv_nsec / 1000;
}

static bool is_kept(const struct stat *info)
{
    return (info->st_mode & S_IRGRP) != 0;
}

static enum status sync_new(const struct blob_writer *writer, struct error *error)
{
    const struct timespec now = time_of(blobs_now_us(writer->blobs));
    const struct timespec times[] = {now, now};
    if (fchmod(writer->fd, writer->is_kept ? 0444 : 0400) < 0 || futimens(writer->fd, times) < 0 ||
        fsync(writer->fd) < 0) {
        return error_set_errno(error, errno, "cannot sync %s", writer->path);
    }
    return OK;
}

// One that is here already stays too from now on.
static enum status sync_kept(const struct blob_writer *writer, const char *path,
                             struct error *error)
{
    if (!writer->is_kept) {
        return OK;
    }
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0444) < 0 || fsync(fd) < 0) {
        return error_set_errno(error, errno, "cannot sync %s", path);
    }
    return OK;
}

// Gives the synced file its name. An existing blob of that name has the same bytes: replacing it changes nothing.
static enum status give_name(struct blob_writer *writer, const struct digest *digest,
                             struct error *error)
{
    AUTO_FREE char *folder = folder_of(writer->blobs, digest);
    AUTO_FREE char *path = blob_path(writer->blobs, digest);
    if (!blob_claim(writer->blobs, digest)) {
        TRY(sync_new(writer, error));
        if (rename(writer->path, path) < 0) {
            return error_set_errno(error, errno, "cannot name %s", path);
        }
        free(TAKE(writer->path));
    } else {
        TRY(sync_kept(writer, path, error));
    }
    // For an existing one too: who named it may not have come so far.
    return file_sync_folder(folder, error);
}

enum status blob_writer_commit(struct blob_writer *writer, const struct digest *expected,
                               struct digest *out, int64_t *size, struct error *error)
{
    struct digest digest = digest_stream_finish(TAKE(writer->digest));
    enum status status = check_digest(&digest, expected, error);
    if (status == OK) {
        status = give_name(writer, &digest, error);
    }
    if (status == OK && out) {
        *out = digest;
    }
    if (status == OK && size) {
        *size = writer->size;
    }
    blob_writer_abort(writer);
    return status;
}

void blob_writer_keep(struct blob_writer *writer)
{
    writer->is_kept = true;
}

void blob_writer_abort(struct blob_writer *writer)
{
    if (!writer) {
        return;
    }
    if (writer->path) {
        (void)unlink(writer->path);
    }
    digest_stream_free(writer->digest);
    (void)close(writer->fd);
    free(writer->path);
    free(writer);
}

enum status blob_put(struct blobs *blobs, struct text bytes, struct digest *out,
                     struct error *error)
{
    struct blob_writer *writer = NULL;
    TRY(blob_writer_new(blobs, &writer, error));
    enum status status = blob_writer_append(writer, bytes, error);
    if (status != OK) {
        blob_writer_abort(writer);
        return status;
    }
    return blob_writer_commit(writer, NULL, out, NULL, error);
}

enum status blob_open(struct blobs *blobs, const struct digest *digest, int *fd, int64_t *size,
                      struct error *error)
{
    AUTO_FREE char *path = blob_path(blobs, digest);
    AUTO_CLOSE int opened = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (opened < 0 && errno == ENOENT) {
        char text[DIGEST_TEXT_SIZE];
        return error_set(error, NOT_FOUND, "there is no blob %s here",
                         digest_to_text(digest, text));
    }
    if (opened < 0 || fstat(opened, &info) < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    *size = info.st_size;
    *fd = file_take_fd(&opened);
    return OK;
}

bool blob_exists(struct blobs *blobs, const struct digest *digest)
{
    AUTO_FREE char *path = blob_path(blobs, digest);
    return access(path, F_OK) == 0;
}

int64_t blobs_now_us(const struct blobs *blobs)
{
    return blobs->real_us + clock_boot_us() - blobs->boot_us;
}

// True: a removal that saw the blob as it was before this was called has ended.
static bool await_removal(struct blobs *blobs, const struct digest *digest, bool waits)
{
    bool is_removing = false;
    (void)pthread_mutex_lock(&blobs->lock);
    while ((is_removing = blobs->is_removing && digest_equal(&blobs->removing, digest)) && waits) {
        (void)pthread_cond_wait(&blobs->removed, &blobs->lock);
    }
    (void)pthread_mutex_unlock(&blobs->lock);
    return !is_removing;
}

static bool claim(struct blobs *blobs, const struct digest *digest, bool waits)
{
    AUTO_FREE char *path = blob_path(blobs, digest);
    int64_t now_us = blobs_now_us(blobs);
    struct stat info;
    if (stat(path, &info) < 0) {
        return false;
    }
    if (is_kept(&info)) {
        return true;
    }
    const struct timespec now = time_of(now_us);
    const struct timespec times[] = {now, now};
    bool is_claimed =
        now_us - claimed_us(&info) < CLAIM_AGAIN_US || utimensat(AT_FDCWD, path, times, 0) == 0;
    return await_removal(blobs, digest, waits) && is_claimed && access(path, F_OK) == 0;
}

bool blob_claim(struct blobs *blobs, const struct digest *digest)
{
    return claim(blobs, digest, true);
}

bool blob_try_claim(struct blobs *blobs, const struct digest *digest)
{
    return claim(blobs, digest, false);
}

static void set_removing(struct blobs *blobs, const struct digest *digest)
{
    (void)pthread_mutex_lock(&blobs->lock);
    blobs->is_removing = digest != NULL;
    if (digest) {
        blobs->removing = *digest;
    }
    (void)pthread_cond_broadcast(&blobs->removed);
    (void)pthread_mutex_unlock(&blobs->lock);
}

bool blob_remove_unclaimed(struct blobs *blobs, const struct digest *digest, int64_t before_us,
                           int64_t *size)
{
    AUTO_FREE char *path = blob_path(blobs, digest);
    struct stat info;
    // A claim that comes before the look is seen by it; one that comes later waits, and finds nothing.
    set_removing(blobs, digest);
    bool is_gone = stat(path, &info) == 0 && !is_kept(&info) && claimed_us(&info) < before_us &&
                   unlink(path) == 0;
    set_removing(blobs, NULL);
    *size = is_gone ? info.st_size : 0;
    return is_gone;
}

bool blob_keep(struct blobs *blobs, const struct digest *digest)
{
    AUTO_FREE char *path = blob_path(blobs, digest);
    return chmod(path, 0444) == 0;
}

static bool digest_from_names(unsigned char first, const char *name, struct digest *out)
{
    char hex[2 * DIGEST_SIZE + 1];
    int length = snprintf(hex, sizeof hex, "%02x%s", (unsigned)first, name);
    return length == 2 * DIGEST_SIZE && digest_from_text(text_of(hex), out, NULL) == OK;
}

enum status blobs_each_unclaimed(struct blobs *blobs, unsigned char first, int64_t before_us,
                                 bool (*visit)(void *context, const struct digest *digest),
                                 void *context, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/%02x", blobs->folder, (unsigned)first);
    DIR *folder = opendir(path);
    if (!folder) {
        return error_set_errno(error, errno, "cannot read the folder %s", path);
    }
    bool goes_on = true;
    for (const struct dirent *entry; goes_on && (entry = readdir(folder)) != NULL;) {
        struct digest digest;
        struct stat info;
        if (digest_from_names(first, entry->d_name, &digest) &&
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            !is_kept(&info) && claimed_us(&info) < before_us) {
            goes_on = visit(context, &digest);
        }
    }
    (void)closedir(folder);
    return OK;
}

char *blob_path(struct blobs *blobs, const struct digest *digest)
{
    char hex[2 * DIGEST_SIZE + 1];
    hex_encode(digest->bytes, DIGEST_SIZE, hex);
    return memory_format("%s/%.2s/%s", blobs->folder, hex, hex + 2);
}
