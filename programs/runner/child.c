#include "runner/runner.h"

#include "os/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_FAILED = 127 };

// The child's side between vfork and exec: shares memory with the parent, so it calls the kernel and nothing else.
static void become_task(const char *program, char *const *arguments, char *const *environment,
                        const int descriptors[3], volatile int *failure)
{
    sigset_t none;
    (void)sigemptyset(&none);
    // Outside a sandbox nothing else ends it when the runner is killed.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, 0) < 0 || dup2(descriptors[0], 0) < 0 ||
        dup2(descriptors[1], 1) < 0 || dup2(descriptors[2], 2) < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0) {
        *failure = errno;
        return;
    }
    descriptors_keep(STDERR_FILENO + 1);
    (void)execve(program, arguments, environment);
    *failure = errno;
}

// vfork and not posix_spawn: that maps and unmaps a stack for each child. The group is set in the child, so that no
// signal to the group can come before it exists.
__attribute__((noinline)) int child_start(const char *program, char *const *arguments,
                                          char *const *environment, const int descriptors[3],
                                          pid_t *child)
{
    volatile int failure = 0;
    pid_t pid = vfork();
    if (pid < 0) {
        return errno;
    }
    if (pid == 0) {
        become_task(program, arguments, environment, descriptors, &failure);
        _exit(START_FAILED);
    }
    if (failure != 0) {
        (void)waitpid(pid, NULL, 0);
        return failure;
    }
    *child = pid;
    return 0;
}

void child_signal(const struct runner *runner, pid_t child, int signal_number)
{
    if (runner->is_first_process) {
        (void)kill(-1, signal_number);
    } else if (child > 0) {
        (void)kill(-child, signal_number);
    }
}

// Does the process have a handler for the signal?
static bool is_caught(int64_t pid, int signal_number)
{
    static const char CAUGHT[] = "SigCgt:";
    char path[64];
    char line[256];
    unsigned long long caught = 0;
    (void)snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
    FILE *status = fopen(path, "re");
    if (!status) {
        return false;
    }
    while (caught == 0 && fgets(line, sizeof line, status)) {
        if (strncmp(line, CAUGHT, sizeof CAUGHT - 1) == 0) {
            caught = strtoull(line + sizeof CAUGHT - 1, NULL, 16);
        }
    }
    (void)fclose(status);
    return (caught >> (signal_number - 1) & 1) != 0;
}

void child_ask(const struct runner *runner, pid_t child, int signal_number)
{
    DIR *processes = opendir("/proc");
    if (!processes) {
        return;
    }
    for (struct dirent *entry = readdir(processes); entry; entry = readdir(processes)) {
        int64_t pid = 0;
        if (!text_to_int64(text_of(entry->d_name), &pid) || pid == getpid()) {
            continue;
        }
        bool is_task = runner->is_first_process || getpgid((pid_t)pid) == child;
        if (is_task && is_caught(pid, signal_number)) {
            (void)kill((pid_t)pid, signal_number);
        }
    }
    (void)closedir(processes);
}

bool child_ended(pid_t child, int *status, struct rusage *usage)
{
    for (;;) {
        int ended_status = 0;
        struct rusage ended_usage;
        pid_t ended = wait4(-1, &ended_status, WNOHANG, &ended_usage);
        if (ended == child) {
            *status = ended_status;
            *usage = ended_usage;
            return true;
        }
        if (ended <= 0) {
            return false;
        }
    }
}

// Outside a sandbox orphans come to this process as their subreaper: kills those that left the task's group.
static void kill_children(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *list = fopen(path, "re");
    if (!list) {
        return;
    }
    char word[32];
    while (fscanf(list, "%31s", word) == 1) {
        int64_t pid = 0;
        if (text_to_int64(text_of(word), &pid) && pid > 1) {
            (void)kill((pid_t)pid, SIGKILL);
        }
    }
    (void)fclose(list);
}

void child_end_all(const struct runner *runner, pid_t child)
{
    // The usual case costs one call: no children at all, and then nobody else is here.
    pid_t ended = waitpid(-1, NULL, WNOHANG);
    while (ended >= 0 || errno == EINTR) {
        child_signal(runner, child, SIGKILL);
        if (!runner->is_first_process) {
            kill_children();
        }
        ended = waitpid(-1, NULL, 0);
    }
}

void shared_remove(const struct runner *runner)
{
    if (!runner->is_first_process) {
        return; // The namespace is the whole machine's.
    }
    struct shm_info shared = {0};
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shared);
    for (int i = 0; shared.used_ids > 0 && i <= last; i++) {
        struct shmid_ds info;
        int id = shmctl(i, SHM_STAT, &info);
        if (id >= 0) {
            (void)shmctl(id, IPC_RMID, NULL);
        }
    }
    struct seminfo semaphores = {0};
    last = semctl(0, 0, SEM_INFO, &semaphores);
    for (int i = 0; semaphores.semusz > 0 && i <= last; i++) {
        struct semid_ds info;
        int id = semctl(i, 0, SEM_STAT, &info);
        if (id >= 0) {
            (void)semctl(id, 0, IPC_RMID);
        }
    }
    struct msginfo queues = {0};
    last = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&queues);
    for (int i = 0; queues.msgpool > 0 && i <= last; i++) {
        struct msqid_ds info;
        int id = msgctl(i, MSG_STAT, &info);
        if (id >= 0) {
            (void)msgctl(id, IPC_RMID, NULL);
        }
    }
}
