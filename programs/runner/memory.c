#include "runner/runner.h"

#include "os/clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { KIB = 1024, LOOK_PART = 20 }; // Looking takes a LOOK_PART of the time at most.

// Of one process: what it holds of its own, in memory; files that it only maps are left out. 0: it is gone.
static int64_t own_bytes(int64_t pid)
{
    char path[64];
    int64_t resident = 0;
    int64_t shared = 0;
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/statm", pid);
    FILE *pages = fopen(path, "re");
    if (!pages) {
        return 0;
    }
    int count = fscanf(pages, "%*s %" SCNd64 " %" SCNd64, &resident, &shared);
    (void)fclose(pages);
    return count == 2 ? (resident - shared) * sysconf(_SC_PAGESIZE) : 0;
}

// The same, but of what processes share since a fork only its part. Costs more: the kernel goes through all pages.
static int64_t own_part_bytes(int64_t pid)
{
    char path[64];
    char line[128];
    int64_t kibibytes = -1;
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/smaps_rollup", pid);
    FILE *sums = fopen(path, "re");
    while (sums && kibibytes < 0 && fgets(line, sizeof line, sums)) {
        (void)sscanf(line, "Pss_Anon: %" SCNd64, &kibibytes);
    }
    if (sums) {
        (void)fclose(sums);
    }
    return kibibytes >= 0 ? kibibytes * KIB : own_bytes(pid);
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
