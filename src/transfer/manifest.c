// The list of a dataset's files, as a source gives it, held against the digest that its site has signed.
#include "transfer/state.h"

#include "base/hex.h"
#include "base/memory.h"
#include "catalog/file_page.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum {
    PAGE_SIZE_MAX = 16 << 20,
    PAGE_TIMEOUT_US = 60000000,
};

struct listing {
    struct copying *copying;
    FILE *out;
    struct digest_stream *digest;
    struct file_allowance left;
    int64_t files;
    int64_t bytes;
};

static bool is_given_up(void *context)
{
    const struct listing *listing = context;
    return copying_is_over(listing->copying);
}

static enum status add_line(void *context, const struct listed_file *file, struct error *error)
{
    struct listing *listing = context;
    char hex[2 * DIGEST_SIZE + 1];
    hex_encode(file->digest.bytes, DIGEST_SIZE, hex);
    AUTO_FREE char *line =
        memory_format("%s %lld %.*s\n", hex, (long long)file->size_bytes, TEXT_ARGS(file->path));
    digest_stream_update(listing->digest, line, strlen(line));
    if (fputs(line, listing->out) < 0) {
        return error_set_errno(error, errno, "cannot write the list of files");
    }
    listing->files++;
    listing->bytes += file->size_bytes;
    return OK;
}

// One page; *cursor (heap) is the next one's, or NULL.
static enum status add_page(struct listing *listing, char **cursor, struct error *error)
{
    const struct transfer_source *source = listing->copying->source;
    AUTO_FREE char *path = file_page_path(text_of(source->id), *cursor);
    AUTO_BUFFER struct buffer body = {.max = PAGE_SIZE_MAX};
    struct http_answer answer = {0};
    char *next = NULL;
    const struct http_ask ask = {.method = "GET",
                                 .path = path,
                                 .timeout_us = PAGE_TIMEOUT_US,
                                 .answer_size_max = PAGE_SIZE_MAX,
                                 .is_given_up = is_given_up,
                                 .context = listing};
    enum status status = http_client_ask(listing->copying->client, &ask, &body, &answer, error);
    if (status == OK) {
        status = file_page_read(answer.body, &listing->left, add_line, listing, &next, error);
    }
    if (status != OK) {
        copying_blame_source(listing->copying, answer.code, error);
        return status;
    }
    free(*cursor);
    *cursor = next;
    return OK;
}

static enum status list_files(struct listing *listing, struct error *error)
{
    char *cursor = NULL;
    enum status status = OK;
    do {
        status = copying_is_over(listing->copying)
                     ? error_set(error, CONFLICT, "the transfer was stopped")
                     : add_page(listing, &cursor, error);
    } while (status == OK && cursor);
    free(cursor);
    return status;
}

static enum status write_manifest(struct copying *copying, const char *path,
                                  struct listing *listing, struct error *error)
{
    listing->out = fopen(path, "we");
    if (!listing->out) {
        return error_set_errno(error, errno, "cannot write %s", path);
    }
    listing->left = (struct file_allowance){.files = copying->source->file_count,
                                            .bytes = copying->source->size_bytes};
    listing->digest = digest_stream_new();
    enum status status = list_files(listing, error);
    struct digest digest = digest_stream_finish(listing->digest);
    bool is_written = fflush(listing->out) == 0 && fsync(fileno(listing->out)) == 0;
    int failed = errno;
    if (fclose(listing->out) != 0 || !is_written) {
        return status != OK ? status : error_set_errno(error, failed, "cannot write %s", path);
    }
    TRY(status);
    if (!digest_equal(&digest, &copying->source->digest)) {
        return error_set(error, CORRUPT,
                         "site %s lists other files of %.200s than it has signed for",
                         copying->source->name, copying->source->id);
    }
    return OK;
}

bool manifest_next(FILE *manifest, int64_t number, struct manifest_file *out, enum status *status,
                   struct error *error)
{
    char line[MANIFEST_LINE_MAX + 1];
    if (!fgets(line, sizeof line, manifest)) {
        return false;
    }
    size_t length = strlen(line);
    bool is_line = length > 0 && line[length - 1] == '\n';
    struct text rest = {line, is_line ? length - 1 : length};
    struct text digest = TEXT_NONE;
    struct text size = TEXT_NONE;
    bool is_whole =
        is_line && text_next_part(&rest, ' ', &digest) && text_next_part(&rest, ' ', &size);
    if (!is_whole || !text_to_int64(size, &out->size) || rest.length >= sizeof out->path ||
        digest_from_text(digest, &out->digest, NULL) != OK) {
        *status = error_set(error, CORRUPT, "the list of files is damaged");
        return false;
    }
    out->number = number;
    memcpy(out->path, rest.bytes, rest.length);
    out->path[rest.length] = '\0';
    return true;
}

// Counts what an earlier attempt has listed; false when there is none, or it is damaged.
static bool count_manifest(const char *path, const struct digest *wanted, int64_t *files,
                           int64_t *bytes)
{
    struct digest digest;
    int64_t size = 0;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || digest_file(fd, &digest, &size, NULL) != OK || !digest_equal(&digest, wanted)) {
        return false;
    }
    FILE *manifest = fopen(path, "re");
    if (!manifest) {
        return false;
    }
    struct manifest_file file;
    enum status status = OK;
    *files = 0;
    *bytes = 0;
    while (manifest_next(manifest, *files, &file, &status, NULL)) {
        (*files)++;
        *bytes += file.size;
    }
    (void)fclose(manifest);
    return status == OK;
}

enum status manifest_ensure(struct copying *copying, int64_t *files, int64_t *bytes,
                            struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/manifest", copying->folder);
    AUTO_FREE char *incoming = memory_format("%s/manifest.incoming", copying->folder);
    if (count_manifest(path, &copying->source->digest, files, bytes)) {
        return OK;
    }
    struct listing listing = {.copying = copying};
    TRY(write_manifest(copying, incoming, &listing, error));
    if (rename(incoming, path) != 0) {
        return error_set_errno(error, errno, "cannot name %s", path);
    }
    TRY(file_sync_folder(copying->folder, error));
    *files = listing.files;
    *bytes = listing.bytes;
    return OK;
}
