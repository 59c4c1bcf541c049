#include "cli/fetch.h"

#include "base/memory.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "crypto/digest.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { BLOCK_SIZE = 64 << 10, FETCH_TRIES_MAX = 5 };

struct fetcher {
    struct contact *contact;
    int folder_fd;
    bool has_index; // Paths begin with the task's index.
    struct progress progress;
    int64_t done_bytes; // Of the files before this one.
    int64_t total_bytes;
};

// One output file on its way.
struct incoming {
    struct fetcher *fetcher;
    int fd;
    int64_t size; // Bytes in the file.
    struct digest_stream *digest;
    enum status status;
    struct error *error;
};

// Opens the folder that the path's last part is in, making those that are missing; *name gets that part (within `path`).
static enum status open_parent(const struct fetcher *fetcher, char *path, int *fd, char **name,
                               struct error *error)
{
    AUTO_CLOSE int at = fcntl(fetcher->folder_fd, F_DUPFD_CLOEXEC, 0);
    char *part = path;
    for (char *slash = strchr(part, '/'); slash; slash = strchr(part, '/')) {
        *slash = '\0';
        int next = -1;
        if (mkdirat(at, part, 0777) != 0 && errno != EEXIST) {
            return error_set_errno(error, errno, "cannot make the folder %s", path);
        }
        enum status status =
            file_open_beneath(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &next, error);
        *slash = '/';
        TRY(status);
        (void)close(at);
        at = next;
        part = slash + 1;
    }
    *fd = file_take_fd(&at);
    *name = part;
    return OK;
}

