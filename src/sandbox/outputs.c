#include "sandbox/outputs.h"

#include "base/memory.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

// Folders still to visit, as paths below the working folder. A list, not recursion: the depth is the task's choice.
struct visits {
    char **paths;
    size_t count;
    size_t capacity;
    size_t bytes; // Of all paths.
};

struct collection {
    int work_fd;
    const struct outputs_wanted *wanted;
    struct arena *arena;
    struct outputs *out;
    struct visits visits;
    int64_t visited;
    size_t list_bytes;
};

static void visits_add(struct visits *visits, const char *path)
{
    visits->bytes += strlen(path);
    if (visits->count == visits->capacity) {
        visits->capacity = visits->capacity ? visits->capacity * 2 : 16;
        visits->paths = memory_resize(visits->paths, visits->capacity, sizeof *visits->paths);
    }
    visits->paths[visits->count++] = memory_copy_string(path);
}

static bool is_wanted(const struct collection *self, const char *path)
{
    for (size_t i = 0; self->wanted->ignored && self->wanted->ignored[i]; i++) {
        if (strcmp(path, self->wanted->ignored[i]) == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < self->wanted->pattern_count; i++) {
        if (text_matches_glob(text_of(path), text_of(self->wanted->patterns[i]))) {
            return true;
        }
    }
    return false;
}

// What an output takes in a result: its path as a JSON string at most, its digest, two numbers.
static size_t list_bytes(const char *path)
{
    enum { WITHOUT_PATH = 80 + 2 * 21, ESCAPED = 5 };
    size_t bytes = WITHOUT_PATH;
    for (const char *at = path; *at; at++) {
        bytes += (unsigned char)*at < ' ' || *at == '"' || *at == '\\' ? 1 + ESCAPED : 1;
    }
    return bytes;
}

static enum status add_output(struct collection *self, const char *path, int fd,
                              const struct stat *info, struct error *error)
{
    struct outputs *out = self->out;
    if (out->count == OUTPUTS_MAX) {
        return error_set(error, QUOTA, "the task has more than %d output files", OUTPUTS_MAX);
    }
    self->list_bytes += list_bytes(path);
    if (self->list_bytes > OUTPUTS_LIST_MAX) {
        return error_set(error, QUOTA,
                         "the names of the task's output files take more than %d bytes",
                         OUTPUTS_LIST_MAX);
    }
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 16;
        struct output *items = arena_new(self->arena, out->capacity * sizeof *items);
        if (out->count > 0) {
            memcpy(items, out->items, out->count * sizeof *items);
        }
        out->items = items;
    }
    out->items[out->count++] = (struct output){.path = arena_copy(self->arena, text_of(path)),
                                               .fd = fd,
                                               .size = (int64_t)info->st_size,
                                               .mode = (int64_t)(info->st_mode & 0777)};
    return OK;
}

// Opens the file and adds it. A link that leads out, or to nothing, is left out.
static enum status take_file(struct collection *self, int folder_fd, const char *name,
                             const char *path, const struct stat *found, struct error *error)
{
    struct stat info;
    AUTO_CLOSE int fd = -1;
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    enum status status = file_open_beneath(self->work_fd, path, flags, 0, &fd, error);
    if (status == DENIED && S_ISREG(found->st_mode) && fchmodat(folder_fd, name, 0600, 0) == 0) {
        status = file_open_beneath(self->work_fd, path, flags, 0, &fd, error);
    }
    if (status != OK && !S_ISLNK(found->st_mode)) {
        return status;
    }
    if (status != OK || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        return OK;
    }
    info.st_mode = S_ISREG(found->st_mode) ? found->st_mode : info.st_mode;
    TRY(add_output(self, path, fd, &info, error));
    fd = -1;
    return OK;
}

static enum status look_at(struct collection *self, int folder_fd, const char *name,
                           const char *path, struct error *error)
{
    struct stat info;
    if (++self->visited > OUTPUTS_VISITED_MAX) {
        return error_set(error, QUOTA, "the working folder has more than %d files",
                         OUTPUTS_VISITED_MAX);
    }
    if (fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
        return OK;
    }
    if (S_ISDIR(info.st_mode)) {
        visits_add(&self->visits, path);
        return self->visits.bytes <= OUTPUTS_WAITING_MAX
                   ? OK
                   : error_set(error, QUOTA,
                               "the paths of the working folder's folders take more than %d bytes",
                               OUTPUTS_WAITING_MAX);
    }
    bool is_file = S_ISREG(info.st_mode) || S_ISLNK(info.st_mode);
    if (!is_file || !text_is_utf8(text_of(path)) || !is_wanted(self, path)) {
        return OK;
    }
    return take_file(self, folder_fd, name, path, &info, error);
}

static enum status visit(struct collection *self, const char *folder, struct error *error)
{
    int fd = -1;
    if (file_open_beneath(self->work_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd,
                          NULL) != OK) {
        return OK;
    }
    DIR *list = fdopendir(fd);
    if (!list) {
        (void)close(fd);
        return error_set_errno(error, errno, "cannot read folder %s", folder);
    }
    enum status status = OK;
    for (struct dirent *entry = readdir(list); entry && status == OK; entry = readdir(list)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        AUTO_FREE char *path = strcmp(folder, ".") == 0
                                   ? memory_copy_string(entry->d_name)
                                   : memory_format("%s/%s", folder, entry->d_name);
        if (strlen(path) < OUTPUTS_PATH_MAX) {
            status = look_at(self, fd, entry->d_name, path, error);
        }
    }
    (void)closedir(list);
    return status;
}

enum status outputs_collect(int work_fd, const struct outputs_wanted *wanted, struct arena *arena,
                            struct outputs *out, struct error *error)
{
    struct collection self = {.work_fd = work_fd, .wanted = wanted, .arena = arena, .out = out};
    enum status status = OK;
    visits_add(&self.visits, ".");
    while (self.visits.count > 0) {
        AUTO_FREE char *folder = self.visits.paths[--self.visits.count];
        self.visits.bytes -= strlen(folder);
        if (status == OK) {
            status = visit(&self, folder, error);
        }
    }
    free(self.visits.paths);
    if (status != OK) {
        outputs_close(out);
    }
    return status;
}

void outputs_close(struct outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        file_close_local(&outputs->items[i].fd);
    }
    outputs->count = 0;
}
