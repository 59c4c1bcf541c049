#include "sandbox/slot.h"

#include "base/memory.h"
#include "os/file.h"
#include "os/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_SIZE = 65536,
    COMPLAINT_MAX = 300,
    BINDS_MAX = 4096,
    RUNNER_CONTROL = 3, // Descriptors of the runner.
    RUNNER_LOGS = 4,
    RUNNER_MEMORY = 5,
    RUNNER_PIDS = 6,
};

struct slot {
    const struct slot_place *place;
    const struct slot_events *events;
    void *context;
    char *folder; // With work, tmp and logs.
    int work_fd;
    int logs_fd;
    int control_fd;
    int complaint_fd; // What bwrap and the runner write to standard error.
    pid_t process;    // 0: reaped.
    struct cgroup *cgroup;
    int64_t memory_kills;
    struct buffer incoming;
    struct buffer outgoing;
};

static enum status make_inner(const struct slot *slot, const char *name, mode_t mode, int *fd,
                              struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/%s", slot->folder, name);
    TRY(file_make_folder(path, error));
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 || fchmod(*fd, mode) < 0) {
        return error_set_errno(error, errno, "cannot open folder %s", path);
    }
    return OK;
}

// An empty file in the working folder, or a folder: the place of a bind.
static enum status touch(const struct slot *slot, const char *name, struct error *error)
{
    bool is_folder = name[strlen(name) - 1] == '/';
    AUTO_CLOSE int fd = is_folder
                            ? -1
                            : openat(slot->work_fd, name,
                                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (is_folder ? mkdirat(slot->work_fd, name, 0755) < 0 : fd < 0) {
        return error_set_errno(error, errno, "cannot make %s/work/%s", slot->folder, name);
    }
    return OK;
}

static enum status make_folders(struct slot *slot, const struct slot_plan *plan,
                                struct error *error)
{
    AUTO_CLOSE int temporary_fd = -1;
    TRY(file_remove_tree(slot->folder, error));
    TRY(make_inner(slot, "work", 0755, &slot->work_fd, error));
    TRY(make_inner(slot, "tmp", 0755, &temporary_fd, error));
    TRY(make_inner(slot, "logs", 0700, &slot->logs_fd, error));
    for (size_t i = 0; plan->touched && plan->touched[i]; i++) {
        TRY(touch(slot, plan->touched[i], error));
    }
    slot->complaint_fd =
        openat(slot->logs_fd, "sandbox", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (slot->complaint_fd < 0) {
        return error_set_errno(error, errno, "cannot make %s/logs/sandbox", slot->folder);
    }
    return OK;
}

static enum status make_cgroup(struct slot *slot, const struct slot_plan *plan, struct error *error)
{
    char name[40];
    if (!slot->place->cgroups) {
        return OK;
    }
    (void)snprintf(name, sizeof name, "slot-%" PRId64, plan->number);
    return cgroup_new(slot->place->cgroups, name, &plan->limits, &slot->cgroup, error);
}

// The command line: the runner in bubblewrap, or the runner alone with the folders' paths outside.
static char **command_line(const struct slot *slot, const struct slot_plan *plan,
                           struct arena *arena)
{
    const char *work = arena_format(arena, "%s/work", slot->folder);
    const char *temporary = arena_format(arena, "%s/tmp", slot->folder);
    if (!slot->place->bubblewrap) {
        char **words = arena_new(arena, 8 * sizeof *words);
        words[0] = arena_copy(arena, TEXT("lode-runner"));
        words[1] = arena_format(arena, "%d", RUNNER_CONTROL);
        words[2] = arena_format(arena, "%d", RUNNER_LOGS);
        words[3] = arena_format(arena, "%d", RUNNER_MEMORY);
        words[4] = arena_format(arena, "%d", RUNNER_PIDS);
        words[5] = arena_copy(arena, text_of(work));
        words[6] = arena_copy(arena, text_of(temporary));
        return words;
    }
    const struct sandbox_bind own[] = {
        {.source = slot->place->runner, .target = "/run/lode/lode-runner"},
        {.source = temporary, .target = "/tmp", .is_writable = true},
        {.source = work, .target = "/work", .is_writable = true},
    };
    size_t own_count = sizeof own / sizeof own[0];
    struct sandbox_bind *binds = arena_new(arena, (own_count + plan->bind_count) * sizeof *binds);
    memcpy(binds, own, sizeof own);
    if (plan->bind_count > 0) {
        memcpy(binds + own_count, plan->binds, plan->bind_count * sizeof *binds);
    }
    const char *const command[] = {"/run/lode/lode-runner",
                                   arena_format(arena, "%d", RUNNER_CONTROL),
                                   arena_format(arena, "%d", RUNNER_LOGS),
                                   arena_format(arena, "%d", RUNNER_MEMORY),
                                   arena_format(arena, "%d", RUNNER_PIDS),
                                   "/work",
                                   "/tmp",
                                   "/dev/shm",
                                   NULL};
    const struct sandbox_options options = {.etc_folder = slot->place->etc_folder,
                                            .root_folder = plan->root_folder,
                                            .binds = binds,
                                            .bind_count = own_count + plan->bind_count,
                                            .command = command,
                                            .work_folder = "/work",
                                            .has_network = plan->has_network};
    return sandbox_arguments(arena, &options);
}

static enum status start_process(struct slot *slot, const struct slot_plan *plan,
                                 struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        return error_set_errno(error, errno, "cannot make a pair of sockets");
    }
    AUTO_CLOSE int theirs = pair[1];
    slot->control_fd = pair[0];
    AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || fcntl(slot->control_fd, F_SETFL, O_NONBLOCK) < 0) {
        return error_set_errno(error, errno, "cannot prepare the runner's descriptors");
    }
    char *environment[] = {NULL};
    AUTO_CLOSE int memory_fd = slot->cgroup ? cgroup_open_events(slot->cgroup, CGROUP_MEMORY) : -1;
    AUTO_CLOSE int pids_fd = slot->cgroup ? cgroup_open_events(slot->cgroup, CGROUP_PIDS) : -1;
    const int descriptors[] = {null_fd,
                               slot->complaint_fd,
                               slot->complaint_fd,
                               theirs,
                               slot->logs_fd,
                               memory_fd < 0 ? null_fd : memory_fd,
                               pids_fd < 0 ? null_fd : pids_fd};
    struct process_options options = {
        .program = slot->place->bubblewrap ? slot->place->bubblewrap : slot->place->runner,
        .arguments = command_line(slot, plan, &arena),
        .environment = environment,
        .descriptors = descriptors,
        .descriptor_count = sizeof descriptors / sizeof descriptors[0],
        .dies_with_parent = true,
        .is_left_alone = true};
    if (slot->cgroup) {
        options.join_fds = cgroup_join_fds(slot->cgroup, &options.join_count);
    }
    return process_start(&options, &slot->process, error);
}

