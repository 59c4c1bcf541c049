#include "worker/inputs.h"

#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>

// The root that holds the file, and the file's path below it ("" when the root is the file itself).
static const struct job_root *find_root(const struct job_data *data, const char *source,
                                        const char **below)
{
    for (size_t i = 0; i < data->root_count; i++) {
        const struct job_root *root = &data->roots[i];
        size_t length = strlen(root->path);
        while (length > 1 && root->path[length - 1] == '/') {
            length--;
        }
        if (strncmp(source, root->path, length) != 0) {
            continue;
        }
        if (source[length] == '\0' || source[length] == '/' || length == 1) {
            *below = source + length + (source[length] == '/' ? 1 : 0);
            return root;
        }
    }
    return NULL;
}

static enum status open_input(const struct job_data *data, const struct job_data_file *file,
                              int *fd, struct error *error)
{
    const char *below = NULL;
    const struct job_root *root = find_root(data, file->source, &below);
    if (!root) {
        return error_set(error, INVALID, "input file %s/%.200s is in none of its folders",
                         data->name, file->path);
    }
    if (below[0] == '\0') {
        *fd = open(root->path, O_PATH | O_CLOEXEC);
        return *fd < 0
                   ? error_set_errno(error, errno, "input file %s/%.200s", data->name, file->path)
                   : OK;
    }
    AUTO_CLOSE int folder_fd = open(root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return error_set_errno(error, errno, "a folder of input %s", data->name);
    }
    return file_open_beneath(folder_fd, below, O_PATH, 0, fd, error);
}

// Names the file as its dataset does: who runs the task may be a guest, who is not told of paths of this machine.
static enum status check_file(const struct job_data *data, const struct job_data_file *file,
                              struct error *error)
{
    AUTO_CLOSE int fd = -1;
    enum status status = open_input(data, file, &fd, error);
    if (status == NOT_FOUND) {
        return error_set(error, INVALID, "input file %s/%.200s is missing", data->name, file->path);
    }
    if (status == DENIED) {
        return error_set(
            error, INVALID,
            "input file %s/%.200s cannot be read, or leads out of its registered folder",
            data->name, file->path);
    }
    struct stat info;
    if (status != OK || fstat(fd, &info) < 0) {
        return INVALID;
    }
    int64_t modified_us = (int64_t)info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000;
    if (info.st_size != file->size) {
        return error_set(error, INVALID,
                         "input file %s/%.200s has %lld bytes, was registered with %lld",
                         data->name, file->path, (long long)info.st_size, (long long)file->size);
    }
    if (modified_us != file->modified_us) {
        return error_set(error, INVALID,
                         "input file %s/%.200s was modified after it was registered", data->name,
                         file->path);
    }
    if (file->inode != 0 && (int64_t)info.st_ino != file->inode) {
        return error_set(error, INVALID,
                         "input file %s/%.200s is another file than the registered one", data->name,
                         file->path);
    }
    return OK;
}

enum status inputs_check(const struct job *job, struct error *error)
{
    for (size_t i = 0; i < job->data_count; i++) {
        for (size_t j = 0; j < job->data[i].root_count; j++) {
            if (access(job->data[i].roots[j].path, R_OK) < 0) {
                (void)error_set_errno(error, errno, "a file or folder of input %s",
                                      job->data[i].name);
                return INVALID;
            }
        }
        for (size_t j = 0; j < job->data[i].file_count; j++) {
            TRY(check_file(&job->data[i], &job->data[i].files[j], error));
        }
    }
    return OK;
}

struct sandbox_bind *inputs_binds(const struct job *job, const char *files_folder,
                                  struct arena *arena, size_t *count)
{
    size_t total = job->top_count;
    for (size_t i = 0; i < job->data_count; i++) {
        total += job->data[i].root_count;
    }
    struct sandbox_bind *binds = arena_new(arena, (total + 1) * sizeof *binds);
    size_t at = 0;
    for (size_t i = 0; i < job->data_count; i++) {
        const struct job_data *data = &job->data[i];
        for (size_t j = 0; j < data->root_count; j++) {
            bool has_mount = data->roots[j].mount[0] != '\0';
            binds[at++] = (struct sandbox_bind){
                .source = data->roots[j].path,
                .target = arena_format(arena, "/data/%s%s%s", data->name, has_mount ? "/" : "",
                                       data->roots[j].mount)};
        }
    }
    for (size_t i = 0; i < job->top_count; i++) {
        binds[at++] = (struct sandbox_bind){
            .source = arena_format(arena, "%s/%s", files_folder, job->tops[i].name),
            .target = arena_format(arena, "/work/%s", job->tops[i].name)};
    }
    *count = at;
    return binds;
}

enum status inputs_link(const struct job *job, const char *folder, struct error *error)
{
    TRY(file_make_folder(folder, error));
    for (size_t i = 0; i < job->data_count; i++) {
        for (size_t j = 0; j < job->data[i].root_count; j++) {
            const struct job_root *root = &job->data[i].roots[j];
            bool has_mount = root->mount[0] != '\0';
            AUTO_FREE char *link = memory_format("%s/%s%s%s", folder, job->data[i].name,
                                                 has_mount ? "/" : "", root->mount);
            char *slash = strrchr(link, '/');
            *slash = '\0';
            TRY(file_make_folder(link, error));
            *slash = '/';
            if (symlink(root->path, link) < 0 && errno != EEXIST) {
                return error_set_errno(error, errno, "cannot link %s", link);
            }
        }
    }
    return OK;
}
