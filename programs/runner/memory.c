#include "runner/runner.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define MIB 1048576.0

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

int64_t memory_used(const struct runner *runner, pid_t child)
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
            bytes += own_bytes(pid);
        }
    }
    if (processes) {
        (void)closedir(processes);
    }
    return bytes;
}

void memory_describe(const struct runner *runner, int64_t peak, char detail[RUNNER_DETAIL_MAX])
{
    (void)snprintf(detail, RUNNER_DETAIL_MAX,
                   "the limit is %.1f MiB of memory, the peak was %.1f MiB",
                   (double)runner->job.memory_bytes / MIB, (double)peak / MIB);
}