// Is the file there, with these bytes?
static bool is_there(int parent_fd, const char *name, int64_t size, const struct digest *wanted)
{
    AUTO_CLOSE int fd = openat(parent_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat found;
    struct digest digest;
    int64_t digested = 0;
    struct error ignored;
    return fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_size == size &&
           digest_file(fd, &digest, &digested, &ignored) == OK && digest_equal(&digest, wanted);
}

// Takes in what an earlier try left in the temporary file.
static enum status digest_rest(struct incoming *incoming, struct error *error)
{
    char block[BLOCK_SIZE];
    ssize_t got = 0;
    incoming->size = 0;
    while ((got = pread(incoming->fd, block, sizeof(block), incoming->size)) > 0) {
        digest_stream_update(incoming->digest, block, (size_t)got);
        incoming->size += got;
    }
    if (got < 0) {
        return error_set_errno(error, errno, "cannot read what was fetched before");
    }
    if (lseek(incoming->fd, incoming->size, SEEK_SET) < 0) {
        return error_set_errno(error, errno, "cannot go on with what was fetched before");
    }
    return OK;
}

static bool take_bytes(void *context, struct text bytes)
{
    struct incoming *incoming = context;
    struct fetcher *fetcher = incoming->fetcher;
    incoming->status = file_write_all(incoming->fd, bytes, incoming->error);
    if (incoming->status != OK) {
        return false;
    }
    digest_stream_update(incoming->digest, bytes.bytes, bytes.length);
    incoming->size += (int64_t)bytes.length;
    progress_update(&fetcher->progress, fetcher->done_bytes + incoming->size, fetcher->total_bytes);
    return true;
}

// Gets the bytes that are missing; a connection that breaks off is taken up where it was.
static enum status receive(struct incoming *incoming, const char *digest, int64_t size,
                           struct error *error)
{
    struct contact *contact = incoming->fetcher->contact;
    AUTO_FREE char *path = memory_format("/v1/blobs/%s", digest);
    for (int tries = 0; incoming->size < size; tries++) {
        AUTO_FREE char *range = memory_format("bytes=%lld-", (long long)incoming->size);
        const struct http_ask ask = {
            .method = "GET",
            .path = path,
            .range = incoming->size > 0 ? range : NULL,
            .on_data = take_bytes,
            .context = incoming,
        };
        int64_t before = incoming->size;
        struct error failure;
        enum status status = contact_ask(contact, &ask, NULL, &failure);
        TRY(incoming->status);
        tries = incoming->size > before ? 0 : tries;
        bool may_go_on = status == OK || contact_is_absence(status);
        if (!may_go_on || (incoming->size < size && tries >= FETCH_TRIES_MAX)) {
            if (error) {
                *error = failure;
            }
            return status == OK ? error_set(error, CORRUPT, "the site sends too little of %s", path)
                                : status;
        }
        if (incoming->size < size && !contact_pause(contact)) {
            return error_set(error, CONFLICT, "interrupted");
        }
    }
    return OK;
}

// Fetches into the temporary file and checks it; CORRUPT removes what is there.
static enum status receive_checked(struct fetcher *fetcher, int parent_fd, const char *temporary,
                                   const json_t *output, struct error *error)
{
    AUTO_CLOSE int fd = -1;
    struct digest wanted;
    struct text digest = field_text(output, "digest");
    int64_t size = field_int64(output, "size_bytes");
    TRY(digest_from_text(digest, &wanted, error));
    TRY(file_open_beneath(parent_fd, temporary, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &fd, error));
    struct incoming incoming = {
        .fetcher = fetcher, .fd = fd, .digest = digest_stream_new(), .error = error};
    enum status status = digest_rest(&incoming, error);
    if (status == OK) {
        status = receive(&incoming, digest.bytes, size, error);
    }
    struct digest got = digest_stream_finish(incoming.digest);
    if (status == OK && (incoming.size != size || !digest_equal(&got, &wanted))) {
        (void)unlinkat(parent_fd, temporary, 0);
        return error_set(error, CORRUPT, "%.200s did not arrive as it was sent",
                         json_string_value(json_object_get(output, "path")));
    }
    if (status == OK) {
        int64_t mode = field_int64(output, "mode");
        (void)fchmod(fd, mode > 0 ? (mode_t)(mode & 0777) : 0644);
    }
    return status;
}

static enum status fetch_one(struct fetcher *fetcher, const json_t *output, struct error *error)
{
    struct text path = field_text(output, "path");
    AUTO_FREE char *local =
        fetcher->has_index
            ? memory_format("%lld/%.*s", (long long)field_int64(output, "index"), TEXT_ARGS(path))
            : text_copy(path);
    struct digest wanted;
    AUTO_CLOSE int parent_fd = -1;
    char *name = NULL;
    TRY(digest_from_text(field_text(output, "digest"), &wanted, error));
    TRY(open_parent(fetcher, local, &parent_fd, &name, error));
    if (!is_there(parent_fd, name, field_int64(output, "size_bytes"), &wanted)) {
        char digest[DIGEST_TEXT_SIZE];
        AUTO_FREE char *temporary =
            memory_format(".lode-%.24s.part", digest_to_text(&wanted, digest) + strlen("sha256:"));
        enum status status = receive_checked(fetcher, parent_fd, temporary, output, error);
        if (status == CORRUPT) {
            // What an earlier try left may have been the reason.
            status = receive_checked(fetcher, parent_fd, temporary, output, error);
        }
        TRY(status);
        if (renameat(parent_fd, temporary, parent_fd, name) != 0) {
            int number = errno;
            (void)unlinkat(parent_fd, temporary, 0);
            return error_set_errno(error, number, "cannot put %s into its place", local);
        }
    }
    fetcher->done_bytes += field_int64(output, "size_bytes");
    progress_update(&fetcher->progress, fetcher->done_bytes, fetcher->total_bytes);
    return OK;
}

static enum status open_folder(const char *folder, int *fd, struct error *error)
{
    TRY(file_make_folder(folder, error));
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? OK : error_set_errno(error, errno, "cannot open the folder %s", folder);
}

enum status fetch_outputs(struct contact *contact, int64_t job, const char *folder, bool is_quiet,
                          json_t **list, struct error *error)
{
    AUTO_FREE char *job_path = memory_format("/v1/jobs/%lld", (long long)job);
    AUTO_FREE char *path = memory_format("/v1/jobs/%lld/outputs?limit=1000", (long long)job);
    AUTO_JSON json_t *all = NULL;
    AUTO_JSON json_t *document = NULL;
    AUTO_CLOSE int folder_fd = -1;
    TRY(contact_json(contact, "GET", job_path, NULL, &document, error));
    TRY(contact_list_all(contact, path, "outputs", &all, error));
    json_t *outputs = json_object_get(all, "outputs");
    TRY(open_folder(folder, &folder_fd, error));
    struct fetcher fetcher = {
        .contact = contact,
        .folder_fd = folder_fd,
        .has_index = field_int64(json_object_get(document, "tasks"), "total") > 1,
    };
    size_t at = 0;
    json_t *output = NULL;
    json_array_foreach(outputs, at, output)
    {
        fetcher.total_bytes += field_int64(output, "size_bytes");
    }
    progress_init(&fetcher.progress, "outputs", PROGRESS_BYTES, is_quiet);
    enum status status = OK;
    json_array_foreach(outputs, at, output)
    {
        status = status == OK ? fetch_one(&fetcher, output, error) : status;
    }
    progress_hide(&fetcher.progress);
    if (status == OK && list) {
        *list = json_incref(outputs);
    }
    return status;
}
