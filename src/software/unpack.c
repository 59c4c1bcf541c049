#include "software/unpack.h"

#include "base/memory.h"
#include "base/text.h"
#include "os/file.h"
#include "software/archive_library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

enum { BLOCK_SIZE = 64 << 10, FOLDER_MODE = 0755, PERMISSIONS = 0777, SAID_MAX = 200 };

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

struct unpack {
    const struct archive_library *library;
    struct archive *archive;
    struct archive_entry *entry; // The one at hand.
    int root_fd;
    struct unpack_quota *quota;
};

// A path in the root, in two parts: an open folder, and a name in it.
struct place {
    int folder_fd;
    const char *name;
};

static enum status refuse(struct error *error, const char *path, const char *what)
{
    (void)error_set(error, INVALID, "entry \"%.*s\" of the archive %s", SAID_MAX, path, what);
    error_fix(error, "pack the folder anew, for example by giving it to lode run --bundle");
    return INVALID;
}

// The parts of a path from an archive, joined: without "." and empty ones. INVALID: it leads out, or is too long.
static enum status clean_path(const char *raw, char out[UNPACK_PATH_MAX], struct error *error)
{
    struct text rest = text_of(raw);
    struct text part;
    size_t length = 0;
    size_t parts = 0;
    if (raw[0] == '/') {
        return refuse(error, raw, "has an absolute path");
    }
    while (text_next_part(&rest, '/', &part)) {
        if (part.length == 0 || text_equal(part, TEXT("."))) {
            continue;
        }
        if (text_equal(part, TEXT(".."))) {
            return refuse(error, raw, "has a path with \"..\"");
        }
        if (length + part.length + 2 > UNPACK_PATH_MAX || part.length > NAME_MAX ||
            ++parts > UNPACK_PARTS_MAX) {
            return refuse(error, raw, "has a path that is too long");
        }
        if (length > 0) {
            out[length++] = '/';
        }
        memcpy(out + length, part.bytes, part.length);
        length += part.length;
    }
    out[length] = '\0';
    return OK;
}

// Does the kernel, or the sandbox, give this folder?
static bool is_of_kernel(const char *path)
{
    static const char *const tops[] = {"dev", "proc", "sys"};
    size_t length = strcspn(path, "/");
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        if (length == strlen(tops[i]) && strncmp(path, tops[i], length) == 0) {
            return true;
        }
    }
    return false;
}

// Removes what lies under a name; nothing is followed.
static enum status remove_name(int folder_fd, const char *name, struct error *error)
{
    AUTO_FREE char *path = memory_format("/proc/self/fd/%d/%s", folder_fd, name);
    return file_remove_tree(path, error);
}

// Makes a folder under a name, where there is none.
static enum status make_name(int folder_fd, const char *name, struct error *error)
{
    struct stat info;
    if (fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(info.st_mode)) {
            return OK;
        }
        TRY(remove_name(folder_fd, name, error));
    }
    if (mkdirat(folder_fd, name, FOLDER_MODE) < 0) {
        return error_set_errno(error, errno, "cannot make the folder \"%.*s\"", SAID_MAX, name);
    }
    return OK;
}

static enum status open_folder(int root_fd, const char *path, int *fd, struct error *error)
{
    return file_open_in_root(root_fd, *path ? path : ".", O_PATH | O_DIRECTORY, 0, fd, error);
}

static enum status take_bytes(const struct unpack *unpack, int64_t bytes, struct error *error)
{
    if (bytes > unpack->quota->bytes) {
        (void)error_set(error, QUOTA, "the archive holds more bytes than it may here");
        error_fix(error, "leave out what the job does not need");
        return QUOTA;
    }
    unpack->quota->bytes -= bytes;
    return OK;
}

static enum status take_entry(const struct unpack *unpack, struct error *error)
{
    if (unpack->quota->entries <= 0) {
        (void)error_set(error, QUOTA,
                        "the archive holds more files, folders and links than it may here");
        error_fix(error, "leave out what the job does not need");
        return QUOTA;
    }
    unpack->quota->entries--;
    return OK;
}

// Makes a folder whose parent is there, unless it is there too.
static enum status make_folder(const struct unpack *unpack, char *path, struct error *error)
{
    AUTO_CLOSE int there = -1;
    AUTO_CLOSE int folder_fd = -1;
    enum status status = open_folder(unpack->root_fd, path, &there, error);
    if (status != NOT_FOUND) {
        return status;
    }
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    TRY(take_entry(unpack, error));
    if (slash) {
        *slash = '\0';
    }
    status = open_folder(unpack->root_fd, slash ? path : "", &folder_fd, error);
    int made = status == OK ? mkdirat(folder_fd, name, FOLDER_MODE) : -1;
    if (slash) {
        *slash = '/';
    }
    TRY(status);
    if (made < 0 && errno == EEXIST) {
        return refuse(error, path, "is no folder, but others lie in it");
    }
    return made < 0
               ? error_set_errno(error, errno, "cannot make the folder \"%.*s\"", SAID_MAX, path)
               : OK;
}

