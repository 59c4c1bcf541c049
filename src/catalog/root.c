#include "catalog/root.h"

#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>

const char *root_path_below(const struct dataset_root *root, const char *path)
{
    if (!root->is_folder) {
        return strrchr(root->path, '/') + 1;
    }
    size_t skipped = strlen(root->mount);
    return skipped > 0 ? path + skipped + 1 : path;
}

enum status root_open(const struct dataset_root *root, int *fd, struct error *error)
{
    AUTO_FREE char *folder = memory_copy_string(root->path);
    if (!root->is_folder) {
        char *slash = strrchr(folder, '/');
        slash[slash == folder ? 1 : 0] = '\0';
    }
    int opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0) {
        enum status status =
            error_set_errno(error, errno, "cannot open the registered path %.300s", root->path);
        error_fix(error, "put it back, or let the site's user read it");
        return status;
    }
    *fd = opened;
    return OK;
}

enum status root_cursor_move(struct root_cursor *cursor, const struct dataset_root *root,
                             struct error *error)
{
    if (cursor->root == root) {
        return OK;
    }
    root_cursor_done(cursor);
    TRY(root_open(root, &cursor->fd, error));
    cursor->root = root;
    return OK;
}

void root_cursor_done(struct root_cursor *cursor)
{
    if (cursor->root) {
        (void)close(cursor->fd);
        cursor->root = NULL;
    }
}
