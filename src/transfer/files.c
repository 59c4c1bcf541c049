// Brings the files of a list: some at once, each by Range from where it was left, each held against its SHA-256.
//
// What has come of a file lies in FOLDER/parts/<number in the list>; once it is whole and right it is named FOLDER/data/<path>. So a
// file that has its name has been verified.
#include "transfer/state.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { FILES_AT_ONCE = 4, READ_BLOCK = 1 << 18 };

struct file_call {
    struct copying *copying;
    struct manifest_file file;
    struct http_call *call; // NULL: the place is free.
    struct digest_stream *digest;
    int fd;       // Of the part.
    int64_t have; // Bytes in it.
    bool is_ended;
    enum status status;
    struct error error;
};

struct fetching {
    struct copying *copying;
    FILE *manifest;
    int64_t next_number;
    struct file_call calls[FILES_AT_ONCE];
    size_t running;
    bool is_at_end;
};

static void free_place(struct file_call *call)
{
    digest_stream_free(TAKE(call->digest));
    if (call->fd >= 0) {
        (void)close(call->fd);
    }
    *call = (struct file_call){.copying = call->copying, .fd = -1};
}

static bool on_data(void *context, struct text bytes)
{
    struct file_call *call = context;
    struct transfer *transfer = call->copying->transfer;
    call->copying->heard_us = clock_steady_us();
    if (call->have + (int64_t)bytes.length > call->file.size) {
        call->status =
            error_set(&call->error, CORRUPT, "site %s sends more of %.200s than it lists",
                      call->copying->source->name, call->file.path);
        return false;
    }
    call->status = file_write_all(call->fd, bytes, &call->error);
    if (call->status != OK || copying_is_over(call->copying)) {
        return false;
    }
    digest_stream_update(call->digest, bytes.bytes, bytes.length);
    call->have += (int64_t)bytes.length;
    atomic_fetch_add(&transfer->bytes_done, (int64_t)bytes.length);
    return true;
}

static void on_done(void *context, const struct http_answer *answer)
{
    struct file_call *call = context;
    call->is_ended = true;
    if (call->status == OK && answer->status != OK) {
        call->status = answer->status;
        call->error = answer->error;
        copying_blame_source(call->copying, answer->code, &call->error);
    }
}

// Reads what an earlier attempt has left, for the digest of the whole.
static enum status take_up(struct file_call *call, struct error *error)
{
    AUTO_FREE char *block = memory_new(1, READ_BLOCK);
    call->digest = digest_stream_new();
    for (ssize_t got = 0; (got = read(call->fd, block, READ_BLOCK)) != 0;) {
        if (got < 0) {
            return error_set_errno(error, errno, "cannot read a part of %.200s", call->file.path);
        }
        digest_stream_update(call->digest, block, (size_t)got);
        call->have += got;
    }
    if (call->have > call->file.size) {
        call->have = 0;
        digest_stream_free(call->digest);
        call->digest = digest_stream_new();
        if (ftruncate(call->fd, 0) != 0 || lseek(call->fd, 0, SEEK_SET) != 0) {
            return error_set_errno(error, errno, "cannot empty a part of %.200s", call->file.path);
        }
    }
    atomic_fetch_add(&call->copying->transfer->bytes_done, call->have);
    return OK;
}

static enum status open_part(struct file_call *call, struct error *error)
{
    AUTO_FREE char *path =
        memory_format("%s/parts/%lld", call->copying->folder, (long long)call->file.number);
    call->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (call->fd < 0) {
        return error_set_errno(error, errno, "cannot write %s", path);
    }
    return take_up(call, error);
}

static enum status ask_for_rest(struct file_call *call, struct error *error)
{
    (void)error;
    AUTO_BUFFER struct buffer path = {0};
    AUTO_FREE char *range = NULL;
    if (call->have == call->file.size) {
        call->is_ended = true; // An empty one, or whole already.
        return OK;
    }
    buffer_append_string(&path, "/v1/datasets/");
    percent_append(&path, text_of(call->copying->source->id));
    buffer_append_string(&path, "/content");
    struct text rest = text_of(call->file.path);
    for (struct text part; text_next_part(&rest, '/', &part);) {
        buffer_append_byte(&path, '/');
        percent_append(&path, part);
    }
    range = call->have > 0 ? memory_format("bytes=%lld-", (long long)call->have) : NULL;
    const struct http_ask ask = {
        .method = "GET", .path = path.bytes, .range = range, .on_data = on_data, .context = call};
    call->call = http_client_start(call->copying->client, &ask, on_done);
    return OK;
}

// The folders above a file of the replica; `path` is relative and was checked.
static enum status make_folders(const struct copying *copying, const char *path,
                                struct error *error)
{
    AUTO_FREE char *whole = memory_format("%s/data/%s", copying->folder, path);
    char *slash = strrchr(whole, '/');
    *slash = '\0';
    return file_make_folder(whole, error);
}

