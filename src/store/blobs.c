#include "store/blobs.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    FAN_OUT = 256,             // Folders 00 to ff: a million blobs are four thousand files each.
    WRITE_BACK_SIZE = 8 << 20, // Bytes after which the disk begins to write a growing blob.
};

struct blobs {
    char *folder;
    char *incoming;
    _Atomic uint64_t next_name; // Of a file in incoming/.
};

struct blob_writer {
    struct blobs *blobs;
    char *path; // In incoming/; NULL once it has its name.
    int fd;
    int64_t size;
    int64_t write_back_from; // What is before it is on its way to the disk.
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
    blobs->incoming = TAKE(incoming);
    *out = blobs;
    return OK;
}

void blobs_close(struct blobs *blobs)
{
    if (blobs) {
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

// Gives the synced file its name. An existing blob of that name has the same bytes: replacing it changes nothing.
static enum status give_name(struct blob_writer *writer, const struct digest *digest,
                             struct error *error)
{
    AUTO_FREE char *folder = folder_of(writer->blobs, digest);
    AUTO_FREE char *path = blob_path(writer->blobs, digest);
    if (!blob_exists(writer->blobs, digest)) {
        if (fchmod(writer->fd, 0444) < 0 || fsync(writer->fd) < 0) {
            return error_set_errno(error, errno, "cannot sync %s", writer->path);
        }
        if (rename(writer->path, path) < 0) {
            return error_set_errno(error, errno, "cannot name %s", path);
        }
        free(TAKE(writer->path));
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

char *blob_path(struct blobs *blobs, const struct digest *digest)
{
    char hex[2 * DIGEST_SIZE + 1];
    hex_encode(digest->bytes, DIGEST_SIZE, hex);
    return memory_format("%s/%.2s/%s", blobs->folder, hex, hex + 2);
}
