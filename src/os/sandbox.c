#include "os/sandbox.h"

#include "base/memory.h"
#include "os/file.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// Top folders: on a merged /usr they are links, which are made again inside.
static const char *const top_folders[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

// What programs look for in /etc and everybody may read; what does not exist is left out. bubblewrap takes 0.2 ms for
// each bind, so these are copied once into one folder that is bound as a whole.
static const char *const etc_entries[] = {
    "R",
    "alternatives",
    "ca-certificates",
    "debian_version",
    "fonts",
    "gai.conf",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "openmpi",
    "os-release",
    "perl",
    "pki",
    "protocols",
    "python3",
    "python3.11",
    "resolv.conf",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
};
enum { ETC_FILE_MAX = 4 << 20 };

#define COUNT_OF(list) (sizeof(list) / sizeof(list)[0])

struct words {
    struct arena *arena;
    char **items;
    size_t count;
    size_t capacity;
};

static void add(struct words *words, const char *word)
{
    if (words->count + 1 >= words->capacity) {
        size_t capacity = words->capacity ? words->capacity * 2 : 128;
        char **items = arena_new(words->arena, capacity * sizeof *items);
        if (words->count > 0) {
            memcpy(items, words->items, words->count * sizeof *items);
        }
        words->items = items;
        words->capacity = capacity;
    }
    words->items[words->count++] = arena_copy(words->arena, text_of(word));
}

static void add_all(struct words *words, const char *const *list)
{
    for (size_t i = 0; list[i]; i++) {
        add(words, list[i]);
    }
}

static void add_bind(struct words *words, const char *option, const char *source,
                     const char *target)
{
    add(words, option);
    add(words, source);
    add(words, target);
}

static void add_system(struct words *words, const char *etc_folder)
{
    add_bind(words, "--ro-bind", "/usr", "/usr");
    for (size_t i = 0; i < COUNT_OF(top_folders); i++) {
        struct stat info;
        char target[256];
        if (lstat(top_folders[i], &info) < 0) {
            continue;
        }
        ssize_t length = readlink(top_folders[i], target, sizeof target - 1);
        if (length > 0) {
            target[length] = '\0';
            add_bind(words, "--symlink", target, top_folders[i]);
        } else {
            add_bind(words, "--ro-bind", top_folders[i], top_folders[i]);
        }
    }
    add_bind(words, "--ro-bind", etc_folder, "/etc");
}

// A root of its own. What the sandbox puts at /run and /data is in folders of the sandbox, as the root cannot be written to.
static void add_root(struct words *words, const char *root_folder, const char *etc_folder)
{
    static const char *const own[] = {"--tmpfs", "/run", "--tmpfs", "/data", NULL};
    static const char *const files[] = {"/passwd", "/group"};
    add_bind(words, "--ro-bind", root_folder, "/");
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        add_bind(words, "--ro-bind", arena_format(words->arena, "%s%s", etc_folder, files[i]),
                 arena_format(words->arena, "/etc%s", files[i]));
    }
    add_all(words, own);
}

char **sandbox_arguments(struct arena *arena, const struct sandbox_options *options)
{
    static const char *const isolation[] = {"bwrap",
                                            "--unshare-user",
                                            "--unshare-all",
                                            "--uid",
                                            "1000",
                                            "--gid",
                                            "1000",
                                            "--die-with-parent",
                                            "--new-session",
                                            "--as-pid-1",
                                            "--cap-drop",
                                            "ALL",
                                            "--hostname",
                                            "lode",
                                            NULL};
    static const char *const kernel[] = {"--proc",  "/proc",    "--dev", "/dev",
                                         "--tmpfs", "/dev/shm", NULL};
    static const char *const closing[] = {"--remount-ro", "/dev", "--remount-ro", "/", NULL};
    static const char *const closing_root[] = {"--remount-ro", "/run", "--remount-ro", "/data",
                                               NULL};
    struct words words = {.arena = arena};
    add_all(&words, isolation);
    if (options->has_network) {
        add(&words, "--share-net");
    }
    if (options->root_folder) {
        add_root(&words, options->root_folder, options->etc_folder);
    } else {
        add_system(&words, options->etc_folder);
    }
    if (options->has_network) { // As they are now, not as they were when the worker started.
        add_bind(&words, "--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf");
        add_bind(&words, "--ro-bind-try", "/etc/hosts", "/etc/hosts");
    }
    add_all(&words, kernel);
    for (size_t i = 0; i < options->bind_count; i++) {
        const struct sandbox_bind *bind = &options->binds[i];
        const char *option = bind->is_device     ? "--dev-bind"
                             : bind->is_writable ? "--bind"
                                                 : "--ro-bind";
        add_bind(&words, option, bind->source, bind->target);
    }
    if (options->root_folder) {
        add_all(&words, closing_root);
    }
    add_all(&words, closing);
    add(&words, "--chdir");
    add(&words, options->work_folder);
    add(&words, "--");
    add_all(&words, options->command);
    words.items[words.count] = NULL;
    return words.items;
}