static enum status make_folders(const struct unpack *unpack, char *path, struct error *error)
{
    char *end = path;
    for (bool is_last = false; !is_last; end++) {
        end += strcspn(end, "/");
        is_last = *end == '\0';
        *end = '\0';
        enum status status = make_folder(unpack, path, error);
        *end = is_last ? '\0' : '/';
        TRY(status);
    }
    return OK;
}

// Opens the folder above the last part of the path; those that are missing are made. *place borrows the name from the path.
static enum status find_place(const struct unpack *unpack, char *path, struct place *place,
                              struct error *error)
{
    char *slash = strrchr(path, '/');
    place->name = slash ? slash + 1 : path;
    if (!slash) {
        return open_folder(unpack->root_fd, "", &place->folder_fd, error);
    }
    *slash = '\0';
    enum status status = open_folder(unpack->root_fd, path, &place->folder_fd, error);
    if (status == NOT_FOUND) {
        status = make_folders(unpack, path, error);
        if (status == OK) {
            status = open_folder(unpack->root_fd, path, &place->folder_fd, error);
        }
    }
    *slash = '/';
    return status;
}

static enum status say_unreadable(const struct unpack *unpack, struct error *error)
{
    const char *said = unpack->library->error_string(unpack->archive);
    return error_set(error, CORRUPT, "the archive cannot be read: %.*s", SAID_MAX,
                     said ? said : "it is broken");
}

// Moves on to the next entry, whose path goes to `path`; *is_end says that there is none.
static enum status next_entry(struct unpack *unpack, char path[UNPACK_PATH_MAX], bool *is_end,
                              struct error *error)
{
    int result = unpack->library->read_next_header(unpack->archive, &unpack->entry);
    *is_end = result == ARCHIVE_EOF;
    if (*is_end) {
        return OK;
    }
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        return say_unreadable(unpack, error);
    }
    const char *raw = unpack->library->entry_pathname(unpack->entry);
    if (!raw) {
        return error_set(error, INVALID, "an entry of the archive has no name that can be read");
    }
    return clean_path(raw, path, error);
}

// Copies the content of the entry at hand to the file, holes as holes.
static enum status copy_content(struct unpack *unpack, int fd, const char *path,
                                struct error *error)
{
    int64_t size = unpack->library->entry_size(unpack->entry);
    const void *block = NULL;
    size_t length = 0;
    la_int64_t offset = 0;
    TRY(size < 0 ? refuse(error, path, "has no size") : take_bytes(unpack, size, error));
    for (;;) {
        int result = unpack->library->read_data_block(unpack->archive, &block, &length, &offset);
        if (result == ARCHIVE_EOF) {
            break;
        }
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
            return say_unreadable(unpack, error);
        }
        if (offset < 0 || offset > size || (int64_t)length > size - offset) {
            return refuse(error, path, "is longer than it says");
        }
        for (size_t at = 0; at < length;) {
            ssize_t written = pwrite(fd, (const char *)block + at, length - at, offset + (off_t)at);
            if (written < 0 && errno != EINTR) {
                return error_set_errno(error, errno, "cannot write \"%.*s\"", SAID_MAX, path);
            }
            at += written > 0 ? (size_t)written : 0;
        }
    }
    if (ftruncate(fd, size) < 0) {
        return error_set_errno(error, errno, "cannot write \"%.*s\"", SAID_MAX, path);
    }
    return OK;
}

static enum status put_file(struct unpack *unpack, const struct place *place, const char *path,
                            struct error *error)
{
    mode_t mode = (unpack->library->entry_perm(unpack->entry) & PERMISSIONS) | S_IRUSR;
    TRY(remove_name(place->folder_fd, place->name, error));
    AUTO_CLOSE int fd = openat(place->folder_fd, place->name,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot make \"%.*s\"", SAID_MAX, path);
    }
    TRY(copy_content(unpack, fd, path, error));
    if (fchmod(fd, mode) < 0) {
        return error_set_errno(error, errno, "cannot set the mode of \"%.*s\"", SAID_MAX, path);
    }
    return OK;
}

