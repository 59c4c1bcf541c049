#include "catalog/walk.h"

#include "base/memory.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

struct level {
    DIR *folder;
    size_t path_length; // Of the walk's path that names this folder.
    dev_t device;
    ino_t inode;
};

struct walk {
    int folder_fd;
    const char *shown;
    struct level levels[WALK_DEPTH_MAX];
    size_t depth;
    char path[WALK_PATH_MAX + 1]; // Below the folder, without a first "/".
    size_t path_length;
};

static void walk_done(struct walk *walk)
{
    while (walk->depth > 0) {
        (void)closedir(walk->levels[--walk->depth].folder);
    }
}

static enum status refuse(const struct walk *walk, enum status status, const char *what,
                          const char *fix, struct error *error)
{
    char shown[WALK_PATH_MAX + 1];
    for (size_t i = 0; i <= walk->path_length; i++) {
        unsigned char byte = (unsigned char)walk->path[i];
        shown[i] = byte != '\0' && (byte < 0x20 || byte >= 0x7F) ? '?' : (char)byte;
    }
    bool is_readable = text_is_utf8((struct text){walk->path, walk->path_length}) &&
                       !text_has_control((struct text){walk->path, walk->path_length});
    (void)error_set(error, status, "%.150s/%.250s %s", walk->shown,
                    is_readable ? walk->path : shown, what);
    error_fix(error, "%s", fix);
    return status;
}

static bool is_circle(const struct walk *walk, const struct stat *info)
{
    for (size_t i = 0; i < walk->depth; i++) {
        if (walk->levels[i].device == info->st_dev && walk->levels[i].inode == info->st_ino) {
            return true;
        }
    }
    return false;
}

// Enters the folder that the walk's path names.
static enum status enter(struct walk *walk, walk_found_fn *found, void *context,
                         struct error *error)
{
    const char *path = walk->path_length > 0 ? walk->path : ".";
    if (walk->depth == WALK_DEPTH_MAX) {
        return refuse(walk, INVALID, "is nested too deeply", "register a folder further down",
                      error);
    }
    AUTO_CLOSE int fd = -1;
    enum status status =
        file_open_beneath(walk->folder_fd, path, O_RDONLY | O_DIRECTORY, 0, &fd, error);
    if (status == DENIED) {
        return refuse(walk, DENIED, "is a folder that the site may not read",
                      "let the site's user read it, then register again", error);
    }
    TRY(status);
    struct stat info;
    if (fstat(fd, &info) < 0) {
        return error_set_errno(error, errno, "cannot look at %.200s", walk->path);
    }
    if (is_circle(walk, &info)) {
        return refuse(walk, INVALID, "is a link to a folder that it lies in",
                      "remove the link, or register the folders beside it", error);
    }
    DIR *folder = fdopendir(fd);
    if (!folder) {
        return error_set_errno(error, errno, "cannot list %.200s", walk->path);
    }
    (void)file_take_fd(&fd);
    walk->levels[walk->depth++] = (struct level){
        .folder = folder,
        .path_length = walk->path_length,
        .device = info.st_dev,
        .inode = info.st_ino,
    };
    return found(context, (struct text){walk->path, walk->path_length}, &info, error);
}

// Looks behind a link, which counts as what it leads to.
static enum status look_behind_link(struct walk *walk, struct stat *info, struct error *error)
{
    AUTO_CLOSE int fd = -1;
    struct error ignored = {0};
    enum status status = file_open_beneath(walk->folder_fd, walk->path, O_PATH, 0, &fd, &ignored);
    if (status == NOT_FOUND) {
        return refuse(walk, INVALID, "is a link that leads nowhere",
                      "remove the link or put back what it leads to, then register again", error);
    }
    if (status != OK) {
        return refuse(walk, INVALID, "is a link that leaves the registered folder",
                      "make it a relative link within the folder, or register what it leads to",
                      error);
    }
    if (fstat(fd, info) < 0) {
        return error_set_errno(error, errno, "cannot look at %.200s", walk->path);
    }
    return OK;
}

static enum status append_name(struct walk *walk, const char *name, struct error *error)
{
    size_t length = strlen(name);
    size_t start = walk->levels[walk->depth - 1].path_length;
    size_t separator = start > 0 ? 1 : 0;
    if (start + separator + length > WALK_PATH_MAX) {
        return refuse(walk, INVALID, "has a path that is too long",
                      "register a folder further down", error);
    }
    walk->path[start] = '/';
    memcpy(walk->path + start + separator, name, length + 1);
    walk->path_length = start + separator + length;
    struct text text = {name, length};
    if (!text_is_utf8(text) || text_has_control(text)) {
        return refuse(walk, INVALID, "has a name that is not UTF-8 or has control characters",
                      "rename it (\"?\" stands for such bytes), then register again", error);
    }
    return OK;
}

static enum status visit(struct walk *walk, const char *name, walk_found_fn *found, void *context,
                         struct error *error)
{
    struct stat info;
    TRY(append_name(walk, name, error));
    int folder_fd = dirfd(walk->levels[walk->depth - 1].folder);
    if (fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
        // It went away between listing and looking: then it is not there.
        return errno == ENOENT ? OK
                               : error_set_errno(error, errno, "cannot look at %.200s", walk->path);
    }
    if (S_ISLNK(info.st_mode)) {
        TRY(look_behind_link(walk, &info, error));
    }
    if (S_ISDIR(info.st_mode)) {
        return enter(walk, found, context, error);
    }
    if (!S_ISREG(info.st_mode)) {
        return refuse(walk, INVALID, "is a device, pipe or socket, not a file",
                      "remove it, or register the folders beside it", error);
    }
    return found(context, (struct text){walk->path, walk->path_length}, &info, error);
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

// The next entry in the deepest folder; a folder that is used up is left.
static enum status step(struct walk *walk, walk_found_fn *found, void *context, struct error *error)
{
    struct level *level = &walk->levels[walk->depth - 1];
    errno = 0;
    const struct dirent *entry = readdir(level->folder);
    if (!entry && errno != 0) {
        return error_set_errno(error, errno, "cannot list %.150s/%.200s", walk->shown, walk->path);
    }
    if (!entry) {
        (void)closedir(level->folder);
        walk->depth--;
        return OK;
    }
    return is_dots(entry->d_name) ? OK : visit(walk, entry->d_name, found, context, error);
}

enum status walk_folder(int folder_fd, const char *shown, const atomic_bool *stop,
                        walk_found_fn *found, void *context, struct error *error)
{
    AUTO_FREE struct walk *walk = NEW(struct walk);
    walk->folder_fd = folder_fd;
    walk->shown = shown;
    enum status status = enter(walk, found, context, error);
    while (status == OK && walk->depth > 0) {
        if (stop && atomic_load(stop)) {
            status = error_set(error, TIMEOUT, "the walk was stopped");
            break;
        }
        status = step(walk, found, context, error);
    }
    walk_done(walk);
    return status;
}
