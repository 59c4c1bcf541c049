#include "cli/software.h"

#include "base/memory.h"
#include "cli/submission.h"
#include "os/file.h"
#include "os/process.h"
#include "software/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { NAME_SHOWN_MAX = 190 };

enum status software_check(const struct options *options, struct error *error)
{
    if (options_has(options, "bundle") && options_has(options, "image")) {
        (void)error_set(error, INVALID, "--bundle and --image are two kinds of software");
        error_fix(error, "give one of them");
        return INVALID;
    }
    return OK;
}

// Large files go where the machine has space for them.
static const char *temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && folder[0] == '/' ? folder : "/var/tmp";
}

static enum status pack(const char *folder, int *fd, struct error *error)
{
    AUTO_CLOSE int packed = open(temporary_folder(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (packed < 0) {
        return error_set_errno(error, errno, "cannot make a temporary file in %s",
                               temporary_folder());
    }
    TRY(pack_folder(folder, packed, error));
    *fd = file_take_fd(&packed);
    return OK;
}

// A program along the PATH; NULL when it is not there.
static char *find_program(const char *name)
{
    struct text rest = text_of(getenv("PATH"));
    for (struct text part; text_next_part(&rest, ':', &part);) {
        AUTO_FREE char *path = memory_format("%.*s/%s", TEXT_ARGS(part), name);
        if (access(path, X_OK) == 0) {
            return TAKE(path);
        }
    }
    return NULL;
}

// Has podman write one of its images to a folder; what it complains about goes to standard error.
static enum status save_image(const char *name, const char *folder, struct error *error)
{
    AUTO_FREE char *podman = find_program("podman");
    if (!podman) {
        (void)error_set(error, NOT_FOUND,
                        "--image %.200s is no file, and podman, which would know it, is not "
                        "installed here",
                        name);
        error_fix(error, "save the image where it is: podman save --format oci-archive -o "
                         "FILE.tar NAME; then give --image FILE.tar");
        return NOT_FOUND;
    }
    AUTO_FREE char *output = memory_copy_string(folder);
    AUTO_FREE char *image = memory_copy_string(name);
    char *words[] = {(char[]){"podman"},
                     (char[]){"save"},
                     (char[]){"--quiet"},
                     (char[]){"--format"},
                     (char[]){"oci-dir"},
                     (char[]){"--output"},
                     output,
                     image,
                     NULL};
    AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int descriptors[] = {null_fd, null_fd, STDERR_FILENO};
    const struct process_options process = {.program = podman,
                                            .arguments = words,
                                            .environment = environ,
                                            .descriptors = descriptors,
                                            .descriptor_count = 3,
                                            .dies_with_parent = true};
    pid_t pid = 0;
    int ended = 0;
    TRY(process_start(&process, &pid, error));
    (void)process_has_ended(pid, true, &ended);
    if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0) {
        (void)error_set(error, NOT_FOUND, "podman cannot save the image %.200s", name);
        error_fix(error, "podman images lists those that are here; podman pull gets others");
        return NOT_FOUND;
    }
    return OK;
}

// A folder, not what podman calls an archive: packed by us, the same image has the same digest.
static enum status pack_image(const char *name, int *fd, struct error *error)
{
    AUTO_FREE char *folder = memory_format("%s/lode-image-XXXXXX", temporary_folder());
    if (!mkdtemp(folder)) {
        return error_set_errno(error, errno, "cannot make a folder in %s", temporary_folder());
    }
    enum status status = save_image(name, folder, error);
    if (status == OK) {
        status = pack(folder, fd, error);
    }
    (void)file_remove_tree(folder, NULL);
    return status;
}

// The archive of what was given, open.
static enum status open_archive(const char *given, bool is_image, int *fd, struct error *error)
{
    struct stat info;
    bool is_there = stat(given, &info) == 0;
    if (is_there && S_ISDIR(info.st_mode)) {
        return pack(given, fd, error);
    }
    if (!is_there && is_image && given[0] != '/' && given[0] != '.') {
        return pack_image(given, fd, error);
    }
    AUTO_CLOSE int opened = open(given, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (opened < 0) {
        return error_set_errno(error, errno, "cannot open %.300s", given);
    }
    if (fstat(opened, &info) < 0 || !S_ISREG(info.st_mode)) {
        return error_set(error, INVALID, "%.300s is neither a folder nor a file", given);
    }
    *fd = file_take_fd(&opened);
    return OK;
}

// For lists: the last part of a path, or the image's name.
static json_t *name_of(const char *given, bool is_image)
{
    AUTO_FREE char *copy = memory_copy_string(given);
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/') {
        copy[--length] = '\0';
    }
    const char *slash = access(given, F_OK) == 0 || !is_image ? strrchr(copy, '/') : NULL;
    struct text name = text_of(slash && slash[1] ? slash + 1 : copy);
    return json_from_text(text_slice(name, 0, NAME_SHOWN_MAX));
}

enum status software_add(struct contact *contact, const struct options *options, bool is_quiet,
                         json_t *document, struct error *error)
{
    const char *image = options_text(options, "image", NULL);
    const char *given = image ? image : options_text(options, "bundle", NULL);
    struct digest digest;
    if (!given) {
        return OK;
    }
    AUTO_CLOSE int fd = -1;
    AUTO_JSON json_t *software = json_object();
    struct upload upload = {.label = image ? "image" : "bundle"};
    (void)json_object_set_new(software, "kind", json_string(image ? "oci" : "bundle"));
    if (digest_from_text(text_of(given), &digest, NULL) == OK) {
        (void)digest_to_text(&digest, upload.digest);
    } else {
        TRY(open_archive(given, image != NULL, &fd, error));
        upload.fd = fd;
        TRY(send_blob(contact, &upload, is_quiet, error));
        (void)json_object_set_new(software, "name", name_of(given, image != NULL));
    }
    (void)json_object_set_new(software, "blob", json_string(upload.digest));
    (void)json_object_set(document, "software", software);
    return OK;
}
