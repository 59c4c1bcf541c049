// The process of a streamed program.
#include "runner/stream.h"

#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIPE_SIZE = 1 << 20, EXIT_NOT_FOUND = 127, EXIT_NOT_STARTED = 126 };

void stream_close_pipes(struct stream *stream)
{
    if (stream->input >= 0) {
        (void)close(stream->input);
    }
    if (stream->output >= 0) {
        (void)close(stream->output);
    }
    stream->input = -1;
    stream->output = -1;
}

static bool open_pipe(int ends[2], int ours)
{
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return false;
    }
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
    return fcntl(ends[ours], F_SETFL, O_NONBLOCK | (ours == 1 ? O_WRONLY : 0)) == 0;
}

// Starts the program; an outcome for the item at the front when that fails.
enum status stream_start_program(struct stream *stream, int64_t *code, struct error *error)
{
    struct runner *runner = stream->runner;
    const char *program = NULL;
    int input[2] = {-1, -1};
    int output[2] = {-1, -1};
    struct queued_range *range = range_first(runner);
    *code = EXIT_NOT_STARTED;
    struct runner_job plain = runner->job;
    runner->job.items = ITEMS_COUNT; // The program's arguments cannot depend on an item.
    enum status status = command_prepare(runner->command, range->next, TEXT_NONE, error);
    runner->job.items = plain.items;
    TRY(status);
    if (command_program(runner->command, &program, error) != OK) {
        *code = EXIT_NOT_FOUND;
        return NOT_FOUND;
    }
    if (!open_pipe(input, 1) || !open_pipe(output, 0)) {
        return error_set_errno(error, errno, "cannot make pipes for the program");
    }
    const int descriptors[3] = {input[0], output[1], runner->err.fd};
    int failed = child_start(program, command_arguments(runner->command),
                             command_environment(runner->command), descriptors, &stream->child);
    (void)close(input[0]);
    (void)close(output[1]);
    stream->input = input[1];
    stream->output = output[0];
    if (failed != 0) {
        stream_close_pipes(stream);
        stream->child = 0;
        *code = failed == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_STARTED;
        return error_set_errno(error, failed, "cannot start %.200s", program);
    }
    stream->is_ended = false;
    stream->ending = OUTCOME_EXITED;
    stream->progress_us = clock_steady_us();
    stream->disk_look_us = stream->progress_us + DISK_LOOK_US;
    stream->memory_look_us = stream->progress_us + MEMORY_LOOK_US;
    stream->cpu_told_us = 0;
    stream->closed_us = 0;
    return OK;
}

int64_t stream_cpu_us(pid_t child)
{
    clockid_t clock;
    struct timespec time;
    if (child <= 0 || clock_getcpuclockid(child, &clock) != 0 || clock_gettime(clock, &time) < 0) {
        return 0;
    }
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t stream_peak_bytes(pid_t child)
{
    char path[64];
    char line[256];
    int64_t kibibytes = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)child);
    FILE *file = child > 0 ? fopen(path, "re") : NULL;
    while (file && fgets(line, sizeof line, file)) {
        struct text rest = text_of(line);
        if (text_starts_with(rest, TEXT("VmHWM:"))) {
            struct text number = text_trim(text_slice(rest, 6, rest.length));
            (void)text_to_int64(text_slice(number, 0, text_find_byte(number, 0, ' ')), &kibibytes);
            break;
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return kibibytes * 1024;
}

bool stream_is_asleep(pid_t child)
{
    char path[64];
    char line[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    FILE *file = fopen(path, "re");
    if (!file) {
        return false;
    }
    size_t length = fread(line, 1, sizeof line - 1, file);
    (void)fclose(file);
    line[length] = '\0';
    const char *name_end = strrchr(line, ')'); // "pid (name) state ..."; a name may hold anything.
    return name_end && strncmp(name_end, ") S", 3) == 0;
}

void stream_take_errors(const struct runner *runner, struct buffer *out)
{
    struct stat info;
    if (fstat(runner->err.fd, &info) < 0 || info.st_size == 0) {
        return;
    }
    int64_t from = info.st_size > RUNNER_INLINE_MAX ? info.st_size - RUNNER_INLINE_MAX : 0;
    char *room = buffer_reserve(out, RUNNER_INLINE_MAX);
    ssize_t got = pread(runner->err.fd, room, RUNNER_INLINE_MAX, from);
    (void)!ftruncate(runner->err.fd, 0);
    buffer_advance(out, got > 0 ? (size_t)got : 0);
}