static void put_job(struct slot *slot, const struct runner_job *job)
{
    size_t begin = runner_begin_frame(&slot->outgoing, RUNNER_JOB);
    runner_put_job(&slot->outgoing, job);
    runner_end_frame(&slot->outgoing, begin);
}

enum status slot_start(const struct slot_place *place, const struct slot_plan *plan,
                       const struct slot_events *events, void *context, struct slot **out,
                       struct error *error)
{
    struct slot *slot = NEW(struct slot);
    slot->place = place;
    slot->events = events;
    slot->context = context;
    slot->work_fd = -1;
    slot->logs_fd = -1;
    slot->control_fd = -1;
    slot->complaint_fd = -1;
    slot->folder = memory_format("%s/%" PRId64, place->folder, plan->number);
    enum status status = make_folders(slot, plan, error);
    if (status == OK) {
        status = make_cgroup(slot, plan, error);
    }
    if (status == OK) {
        status = start_process(slot, plan, error);
    }
    if (status != OK) {
        slot_free(slot);
        return status;
    }
    if (plan->job) {
        put_job(slot, plan->job);
    }
    *out = slot;
    return OK;
}

enum status slot_take(struct slot *slot, const struct slot_plan *plan,
                      const struct slot_events *events, void *context, struct error *error)
{
    assert(plan->bind_count == 0 && !plan->has_network && !plan->root_folder &&
           slot->place->bubblewrap);
    if (slot->cgroup) {
        TRY(cgroup_set_limits(slot->cgroup, &plan->limits, error));
    }
    slot->events = events;
    slot->context = context;
    put_job(slot, plan->job);
    return OK;
}