static enum status finish_file(struct file_call *call, struct error *error)
{
    struct copying *copying = call->copying;
    AUTO_FREE char *part =
        memory_format("%s/parts/%lld", copying->folder, (long long)call->file.number);
    AUTO_FREE char *path = memory_format("%s/data/%s", copying->folder, call->file.path);
    struct digest digest = digest_stream_finish(TAKE(call->digest));
    if (call->have != call->file.size) {
        return error_set(error, UNAVAILABLE, "site %s sent only a part of %.200s",
                         copying->source->name, call->file.path);
    }
    if (!digest_equal(&digest, &call->file.digest)) {
        (void)unlink(part);
        atomic_fetch_sub(&copying->transfer->bytes_done, call->have);
        return error_set(error, CORRUPT,
                         "site %s sent other bytes of %.200s than it has signed for",
                         copying->source->name, call->file.path);
    }
    TRY(make_folders(copying, call->file.path, error));
    if (fdatasync(call->fd) != 0 || rename(part, path) != 0) {
        return error_set_errno(error, errno, "cannot keep %s", path);
    }
    atomic_fetch_add(&copying->transfer->files_done, 1);
    return OK;
}

static enum status end_call(struct fetching *fetching, struct file_call *call, struct error *error)
{
    enum status status = call->status;
    call->call = NULL;
    fetching->running--;
    if (status == OK) {
        status = finish_file(call, error);
    } else if (error) {
        *error = call->error;
    }
    if (status != OK) {
        atomic_fetch_sub(&fetching->copying->transfer->bytes_done, call->digest ? call->have : 0);
    }
    free_place(call);
    return status;
}

// Is it here already, verified?
static bool has_file(const struct copying *copying, const struct manifest_file *file)
{
    struct stat found;
    AUTO_FREE char *path = memory_format("%s/data/%s", copying->folder, file->path);
    return lstat(path, &found) == 0 && S_ISREG(found.st_mode) && found.st_size == file->size;
}

// Starts files until all places are taken or the list is at its end.
static enum status start_some(struct fetching *fetching, struct error *error)
{
    enum status status = OK;
    for (size_t i = 0; i < FILES_AT_ONCE; i++) {
        struct file_call *call = &fetching->calls[i];
        while (status == OK && !call->digest && !fetching->is_at_end) {
            if (!manifest_next(fetching->manifest, fetching->next_number, &call->file, &status,
                               error)) {
                fetching->is_at_end = true;
            } else if (fetching->next_number++, has_file(fetching->copying, &call->file)) {
                atomic_fetch_add(&fetching->copying->transfer->files_done, 1);
                atomic_fetch_add(&fetching->copying->transfer->bytes_done, call->file.size);
            } else {
                fetching->running++;
                status = open_part(call, error);
                status = status == OK ? ask_for_rest(call, error) : status;
            }
        }
    }
    return status;
}

static enum status end_some(struct fetching *fetching, struct error *error)
{
    for (size_t i = 0; i < FILES_AT_ONCE; i++) {
        if (fetching->calls[i].is_ended) {
            TRY(end_call(fetching, &fetching->calls[i], error));
        }
    }
    return OK;
}

static void stop_all(struct fetching *fetching)
{
    for (size_t i = 0; i < FILES_AT_ONCE; i++) {
        struct file_call *call = &fetching->calls[i];
        if (call->call && !call->is_ended) {
            http_client_cancel(fetching->copying->client, call->call);
        }
        if (call->fd >= 0) {
            (void)fdatasync(call->fd); // What has come is taken up by the next attempt.
        }
        free_place(call);
    }
}

static enum status fetch_all(struct fetching *fetching, struct error *error)
{
    do {
        TRY(start_some(fetching, error));
        TRY(end_some(fetching, error));
        if (fetching->running > 0) {
            TRY(copying_wait(fetching->copying, error));
        }
    } while (fetching->running > 0 || !fetching->is_at_end);
    return OK;
}

enum status files_copy(struct copying *copying, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/manifest", copying->folder);
    AUTO_FREE char *parts = memory_format("%s/parts", copying->folder);
    AUTO_FREE char *data = memory_format("%s/data", copying->folder);
    TRY(file_make_folder(parts, error));
    TRY(file_make_folder(data, error));
    struct fetching fetching = {.copying = copying, .manifest = fopen(path, "re")};
    if (!fetching.manifest) {
        return error_set_errno(error, errno, "cannot read %s", path);
    }
    for (size_t i = 0; i < FILES_AT_ONCE; i++) {
        fetching.calls[i] = (struct file_call){.copying = copying, .fd = -1};
    }
    atomic_store(&copying->transfer->files_done, 0);
    atomic_store(&copying->transfer->bytes_done, 0);
    enum status status = fetch_all(&fetching, error);
    stop_all(&fetching);
    (void)fclose(fetching.manifest);
    return status == OK ? file_sync_folder(data, error) : status;
}
