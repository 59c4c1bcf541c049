// A task that goes on from a checkpoint: its files are fetched while it waits, and lie in its working folder when it starts.
#include "worker/state.h"

#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

enum { OWNER_MAY_WRITE = 0600, MODE_MASK = 0777 };

struct restore_file {
    const char *path;
    mode_t mode;
};

struct restore {
    struct arena arena;
    char *folder; // With the files, by number.
    struct restore_file *files;
    size_t count;
    size_t fetching;
    bool is_abandoned; // Its lease is gone: the last download frees it.
    struct error fault;
};

static void destroy(struct restore *restore)
{
    (void)file_remove_tree(restore->folder, NULL);
    arena_done(&restore->arena);
    free(restore->folder);
    free(restore);
}

void restore_free(struct restore *restore)
{
    if (!restore) {
        return;
    }
    restore->is_abandoned = true;
    if (restore->fetching == 0) {
        destroy(restore);
    }
}

static void on_fetched(void *context, const struct transfer_end *end)
{
    struct restore *restore = context;
    restore->fetching--;
    if (end->status != OK) {
        restore->fault = *end->error;
        restore->fault.status = end->status;
    }
    if (restore->is_abandoned && restore->fetching == 0) {
        destroy(restore);
    }
}

static enum status check_path(struct text path, struct error *error)
{
    struct text rest = path;
    struct text part;
    bool is_good = path.length > 0 && path.length < OUTPUTS_PATH_MAX &&
                   path.bytes[path.length - 1] != '/' && !text_contains_byte(path, '\0');
    while (is_good && text_next_part(&rest, '/', &part)) {
        is_good = part.length > 0 && !text_equal(part, TEXT(".")) && !text_equal(part, TEXT(".."));
    }
    return is_good ? OK
                   : error_set(error, INVALID, "\"%.*s\" is no path of a checkpoint's file",
                               TEXT_ARGS(text_slice(path, 0, 200)));
}

static enum status add_file(struct restore *restore, struct worker *worker, const json_t *element,
                            struct error *error)
{
    struct text path = json_text(json_array_get(element, 0));
    struct text name = json_text(json_array_get(element, 1));
    struct digest digest;
    TRY(check_path(path, error));
    TRY(digest_from_text(name, &digest, error));
    struct restore_file *file = &restore->files[restore->count];
    file->path = arena_copy(&restore->arena, path);
    file->mode = (mode_t)(json_integer_value(json_array_get(element, 3)) & MODE_MASK);
    AUTO_FREE char *place = memory_format("%s/%zu", restore->folder, restore->count);
    restore->count++;
    restore->fetching++;
    const struct download download = {arena_copy(&restore->arena, name), place, OWNER_MAY_WRITE,
                                      false};
    transfers_download(worker->transfers, &download, on_fetched, restore);
    return OK;
}

struct restore *restore_start(struct worker *worker, const struct worker_job *job, int64_t lease,
                              const json_t *files)
{
    struct restore *restore = NEW(struct restore);
    size_t count = json_array_size(files);
    restore->folder = memory_format("%s/restore-%" PRId64, job->folder, lease);
    restore->files = arena_new(&restore->arena, (count + 1) * sizeof *restore->files);
    enum status status =
        count <= CHECKPOINT_FILES_MAX
            ? file_make_folder(restore->folder, &restore->fault)
            : error_set(&restore->fault, INVALID, "a checkpoint of %zu files; at most %d are taken",
                        count, CHECKPOINT_FILES_MAX);
    for (size_t i = 0; i < count && status == OK; i++) {
        status = add_file(restore, worker, json_array_get(files, i), &restore->fault);
    }
    return restore;
}

bool restore_is_ready(const struct restore *restore)
{
    return restore->fetching == 0;
}

// The folders above the file.
static enum status make_parents(int work_fd, const char *path, struct error *error)
{
    AUTO_FREE char *folder = memory_copy_string(path);
    for (char *slash = strchr(folder, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(work_fd, folder, 0755) < 0 && errno != EEXIST) {
            return error_set_errno(error, errno, "cannot make %.200s in the working folder",
                                   folder);
        }
        *slash = '/';
    }
    return OK;
}

enum status restore_put(const struct restore *restore, int work_fd, struct error *error)
{
    if (restore->fault.status != OK) {
        *error = restore->fault;
        return error->status;
    }
    for (size_t i = 0; i < restore->count; i++) {
        const struct restore_file *file = &restore->files[i];
        AUTO_FREE char *place = memory_format("%s/%zu", restore->folder, i);
        TRY(make_parents(work_fd, file->path, error));
        if (chmod(place, file->mode | OWNER_MAY_WRITE) < 0 ||
            renameat(AT_FDCWD, place, work_fd, file->path) < 0) {
            return error_set_errno(error, errno, "cannot put %.200s back", file->path);
        }
    }
    return OK;
}