// Copies one entry of a tree: folders and links as they are, files that everybody may read; others are left out.
static enum status copy_entry(const FTSENT *entry, const char *target, struct error *error)
{
    char link[PATH_MAX];
    AUTO_BUFFER struct buffer content = {0};
    if (entry->fts_info == FTS_D) {
        return file_make_folder(target, error);
    }
    if (entry->fts_info == FTS_SL) {
        ssize_t length = readlink(entry->fts_accpath, link, sizeof link - 1);
        link[length > 0 ? length : 0] = '\0';
        return symlink(link, target) < 0 && errno != EEXIST
                   ? error_set_errno(error, errno, "cannot make the link %s", target)
                   : OK;
    }
    if (entry->fts_info == FTS_F && (entry->fts_statp->st_mode & S_IROTH) &&
        file_read(entry->fts_accpath, ETC_FILE_MAX, &content, NULL) == OK) {
        return file_write_atomic(target, buffer_text(&content), 0644, error);
    }
    return OK;
}

static enum status copy_tree(char *source, const char *etc_folder, struct error *error)
{
    char *roots[] = {source, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR | FTS_XDEV, NULL);
    if (!tree) {
        return error_set_errno(error, errno, "cannot read %s", source);
    }
    enum status status = OK;
    for (FTSENT *entry = fts_read(tree); entry && status == OK; entry = fts_read(tree)) {
        AUTO_FREE char *target =
            memory_format("%s/%s", etc_folder, entry->fts_path + sizeof "/etc/" - 1);
        status = copy_entry(entry, target, error);
    }
    (void)fts_close(tree);
    return status;
}

enum status sandbox_prepare_etc(const char *folder, struct error *error)
{
    AUTO_FREE char *users = memory_format("%s/passwd", folder);
    AUTO_FREE char *groups = memory_format("%s/group", folder);
    AUTO_FREE char *keys = memory_format("%s/ssl", folder);
    TRY(file_remove_tree(folder, error));
    TRY(file_make_folder(keys, error));
    for (size_t i = 0; i < COUNT_OF(etc_entries); i++) {
        AUTO_FREE char *source = memory_format("/etc/%s", etc_entries[i]);
        if (access(source, R_OK) == 0) {
            TRY(copy_tree(source, folder, error));
        }
    }
    TRY(file_write_atomic(users,
                          TEXT("root:x:0:0:root:/:/usr/sbin/nologin\n"
                               "lode:x:1000:1000:lode:/work:/bin/sh\n"
                               "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"),
                          0644, error));
    return file_write_atomic(groups, TEXT("root:x:0:\nlode:x:1000:\nnogroup:x:65534:\n"), 0644,
                             error);
}

// Runs `true` in a sandbox of the kind that tasks get; what bwrap complains about goes to the error.
static enum status try_sandbox(const char *path, struct error *error)
{
    static const char *const words[] = {"bwrap",
                                        "--unshare-user",
                                        "--unshare-all",
                                        "--uid",
                                        "1000",
                                        "--ro-bind",
                                        "/",
                                        "/",
                                        "--proc",
                                        "/proc",
                                        "--dev",
                                        "/dev",
                                        "--cap-drop",
                                        "ALL",
                                        "--",
                                        "/bin/true",
                                        NULL};
    struct arena arena AUTO_ARENA = {0};
    struct words arguments = {.arena = &arena};
    add_all(&arguments, words);
    arguments.items[arguments.count] = NULL;
    int complaint[2];
    AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || pipe2(complaint, O_CLOEXEC) < 0) {
        return error_set_errno(error, errno, "cannot prepare a trial of bubblewrap");
    }
    AUTO_CLOSE int read_fd = complaint[0];
    char *none[] = {NULL};
    const int descriptors[] = {null_fd, null_fd, complaint[1]};
    pid_t child = 0;
    const struct process_options options = {.program = path,
                                            .arguments = arguments.items,
                                            .environment = none,
                                            .descriptors = descriptors,
                                            .descriptor_count = 3};
    enum status status = process_start(&options, &child, error);
    (void)close(complaint[1]);
    TRY(status);
    char text[256];
    ssize_t got = read(read_fd, text, sizeof text);
    int ended = 0;
    (void)process_has_ended(child, true, &ended);
    if (ended != 0) {
        struct text said = text_trim((struct text){text, got > 0 ? (size_t)got : 0});
        (void)error_set(error, UNSUPPORTED, "bubblewrap cannot make a sandbox here: %.*s",
                        TEXT_ARGS(said));
        error_fix(error, "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
                         "kernel.apparmor_restrict_unprivileged_userns=0), or give --sandbox none "
                         "to run tasks without isolation");
        return UNSUPPORTED;
    }
    return OK;
}

enum status sandbox_find(struct arena *arena, const char **path, struct error *error)
{
    static const char *const places[] = {"/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        if (access(places[i], X_OK) == 0) {
            TRY(try_sandbox(places[i], error));
            *path = arena_copy(arena, text_of(places[i]));
            return OK;
        }
    }
    (void)error_set(error, UNSUPPORTED, "bubblewrap is not installed, so tasks cannot be isolated");
    error_fix(error, "install it (apt install bubblewrap), or give --sandbox none to run tasks "
                     "without isolation");
    return UNSUPPORTED;
}
