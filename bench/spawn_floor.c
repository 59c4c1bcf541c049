// The floor of the benchmark `tasks`: a plain posix_spawn loop of one command in N processes for S seconds.
//
//     spawn_floor [SECONDS [PROCESSES [COMMAND [ARGUMENT...]]]]     (default: 3 seconds, 2 processes, /bin/true)
//
// Prints one line, "<runs per second> per_second <runs> count <N> processes".
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { PROCESSES_MAX = 1024, SECONDS_MAX = 600 };

struct settings {
    long processes;
    long seconds;
    char **command;
};

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// Spawns and waits until `end_us`; returns how many ended with status 0. Any failure ends the process.
static int64_t spawn_until(char *const command[], int64_t end_us)
{
    int64_t count = 0;
    while (now_us() < end_us) {
        pid_t child = 0;
        int status = 0;
        int failed = posix_spawnp(&child, command[0], NULL, NULL, command, environ);
        if (failed != 0 || waitpid(child, &status, 0) != child || status != 0) {
            (void)fprintf(stderr, "spawn_floor: cannot run %s: %s\n", command[0],
                          failed ? strerror(failed) : "it failed");
            _exit(1);
        }
        count++;
    }
    return count;
}

static int read_settings(int argc, char **argv, struct settings *settings)
{
    if (argc > 1) {
        settings->seconds = strtol(argv[1], NULL, 10);
    }
    if (argc > 2) {
        settings->processes = strtol(argv[2], NULL, 10);
    }
    if (argc > 3) {
        settings->command = argv + 3;
    }
    if (settings->seconds < 1 || settings->seconds > SECONDS_MAX || settings->processes < 1 ||
        settings->processes > PROCESSES_MAX) {
        (void)fprintf(stderr, "usage: spawn_floor [SECONDS [PROCESSES [COMMAND [ARGUMENT...]]]]\n");
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    char program[] = "/bin/true";
    char *standard[] = {program, NULL};
    struct settings settings = {.processes = 2, .seconds = 3, .command = standard};
    if (read_settings(argc, argv, &settings) < 0) {
        return 2;
    }
    size_t size = (size_t)settings.processes * sizeof(int64_t);
    int64_t *counts = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) {
        perror("spawn_floor: mmap");
        return 1;
    }
    int64_t start_us = now_us();
    for (long i = 0; i < settings.processes; i++) {
        pid_t child = fork();
        if (child < 0) {
            perror("spawn_floor: fork");
            return 1;
        }
        if (child == 0) {
            counts[i] = spawn_until(settings.command, start_us + settings.seconds * 1000000);
            _exit(0);
        }
    }
    int status = 0;
    int failures = 0;
    while (wait(&status) > 0 || errno == EINTR) {
        failures += status != 0;
    }
    int64_t total = 0;
    for (long i = 0; i < settings.processes; i++) {
        total += counts[i];
    }
    double seconds = (double)(now_us() - start_us) / 1e6;
    (void)printf("%.1f per_second %" PRId64 " count %ld processes\n", (double)total / seconds,
                 total, settings.processes);
    return failures ? 1 : 0;
}
