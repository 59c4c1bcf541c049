#include "runner/runner.h"

#include "os/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    KIB = 1024,
    FILE_MAX = 4096,
    LOOK_PART = 20, // Looking takes a LOOK_PART of the time at most.
};

static const struct text PART_KEY = TEXT("Pss_Anon:");

// The file of /proc about the process; empty: it is gone.
static struct text read_about(int64_t pid, const char *name, char content[FILE_MAX])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, content, FILE_MAX);
    if (fd >= 0) {
        (void)close(fd);
    }
    return (struct text){content, got > 0 ? (size_t)got : 0};
}

// The next number of the text, after whatever spaces; 0: there is none.
static int64_t next_number(struct text *rest)
{
    struct text word = TEXT_NONE;
    int64_t number = 0;
    while (word.length == 0 && text_next_part(rest, ' ', &word)) {
    }
    return text_to_int64(word, &number) ? number : 0;
}

// Of one process: what it holds of its own, in memory; files that it only maps are left out.
static int64_t own_bytes(int64_t pid)
{
    char content[FILE_MAX];
    struct text pages = read_about(pid, "statm", content);
    (void)next_number(&pages); // Of addresses.
    int64_t resident = next_number(&pages);
    int64_t shared = next_number(&pages);
    return (resident - shared) * sysconf(_SC_PAGESIZE);
}

// The same, but of what processes share since a fork only its part. Costs more: the kernel goes through all pages.
static int64_t own_part_bytes(int64_t pid)
{
    char content[FILE_MAX];
    struct text rest = read_about(pid, "smaps_rollup", content);
    struct text line;
    while (text_next_part(&rest, '\n', &line)) {
        if (text_starts_with(line, PART_KEY)) {
            struct text number = text_slice(line, PART_KEY.length, line.length);
            return next_number(&number) * KIB;
        }
    }
    return own_bytes(pid);
}

static int64_t sum_of(const struct runner *runner, pid_t child, int64_t (*bytes_of)(int64_t pid))
{
    DIR *processes = opendir("/proc");
    int64_t bytes = 0;
    for (struct dirent *entry = processes ? readdir(processes) : NULL; entry;
         entry = readdir(processes)) {
        int64_t pid = 0;
        if (!text_to_int64(text_of(entry->d_name), &pid) || pid == getpid()) {
            continue;
        }
        if (runner->is_first_process || getpgid((pid_t)pid) == child) {
            bytes += bytes_of(pid);
        }
    }
    if (processes) {
        (void)closedir(processes);
    }
    return bytes;
}

int64_t memory_used(const struct runner *runner, pid_t child, int64_t *next_us)
{
    int64_t begun_us = clock_steady_us();
    int64_t bytes = sum_of(runner, child, own_bytes);
    if (bytes > runner->job.memory_bytes) {
        bytes = sum_of(runner, child, own_part_bytes);
    }
    int64_t ended_us = clock_steady_us();
    int64_t rest_us = (ended_us - begun_us) * LOOK_PART;
    *next_us = ended_us + (rest_us > MEMORY_LOOK_US ? rest_us : MEMORY_LOOK_US);
    return bytes;
}

void memory_describe(const struct runner *runner, int64_t peak, char detail[RUNNER_DETAIL_MAX])
{
    (void)snprintf(detail, RUNNER_DETAIL_MAX,
                   "the limit is %.1f MiB of memory, the peak was %.1f MiB",
                   (double)runner->job.memory_bytes / MIB, (double)peak / MIB);
}
