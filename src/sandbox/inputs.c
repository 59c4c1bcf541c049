#include "sandbox/inputs.h"

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
                              int flags, int *fd, struct error *error)
{
    const char *below = NULL;
    const struct job_root *root = find_root(data, file->source, &below);
    if (!root) {
        return error_set(error, INVALID, "input file %s/%.200s is in none of its folders",
                         data->name, file->path);
    }
    if (below[0] == '\0') {
        *fd = open(root->path, flags | O_CLOEXEC);
        return *fd < 0
                   ? error_set_errno(error, errno, "input file %s/%.200s", data->name, file->path)
                   : OK;
    }
    AUTO_CLOSE int folder_fd = open(root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return error_set_errno(error, errno, "a folder of input %s", data->name);
    }
    return file_open_beneath(folder_fd, below, flags, 0, fd, error);
}

enum status inputs_open(const struct job_data *data, const struct job_data_file *file, int *fd,
                        struct error *error)
{
    return open_input(data, file, O_RDONLY | O_NONBLOCK, fd, error);
}

// Names the file as its dataset does: who runs the task may be a guest, who is not told of paths of this machine.
enum sight inputs_look(const struct job_data *data, const struct job_data_file *file,
                       struct file_mark *mark, struct error *why)
{
    AUTO_CLOSE int fd = -1;
    struct stat info;
    enum status status = open_input(data, file, O_PATH, &fd, why);
    if (status == NOT_FOUND) {
        (void)error_set(why, INVALID, "input file %s/%.200s is missing", data->name, file->path);
        return SIGHT_NONE;
    }
    if (status == DENIED) {
        (void)error_set(
            why, INVALID,
            "input file %s/%.200s cannot be read, or leads out of its registered folder",
            data->name, file->path);
        return SIGHT_NONE;
    }
    if (status != OK || fstat(fd, &info) < 0) {
        return SIGHT_NONE;
    }
    *mark = file_mark_of(&info);
    int64_t modified_us = (int64_t)info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000;
    if (info.st_size != file->size || !S_ISREG(info.st_mode)) {
        (void)error_set(why, INVALID,
                        "input file %s/%.200s has %lld bytes, was registered with %lld", data->name,
                        file->path, (long long)info.st_size, (long long)file->size);
        return SIGHT_NONE;
    }
    if (modified_us != file->modified_us) {
        (void)error_set(why, INVALID, "input file %s/%.200s was modified after it was registered",
                        data->name, file->path);
        return SIGHT_DOUBTFUL;
    }
    if (file->inode != 0 && (int64_t)info.st_ino != file->inode) {
        (void)error_set(why, INVALID,
                        "input file %s/%.200s is another file than the registered one", data->name,
                        file->path);
        return SIGHT_DOUBTFUL;
    }
    return SIGHT_SAME;
}

static enum status check_file(const struct job_data *data, const struct job_data_file *file,
                              struct error *error)
{
    struct file_mark mark;
    struct error why = {0};
    enum sight sight = inputs_look(data, file, &mark, &why);
    if (file->is_proven ? sight != SIGHT_NONE && file_mark_equal(&mark, &file->proof)
                        : sight == SIGHT_SAME) {
        return OK;
    }
    if (file->is_proven && sight == SIGHT_SAME) {
        (void)error_set(&why, INVALID, "input file %s/%.200s was changed while it was in use",
                        data->name, file->path);
    }
    if (error) {
        *error = why;
        error->status = INVALID;
    }
    return INVALID;
}

enum status inputs_check_roots(const struct job_data *data, struct error *error)
{
    for (size_t i = 0; i < data->root_count; i++) {
        if (access(data->roots[i].path, R_OK) < 0) {
            return error_set_errno(error, errno, "a file or folder of input %s", data->name);
        }
    }
    return OK;
}

enum status inputs_check(const struct job *job, struct error *error)
{
    for (size_t i = 0; i < job->data_count; i++) {
        const struct job_data *data = &job->data[i];
        if (data->is_fetched) {
            continue; // This worker's own files, which nobody else changes.
        }
        if (inputs_check_roots(data, error) != OK) {
            return INVALID;
        }
        for (size_t j = 0; j < data->file_count; j++) {
            TRY(check_file(data, &data->files[j], error));
        }
    }
    return OK;
}

static const char *target_of(const struct job_data *data, const struct job_root *root,
                             struct arena *arena)
{
    bool has_mount = root->mount[0] != '\0';
    return arena_format(arena, "/data/%s%s%s", data->name, has_mount ? "/" : "", root->mount);
}

struct sandbox_bind *inputs_binds(const struct job *job, const char *folder, struct arena *arena,
                                  size_t *count)
{
    size_t total = job->top_count;
    for (size_t i = 0; i < job->data_count; i++) {
        total += job->data[i].is_fetched ? 1 : job->data[i].root_count;
    }
    struct sandbox_bind *binds = arena_new(arena, (total + 1) * sizeof *binds);
    size_t at = 0;
    for (size_t i = 0; i < job->data_count; i++) {
        const struct job_data *data = &job->data[i];
        if (data->is_fetched) {
            binds[at++] = (struct sandbox_bind){
                .source = arena_format(arena, "%s/" INPUTS_FETCHED "/%s", folder, data->name),
                .target = arena_format(arena, "/data/%s", data->name)};
            continue;
        }
        for (size_t j = 0; j < data->root_count; j++) {
            binds[at++] = (struct sandbox_bind){.source = data->roots[j].path,
                                                .target = target_of(data, &data->roots[j], arena)};
        }
    }
    for (size_t i = 0; i < job->top_count; i++) {
        binds[at++] = (struct sandbox_bind){
            .source = arena_format(arena, "%s/files/%s", folder, job->tops[i].name),
            .target = arena_format(arena, "/work/%s", job->tops[i].name)};
    }
    *count = at;
    return binds;
}

// A symbolic link at `path`; the folders above it are made.
static enum status link_to(const char *target, const char *path, struct error *error)
{
    AUTO_FREE char *folder = memory_copy_string(path);
    *strrchr(folder, '/') = '\0';
    TRY(file_make_folder(folder, error));
    return symlink(target, path) < 0 && errno != EEXIST
               ? error_set_errno(error, errno, "cannot link %s", path)
               : OK;
}

enum status inputs_link(const struct job *job, const char *folder, struct error *error)
{
    AUTO_FREE char *top = memory_format("%s/data", folder);
    (void)file_remove_tree(top, NULL); // Links that led elsewhere before.
    TRY(file_make_folder(top, error));
    for (size_t i = 0; i < job->data_count; i++) {
        const struct job_data *data = &job->data[i];
        if (data->is_fetched) {
            AUTO_FREE char *source = memory_format("%s/" INPUTS_FETCHED "/%s", folder, data->name);
            AUTO_FREE char *path = memory_format("%s/%s", top, data->name);
            TRY(link_to(source, path, error));
            continue;
        }
        for (size_t j = 0; j < data->root_count; j++) {
            const struct job_root *root = &data->roots[j];
            bool has_mount = root->mount[0] != '\0';
            AUTO_FREE char *path =
                memory_format("%s/%s%s%s", top, data->name, has_mount ? "/" : "", root->mount);
            TRY(link_to(root->path, path, error));
        }
    }
    return OK;
}