static enum status put_folder(struct unpack *unpack, const struct place *place, const char *path,
                              struct error *error)
{
    mode_t mode = (unpack->library->entry_perm(unpack->entry) & PERMISSIONS) | S_IRWXU;
    TRY(make_name(place->folder_fd, place->name, error));
    AUTO_CLOSE int fd =
        openat(place->folder_fd, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) < 0) {
        return error_set_errno(error, errno, "cannot set the mode of \"%.*s\"", SAID_MAX, path);
    }
    return OK;
}

static enum status put_link(struct unpack *unpack, const struct place *place, const char *path,
                            struct error *error)
{
    const char *target = unpack->library->entry_symlink(unpack->entry);
    if (!target || !*target || strlen(target) >= UNPACK_PATH_MAX) {
        return refuse(error, path, "is a link without a target that can be used");
    }
    TRY(remove_name(place->folder_fd, place->name, error));
    if (symlinkat(target, place->folder_fd, place->name) < 0) {
        return error_set_errno(error, errno, "cannot make the link \"%.*s\"", SAID_MAX, path);
    }
    return OK;
}

// A second name of a file that was unpacked before.
static enum status put_hard_link(const struct unpack *unpack, const struct place *place,
                                 const char *path, const char *raw_target, struct error *error)
{
    char target[UNPACK_PATH_MAX];
    TRY(clean_path(raw_target, target, error));
    if (strcmp(target, path) == 0) {
        return OK;
    }
    char *slash = strrchr(target, '/');
    const char *name = slash ? slash + 1 : target;
    AUTO_CLOSE int folder_fd = -1;
    if (slash) {
        *slash = '\0';
    }
    TRY(open_folder(unpack->root_fd, slash ? target : "", &folder_fd, error));
    struct stat info;
    if (fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(info.st_mode)) {
        return refuse(error, path, "is a second name of a file that is not before it");
    }
    struct stat there;
    if (fstatat(place->folder_fd, place->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        there.st_ino == info.st_ino && there.st_dev == info.st_dev) {
        return OK; // One file under two paths, by way of a link.
    }
    TRY(remove_name(place->folder_fd, place->name, error));
    if (linkat(folder_fd, name, place->folder_fd, place->name, 0) < 0) {
        return error_set_errno(error, errno, "cannot make the link \"%.*s\"", SAID_MAX, path);
    }
    return OK;
}

static enum status put_entry(struct unpack *unpack, char path[UNPACK_PATH_MAX], struct error *error)
{
    const char *hard_link = unpack->library->entry_hardlink(unpack->entry);
    const mode_t type = unpack->library->entry_filetype(unpack->entry);
    struct place place = {.folder_fd = -1};
    TRY(take_entry(unpack, error));
    if (!hard_link && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK) {
        return refuse(error, path, "is a device, a FIFO or a socket");
    }
    TRY(find_place(unpack, path, &place, error));
    enum status status = hard_link          ? put_hard_link(unpack, &place, path, hard_link, error)
                         : type == AE_IFREG ? put_file(unpack, &place, path, error)
                         : type == AE_IFDIR ? put_folder(unpack, &place, path, error)
                                            : put_link(unpack, &place, path, error);
    (void)close(place.folder_fd);
    return status;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_whiteout(const char *path)
{
    return strncmp(last_part(path), WHITEOUT, sizeof WHITEOUT - 1) == 0;
}

static enum status put_all(struct unpack *unpack, bool is_layer, struct error *error)
{
    char path[UNPACK_PATH_MAX];
    bool is_end = false;
    for (;;) {
        TRY(next_entry(unpack, path, &is_end, error));
        if (is_end) {
            return OK;
        }
        if (*path && !is_of_kernel(path) && !(is_layer && is_whiteout(path))) {
            TRY(put_entry(unpack, path, error));
        }
    }
}

// Removes all that lies in a folder of the layers before.
static enum status empty_folder(int folder_fd, struct error *error)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list) {
        file_close_local(&fd);
        return error_set_errno(error, errno, "cannot read a folder of the image");
    }
    enum status status = OK;
    for (struct dirent *entry; status == OK && (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            status = remove_name(folder_fd, entry->d_name, error);
        }
    }
    (void)closedir(list);
    return status;
}

static enum status take_away(const struct unpack *unpack, char *path, struct error *error)
{
    const char *name = last_part(path);
    AUTO_CLOSE int folder_fd = -1;
    bool is_all = strcmp(name, OPAQUE) == 0;
    const char *gone = name + sizeof WHITEOUT - 1;
    if (!is_all && (!*gone || strcmp(gone, ".") == 0 || strcmp(gone, "..") == 0)) {
        return refuse(error, path, "takes away nothing that has a name");
    }
    path[name > path ? name - path - 1 : 0] = '\0';
    enum status status = open_folder(unpack->root_fd, name > path ? path : "", &folder_fd, error);
    if (status == NOT_FOUND) {
        return OK;
    }
    TRY(status);
    return is_all ? empty_folder(folder_fd, error) : remove_name(folder_fd, gone, error);
}