void slot_kill(struct slot *slot)
{
    file_close_local(&slot->control_fd); // The runner ends everything below it when this closes.
    slot->control_fd = -1;
    if (slot->process > 0) {
        (void)kill(-slot->process, SIGKILL);
    }
}

void slot_free(struct slot *slot)
{
    if (!slot) {
        return;
    }
    slot_kill(slot);
    if (slot->process > 0) {
        int status = 0;
        (void)process_has_ended(slot->process, true, &status);
    }
    cgroup_free(slot->cgroup);
    file_close_local(&slot->work_fd);
    file_close_local(&slot->logs_fd);
    file_close_local(&slot->complaint_fd);
    (void)file_remove_tree(slot->folder, NULL);
    buffer_done(&slot->incoming);
    buffer_done(&slot->outgoing);
    free(slot->folder);
    free(slot);
}

int slot_fd(const struct slot *slot)
{
    return slot->control_fd;
}

short slot_poll_events(const struct slot *slot)
{
    return (short)(POLLIN | (slot->outgoing.length > 0 ? POLLOUT : 0));
}

static enum status send_waiting(struct slot *slot)
{
    size_t at = 0;
    while (at < slot->outgoing.length) {
        ssize_t sent = send(slot->control_fd, slot->outgoing.bytes + at, slot->outgoing.length - at,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            break;
        }
        if (sent < 0 && errno != EINTR) {
            return UNAVAILABLE; // Its end is seen by the read.
        }
        at += sent > 0 ? (size_t)sent : 0;
    }
    buffer_consume(&slot->outgoing, at);
    return OK;
}

static enum status take_results(struct slot *slot, struct text rest, struct error *error)
{
    while (rest.length > 0) {
        struct runner_result result;
        TRY(runner_get_result(&rest, &result, error));
        slot->events->on_result(slot->context, &result);
    }
    return OK;
}

static enum status take_running(struct slot *slot, struct text rest, struct error *error)
{
    int64_t numbers[4];
    for (size_t i = 0; i < 4; i++) {
        TRY(runner_get_int64(&rest, 0, INT64_MAX, &numbers[i], error));
    }
    slot->events->on_running(slot->context, numbers[0], numbers[1], numbers[2], numbers[3]);
    return OK;
}

static enum status take_frame(struct slot *slot, const struct runner_frame *frame,
                              struct error *error)
{
    struct text rest = frame->payload;
    struct runner_answers answers;
    int64_t number = 0;
    switch (frame->kind) {
    case RUNNER_READY:
        return runner_get_int64(&rest, RUNNER_VERSION, RUNNER_VERSION, &number, error);
    case RUNNER_RESULTS:
        return take_results(slot, rest, error);
    case RUNNER_RUNNING:
        return take_running(slot, rest, error);
    case RUNNER_ANSWERS:
        TRY(runner_get_answers(&rest, &answers, error));
        slot->events->on_answers(slot->context, &answers);
        return OK;
    case RUNNER_CANCELLED:
        TRY(runner_get_int64(&rest, 0, INT64_MAX, &number, error));
        slot->events->on_cancelled(slot->context, number);
        return OK;
    case RUNNER_JOB:
    case RUNNER_RANGE:
    case RUNNER_TOKEN:
    case RUNNER_ITEMS:
    case RUNNER_CONTINUE:
    case RUNNER_CANCEL:
    case RUNNER_SIGNAL:
    case RUNNER_KIND_END:
        break;
    }
    return error_set(error, CORRUPT, "the runner sent a frame of kind %d", (int)frame->kind);
}

static enum status take_frames(struct slot *slot, struct error *error)
{
    size_t at = 0;
    for (;;) {
        struct runner_frame frame;
        size_t used = 0;
        struct text rest = text_slice(buffer_text(&slot->incoming), at, slot->incoming.length);
        TRY(runner_take_frame(rest, &frame, &used, error));
        if (used == 0) {
            break;
        }
        TRY(take_frame(slot, &frame, error));
        at += used;
    }
    buffer_consume(&slot->incoming, at);
    return OK;
}

