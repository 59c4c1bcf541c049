#include "software/pack.h"

#include "base/memory.h"
#include "os/file.h"
#include "software/archive_library.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <string.h>

enum { BLOCK_SIZE = 64 << 10, PROGRAM_MODE = 0755, FILE_MODE = 0644 };

struct pack {
    const struct archive_library *library;
    struct archive *archive;
    struct archive_entry *entry;
};

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum status say_unwritten(const struct pack *pack, const char *path, struct error *error)
{
    const char *said = pack->library->error_string(pack->archive);
    return error_set(error, INTERNAL, "cannot pack %.200s: %.200s", path,
                     said ? said : "no reason");
}

static enum status write_header(const struct pack *pack, const FTSENT *file, struct error *error)
{
    int result = pack->library->write_header(pack->archive, pack->entry);
    return result == ARCHIVE_OK ? OK : say_unwritten(pack, file->fts_path, error);
}

// The file's content, which must be as long as it was a moment ago.
static enum status write_content(const struct pack *pack, int fd, const FTSENT *file,
                                 struct error *error)
{
    char block[BLOCK_SIZE];
    int64_t left = file->fts_statp->st_size;
    while (left > 0) {
        ssize_t got = read(fd, block, left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        if (pack->library->write_data(pack->archive, block, (size_t)got) != got) {
            return say_unwritten(pack, file->fts_path, error);
        }
        left -= got;
    }
    return left == 0 ? OK
                     : error_set(error, CONFLICT, "%.300s became shorter while it was packed",
                                 file->fts_path);
}

static enum status pack_file(const struct pack *pack, const FTSENT *file, struct error *error)
{
    AUTO_CLOSE int fd = open(file->fts_accpath, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot read %.300s", file->fts_path);
    }
    bool is_program = (file->fts_statp->st_mode & S_IXUSR) != 0;
    pack->library->entry_set_filetype(pack->entry, AE_IFREG);
    pack->library->entry_set_perm(pack->entry, is_program ? PROGRAM_MODE : FILE_MODE);
    pack->library->entry_set_size(pack->entry, file->fts_statp->st_size);
    TRY(write_header(pack, file, error));
    return write_content(pack, fd, file, error);
}

static enum status pack_link(const struct pack *pack, const FTSENT *file, struct error *error)
{
    char target[PATH_MAX];
    ssize_t length = readlink(file->fts_accpath, target, sizeof target - 1);
    if (length < 0) {
        return error_set_errno(error, errno, "cannot read the link %.300s", file->fts_path);
    }
    target[length] = '\0';
    pack->library->entry_set_filetype(pack->entry, AE_IFLNK);
    pack->library->entry_set_perm(pack->entry, 0777);
    pack->library->entry_set_symlink(pack->entry, target);
    return write_header(pack, file, error);
}

static enum status pack_entry(const struct pack *pack, const FTSENT *file, const char *path,
                              struct error *error)
{
    pack->library->entry_clear(pack->entry);
    pack->library->entry_set_pathname(pack->entry, path);
    pack->library->entry_set_mtime(pack->entry, 0, 0);
    switch (file->fts_info) {
    case FTS_D:
        pack->library->entry_set_filetype(pack->entry, AE_IFDIR);
        pack->library->entry_set_perm(pack->entry, PROGRAM_MODE);
        return write_header(pack, file, error);
    case FTS_F:
        return pack_file(pack, file, error);
    case FTS_SL:
    case FTS_SLNONE:
        return pack_link(pack, file, error);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return error_set_errno(error, file->fts_errno, "cannot read %.300s", file->fts_path);
    default:
        (void)error_set(error, INVALID, "%.300s is a device, a FIFO or a socket", file->fts_path);
        error_fix(error, "take it away: a sandbox has its own /dev");
        return INVALID;
    }
}

static bool is_of_kernel(const FTSENT *file)
{
    return file->fts_level == 1 &&
           (strcmp(file->fts_name, "dev") == 0 || strcmp(file->fts_name, "proc") == 0 ||
            strcmp(file->fts_name, "sys") == 0);
}

static enum status pack_tree(const struct pack *pack, const char *folder, struct error *error)
{
    AUTO_FREE char *root = memory_copy_string(folder);
    char *roots[] = {root, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    if (!tree) {
        return error_set_errno(error, errno, "cannot read %.300s", folder);
    }
    enum status status = OK;
    for (FTSENT *file = fts_read(tree); file && status == OK; file = fts_read(tree)) {
        if (is_of_kernel(file)) {
            (void)fts_set(tree, file, FTS_SKIP);
        } else if (file->fts_info != FTS_DP && file->fts_level > FTS_ROOTLEVEL) {
            const char *path = file->fts_path + strlen(root);
            status = pack_entry(pack, file, path + strspn(path, "/"), error);
        } else if (file->fts_level == FTS_ROOTLEVEL && file->fts_info != FTS_D &&
                   file->fts_info != FTS_DP) {
            status = error_set(error, INVALID, "%.300s is no folder that can be read", folder);
        }
    }
    (void)fts_close(tree);
    return status;
}

static enum status open_archive(struct pack *pack, int fd, struct error *error)
{
    if (pack->library->write_set_format_pax_restricted(pack->archive) != ARCHIVE_OK ||
        pack->library->write_add_filter_none(pack->archive) != ARCHIVE_OK ||
        pack->library->write_open_fd(pack->archive, fd) != ARCHIVE_OK) {
        return say_unwritten(pack, "the folder", error);
    }
    return OK;
}

enum status pack_folder(const char *folder, int fd, struct error *error)
{
    struct pack pack = {0};
    TRY(archive_library_get(&pack.library, error));
    const struct archive_locale locale = archive_locale_begin();
    pack.archive = pack.library->write_new();
    pack.entry = pack.library->entry_new();
    enum status status = open_archive(&pack, fd, error);
    if (status == OK) {
        status = pack_tree(&pack, folder, error);
    }
    if (status == OK && pack.library->write_close(pack.archive) != ARCHIVE_OK) {
        status = say_unwritten(&pack, folder, error);
    }
    pack.library->entry_free(pack.entry);
    (void)pack.library->write_free(pack.archive);
    archive_locale_end(&locale);
    return status;
}