// What the layer takes away of those before it: all of that comes before what it brings, wherever it stands.
static enum status take_all_away(struct unpack *unpack, struct error *error)
{
    char path[UNPACK_PATH_MAX];
    bool is_end = false;
    for (;;) {
        TRY(next_entry(unpack, path, &is_end, error));
        if (is_end) {
            return OK;
        }
        if (is_whiteout(path) && !is_of_kernel(path)) {
            TRY(take_away(unpack, path, error));
        }
    }
}

static enum status open_archive(struct unpack *unpack, int archive_fd, struct error *error)
{
    const struct archive_library *library = unpack->library;
    unpack->archive = library->read_new();
    if (lseek(archive_fd, 0, SEEK_SET) < 0) {
        return error_set_errno(error, errno, "cannot read the archive");
    }
    if (library->read_support_format_tar(unpack->archive) != ARCHIVE_OK ||
        library->read_support_filter_gzip(unpack->archive) != ARCHIVE_OK ||
        library->read_support_filter_bzip2(unpack->archive) != ARCHIVE_OK ||
        library->read_support_filter_xz(unpack->archive) != ARCHIVE_OK ||
        library->read_support_filter_zstd(unpack->archive) != ARCHIVE_OK) {
        return error_set(error, UNAVAILABLE,
                         "libarchive was built without gzip, bzip2, xz or zstd");
    }
    if (library->read_open_fd(unpack->archive, archive_fd, BLOCK_SIZE) != ARCHIVE_OK) {
        return say_unreadable(unpack, error);
    }
    return OK;
}

enum pass { PASS_PLAIN, PASS_TAKE_AWAY, PASS_LAYER };

static enum status run_pass(int archive_fd, int root_fd, struct unpack_quota *quota, enum pass pass,
                            struct error *error)
{
    struct unpack unpack = {.root_fd = root_fd, .quota = quota};
    TRY(archive_library_get(&unpack.library, error));
    const struct archive_locale locale = archive_locale_begin();
    enum status status = open_archive(&unpack, archive_fd, error);
    if (status == OK) {
        status = pass == PASS_TAKE_AWAY ? take_all_away(&unpack, error)
                                        : put_all(&unpack, pass == PASS_LAYER, error);
    }
    (void)unpack.library->read_free(unpack.archive);
    archive_locale_end(&locale);
    return status;
}

enum status unpack_archive(int archive_fd, int root_fd, struct unpack_quota *quota,
                           struct error *error)
{
    return run_pass(archive_fd, root_fd, quota, PASS_PLAIN, error);
}

enum status unpack_layer(int archive_fd, int root_fd, struct unpack_quota *quota,
                         struct error *error)
{
    TRY(run_pass(archive_fd, root_fd, quota, PASS_TAKE_AWAY, error));
    return run_pass(archive_fd, root_fd, quota, PASS_LAYER, error);
}

enum status unpack_folder(int root_fd, const char *path, struct error *error)
{
    char clean[UNPACK_PATH_MAX];
    struct place place = {.folder_fd = -1};
    struct unpack_quota quota = {.entries = UNPACK_PARTS_MAX};
    const struct unpack unpack = {.root_fd = root_fd, .quota = &quota};
    TRY(clean_path(path, clean, error));
    TRY(find_place(&unpack, clean, &place, error));
    AUTO_CLOSE int folder_fd = place.folder_fd;
    return make_name(folder_fd, place.name, error);
}

enum status unpack_file_place(int root_fd, const char *path, struct error *error)
{
    char clean[UNPACK_PATH_MAX];
    struct place place = {.folder_fd = -1};
    struct stat info;
    struct unpack_quota quota = {.entries = UNPACK_PARTS_MAX};
    const struct unpack unpack = {.root_fd = root_fd, .quota = &quota};
    TRY(clean_path(path, clean, error));
    TRY(find_place(&unpack, clean, &place, error));
    AUTO_CLOSE int folder_fd = place.folder_fd;
    if (fstatat(folder_fd, place.name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode)) {
        return OK;
    }
    TRY(remove_name(folder_fd, place.name, error));
    AUTO_CLOSE int fd =
        openat(folder_fd, place.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd < 0 ? error_set_errno(error, errno, "cannot make \"%.*s\"", SAID_MAX, path) : OK;
}
