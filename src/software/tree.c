#include "software/tree.h"

#include "base/memory.h"
#include "os/file.h"
#include "software/image.h"

#include <errno.h>
#include <fcntl.h>

enum { ABOUT_MAX = 32 << 20 };

// On these a sandbox puts what is its own.
static const char *const own_folders[] = {"data", "dev", "etc", "proc", "run", "tmp", "work"};
static const char *const own_files[] = {"etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf"};

static enum status open_inner(const char *folder, const char *name, int *fd, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    TRY(file_make_folder(path, error));
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? error_set_errno(error, errno, "cannot open %s", path) : OK;
}

static bool has(int root_fd, const char *path)
{
    struct stat info;
    return fstatat(root_fd, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

// A tree with /usr or a shell at /bin/sh is the root of a file system; one with bin, lib and the like alone is to be found by PATH.
static bool is_root_of_system(int root_fd)
{
    return has(root_fd, "usr") || has(root_fd, "bin/sh");
}

static enum status make_places(int root_fd, struct error *error)
{
    for (size_t i = 0; i < sizeof own_folders / sizeof own_folders[0]; i++) {
        TRY(unpack_folder(root_fd, own_folders[i], error));
    }
    for (size_t i = 0; i < sizeof own_files / sizeof own_files[0]; i++) {
        TRY(unpack_file_place(root_fd, own_files[i], error));
    }
    return OK;
}

static enum status unpack_image(const struct tree_order *order, int archive_fd, int root_fd,
                                json_t **environment, struct error *error)
{
    struct unpack_quota quota = order->quota;
    AUTO_CLOSE int parts_fd = -1;
    AUTO_FREE char *parts = memory_format("%s/parts", order->folder);
    TRY(open_inner(order->folder, "parts", &parts_fd, error));
    TRY(unpack_archive(archive_fd, parts_fd, &quota, error));
    TRY(image_unpack(parts_fd, root_fd, &quota, environment, error));
    return file_remove_tree(parts, error);
}

static enum status write_about(const struct tree_order *order, bool is_root, json_t *environment,
                               struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/" TREE_ABOUT, order->folder);
    AUTO_JSON json_t *about =
        json_pack("{s:b, s:O}", "root", (int)is_root, "environment", environment);
    AUTO_BUFFER struct buffer text = {0};
    json_write(about, false, &text);
    return file_write_atomic(path, buffer_text(&text), 0600, error);
}

enum status tree_unpack(const struct tree_order *order, struct error *error)
{
    struct unpack_quota quota = order->quota;
    AUTO_JSON json_t *environment = NULL;
    AUTO_CLOSE int root_fd = -1;
    AUTO_CLOSE int archive_fd = open(order->archive, O_RDONLY | O_CLOEXEC);
    if (archive_fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", order->archive);
    }
    TRY(open_inner(order->folder, TREE_ROOT, &root_fd, error));
    if (order->is_image) {
        TRY(unpack_image(order, archive_fd, root_fd, &environment, error));
    } else {
        TRY(unpack_archive(archive_fd, root_fd, &quota, error));
        environment = json_array();
    }
    bool is_root = order->is_image || is_root_of_system(root_fd);
    if (is_root) {
        TRY(make_places(root_fd, error));
    }
    if (fchmod(root_fd, 0755) < 0 || syncfs(root_fd) < 0) {
        return error_set_errno(error, errno, "cannot write the tree to the disk");
    }
    return write_about(order, is_root, environment, error);
}

enum status tree_read(const char *folder, struct arena *arena, struct tree *out,
                      struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/" TREE_ABOUT, folder);
    AUTO_BUFFER struct buffer content = {0};
    AUTO_JSON json_t *about = NULL;
    json_t *environment = NULL;
    bool is_root = false;
    TRY(file_read(path, ABOUT_MAX, &content, error));
    TRY(json_parse(buffer_text(&content), &about, error));
    TRY(json_field_bool(about, "root", JSON_REQUIRED, &is_root, error));
    TRY(json_field_array(about, "environment", JSON_REQUIRED, IMAGE_VARIABLES_MAX, &environment,
                         error));
    size_t count = json_array_size(environment);
    *out = (struct tree){.is_root = is_root};
    out->environment = arena_new(arena, (count + 1) * sizeof *out->environment);
    for (size_t i = 0; i < count; i++) {
        struct text variable = json_text(json_array_get(environment, i));
        out->environment[out->environment_count++] =
            (struct text){arena_copy(arena, variable), variable.length};
    }
    return OK;
}
