// Registered data beside which tasks run: bound read-only, and looked at before.
#ifndef LODE_WORKER_INPUTS_H
#define LODE_WORKER_INPUTS_H

#include "os/sandbox.h"
#include "worker/job.h"

// Are the listed files there as they were registered? INVALID names the first that is not, and what changed: missing, size, time,
// another file in its place, or a symbolic link that leads out of the registered folder.
enum status inputs_check(const struct job *job, struct error *error);

// The binds of the data at /data, and of the job's files (fetched to `files_folder`) in /work. In the arena; *count of them.
struct sandbox_bind *inputs_binds(const struct job *job, const char *files_folder,
                                  struct arena *arena, size_t *count);

// Without a sandbox: makes `folder`/<name>/<mount> as symbolic links to the data.
enum status inputs_link(const struct job *job, const char *folder, struct error *error);

#endif
