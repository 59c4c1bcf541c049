// Limits on memory, processes and cores of a group of processes: cgroup v2, v1, or nothing where there is neither.
#ifndef LODE_OS_CGROUP_H
#define LODE_OS_CGROUP_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cgroup_controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_CONTROLLERS };

struct cgroups; // This program's part of the machine's hierarchies.
struct cgroup;  // One group in it.

// Finds the hierarchies and makes a group `name` in each controller's below the one that this process is in. Groups that
// an earlier program left under that name are killed and removed. Controllers that cannot be used are left out: see
// cgroups_has.
struct cgroups *cgroups_new(const char *name);
// Removes the group again.
void cgroups_free(struct cgroups *cgroups);
bool cgroups_has(const struct cgroups *cgroups, enum cgroup_controller controller);

struct cgroup_limits {
    int64_t memory_bytes; // 0: no limit, as for the others.
    int64_t pids;
    int64_t cpu_millis;
};

// A group for one sandbox. *out is the caller's.
enum status cgroup_new(struct cgroups *cgroups, const char *name,
                       const struct cgroup_limits *limits, struct cgroup **out,
                       struct error *error);
// Gives it other limits; what is 0 here stays as it is.
enum status cgroup_set_limits(struct cgroup *cgroup, const struct cgroup_limits *limits,
                              struct error *error);
// Kills what is still in it and removes it; NULL is allowed.
void cgroup_free(struct cgroup *cgroup);

// Descriptors of files by which a process with one thread joins it, for process_options.join_fds; borrowed.
const int *cgroup_join_fds(const struct cgroup *cgroup, size_t *count);

// How many of its processes the kernel has killed for want of memory so far.
int64_t cgroup_memory_kills(const struct cgroup *cgroup);
// An open file that counts what the kernel did: "oom_kill <count>" (memory), or "max <count>" forks refused (processes); -1: none.
int cgroup_open_events(const struct cgroup *cgroup, enum cgroup_controller controller);
// The most memory that it ever had; 0: unknown.
int64_t cgroup_memory_peak(const struct cgroup *cgroup);

#endif
