#include "shelf/unpacker.h"

#include "base/arena.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum {
    PIDS_MAX = 64,
    SAID_MAX = 400,   // Bytes of what it complains about.
    EXIT_REFUSED = 4, // The archive is to blame: see programs/unpack.c.
    EXIT_NO_SPACE = 5,
    NAME_SIZE = 40,
};
#define MEMORY_BYTES (INT64_C(1) << 30)
#define TIME_MAX_US INT64_C(3600000000)

struct unpacker {
    struct cgroup *cgroup;
    int said_fd; // What it writes to standard error.
    pid_t process;
    int64_t until_us;
};

// How the sandbox sees them.
#define PROGRAM "/run/lode/lode"
#define ARCHIVE "/run/lode/archive"
#define FOLDER "/work"

static char **command_line(const struct unpacker_order *order, struct arena *arena)
{
    const struct sandbox_bind binds[] = {
        {.source = order->program, .target = PROGRAM},
        {.source = order->archive, .target = ARCHIVE},
        {.source = order->folder, .target = FOLDER, .is_writable = true},
    };
    const char *const command[] = {PROGRAM,  "unpack",
                                   "--kind", order->is_image ? "oci" : "bundle",
                                   "--size", arena_format(arena, "%" PRId64, order->bytes_max),
                                   ARCHIVE,  FOLDER,
                                   NULL};
    const struct sandbox_options options = {.etc_folder = order->etc_folder,
                                            .binds = binds,
                                            .bind_count = sizeof binds / sizeof binds[0],
                                            .command = command,
                                            .work_folder = FOLDER};
    return sandbox_arguments(arena, &options);
}

static enum status start(struct unpacker *unpacker, const struct unpacker_order *order,
                         struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    char name[NAME_SIZE];
    const struct cgroup_limits limits = {.memory_bytes = MEMORY_BYTES, .pids = PIDS_MAX};
    (void)snprintf(name, sizeof name, "unpack-%" PRId64, order->number);
    if (order->cgroups) {
        TRY(cgroup_new(order->cgroups, name, &limits, &unpacker->cgroup, error));
    }
    AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    unpacker->said_fd = open(order->folder, O_RDWR | O_TMPFILE | O_APPEND | O_CLOEXEC, 0600);
    if (null_fd < 0 || unpacker->said_fd < 0) {
        return error_set_errno(error, errno, "cannot prepare the unpacking of an archive");
    }
    char *environment[] = {NULL};
    const int descriptors[] = {null_fd, null_fd, unpacker->said_fd};
    struct process_options options = {.program = order->bubblewrap,
                                      .arguments = command_line(order, &arena),
                                      .environment = environment,
                                      .descriptors = descriptors,
                                      .descriptor_count = 3,
                                      .dies_with_parent = true,
                                      .is_left_alone = true};
    if (unpacker->cgroup) {
        options.join_fds = cgroup_join_fds(unpacker->cgroup, &options.join_count);
    }
    unpacker->until_us = clock_steady_us() + TIME_MAX_US;
    return process_start(&options, &unpacker->process, error);
}

enum status unpacker_start(const struct unpacker_order *order, struct unpacker **out,
                           struct error *error)
{
    struct unpacker *unpacker = NEW(struct unpacker);
    unpacker->said_fd = -1;
    enum status status = start(unpacker, order, error);
    if (status != OK) {
        unpacker_free(unpacker);
        return status;
    }
    *out = unpacker;
    return OK;
}

// What it complained about in one line: the detail, and the fix behind a semicolon.
static void explain(const struct unpacker *unpacker, int ended, struct error *error)
{
    char said[SAID_MAX];
    ssize_t got = pread(unpacker->said_fd, said, sizeof said, 0);
    struct text text = text_trim((struct text){said, got > 0 ? (size_t)got : 0});
    int code = WIFEXITED(ended) ? WEXITSTATUS(ended) : 0;
    enum status status = code == EXIT_REFUSED ? INVALID : code == EXIT_NO_SPACE ? QUOTA : INTERNAL;
    bool has_memory = !unpacker->cgroup || cgroup_memory_kills(unpacker->cgroup) == 0;
    struct text first = text_slice(text, 0, text_find_byte(text, 0, '\n'));
    first = text_starts_with(first, TEXT("lode: ")) ? text_slice(first, 6, first.length) : first;
    struct text rest = text_trim(text_slice(text, text_find_byte(text, 0, '\n'), text.length));
    if (!has_memory) {
        (void)error_set(error, UNAVAILABLE, "its archive took more than %" PRId64 " MiB to unpack",
                        MEMORY_BYTES >> 20);
    } else if (first.length == 0) {
        (void)error_set(error, INTERNAL, "the unpacking of its archive was killed from outside");
    } else {
        (void)error_set(error, status, "%.*s%s%.*s", TEXT_ARGS(first), rest.length > 0 ? "; " : "",
                        TEXT_ARGS(rest));
    }
}

bool unpacker_has_ended(struct unpacker *unpacker, int64_t now_us, struct error *error)
{
    int ended = 0;
    bool is_late = now_us >= unpacker->until_us;
    if (is_late) {
        (void)kill(-unpacker->process, SIGKILL);
    }
    if (!process_has_ended(unpacker->process, is_late, &ended)) {
        return false;
    }
    unpacker->process = 0;
    *error = (struct error){.status = OK};
    if (is_late) {
        (void)error_set(error, TIMEOUT, "its archive took more than %" PRId64 " min to unpack",
                        TIME_MAX_US / 60000000);
    } else if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0) {
        explain(unpacker, ended, error);
    }
    return true;
}

void unpacker_free(struct unpacker *unpacker)
{
    if (!unpacker) {
        return;
    }
    if (unpacker->process > 0) {
        int ended = 0;
        (void)kill(-unpacker->process, SIGKILL);
        (void)process_has_ended(unpacker->process, true, &ended);
    }
    cgroup_free(unpacker->cgroup);
    file_close_local(&unpacker->said_fd);
    free(unpacker);
}