// The runner is gone: what it or bubblewrap said before is the reason.
static enum status explain_end(const struct slot *slot, struct error *error)
{
    char said[COMPLAINT_MAX];
    ssize_t got = pread(slot->complaint_fd, said, sizeof said, 0);
    struct text text = text_trim((struct text){said, got > 0 ? (size_t)got : 0});
    if (text.length == 0) {
        return error_set(error, UNAVAILABLE, "the sandbox was killed from outside");
    }
    return error_set(error, UNAVAILABLE, "the sandbox ended: %.*s", TEXT_ARGS(text));
}

enum status slot_serve(struct slot *slot, short revents, struct error *error)
{
    if (slot->outgoing.length > 0) {
        (void)send_waiting(slot);
    }
    if ((revents & (POLLIN | POLLHUP | POLLERR)) == 0) {
        return OK;
    }
    for (;;) {
        char *room = buffer_reserve(&slot->incoming, READ_SIZE);
        ssize_t got = recv(slot->control_fd, room, READ_SIZE, MSG_DONTWAIT);
        if (got > 0) {
            buffer_advance(&slot->incoming, (size_t)got);
            if (got == READ_SIZE && slot->incoming.length < RUNNER_FRAME_MAX) {
                continue;
            }
            return take_frames(slot, error);
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return take_frames(slot, error);
        }
        TRY(take_frames(slot, error));
        return explain_end(slot, error);
    }
}

static void send_numbers(struct slot *slot, enum runner_kind kind, const int64_t *numbers,
                         size_t count)
{
    size_t begin = runner_begin_frame(&slot->outgoing, kind);
    for (size_t i = 0; i < count; i++) {
        runner_put_int64(&slot->outgoing, numbers[i]);
    }
    runner_end_frame(&slot->outgoing, begin);
    (void)send_waiting(slot);
}

void slot_send_token(struct slot *slot, struct text token)
{
    size_t begin = runner_begin_frame(&slot->outgoing, RUNNER_TOKEN);
    runner_put_text(&slot->outgoing, token);
    runner_end_frame(&slot->outgoing, begin);
    (void)send_waiting(slot);
}

void slot_send_range(struct slot *slot, int64_t lease, int64_t from, int64_t to)
{
    const int64_t numbers[] = {lease, from, to, 0, 0};
    send_numbers(slot, RUNNER_RANGE, numbers, 5);
}

void slot_send_attempt(struct slot *slot, int64_t lease, int64_t index, int64_t attempt,
                       bool is_restored)
{
    const int64_t numbers[] = {lease, index, index + 1, attempt, is_restored};
    send_numbers(slot, RUNNER_RANGE, numbers, 5);
}

void slot_send_items(struct slot *slot, int64_t lease, struct text lines)
{
    size_t begin = runner_begin_frame(&slot->outgoing, RUNNER_ITEMS);
    runner_put_int64(&slot->outgoing, lease);
    runner_put_text(&slot->outgoing, lines);
    runner_end_frame(&slot->outgoing, begin);
    (void)send_waiting(slot);
}

void slot_send_continue(struct slot *slot)
{
    send_numbers(slot, RUNNER_CONTINUE, NULL, 0);
}

void slot_send_cancel(struct slot *slot, int64_t lease)
{
    send_numbers(slot, RUNNER_CANCEL, &lease, 1);
}

void slot_send_signal(struct slot *slot, int number, bool is_leaving)
{
    const int64_t numbers[] = {number, is_leaving};
    send_numbers(slot, RUNNER_SIGNAL, numbers, 2);
}

bool slot_has_ended(struct slot *slot)
{
    int status = 0;
    if (slot->process > 0 && process_has_ended(slot->process, false, &status)) {
        slot->process = 0;
    }
    return slot->process == 0;
}

int slot_work_fd(const struct slot *slot)
{
    return slot->work_fd;
}

int slot_logs_fd(const struct slot *slot)
{
    return slot->logs_fd;
}

bool slot_had_memory_kill(struct slot *slot)
{
    int64_t before = slot->memory_kills;
    slot->memory_kills = slot->cgroup ? cgroup_memory_kills(slot->cgroup) : 0;
    return slot->memory_kills > before;
}

int64_t slot_memory_peak(const struct slot *slot)
{
    return slot->cgroup ? cgroup_memory_peak(slot->cgroup) : 0;
}
