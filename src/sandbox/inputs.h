// Registered data beside which tasks run: looked at, and bound read-only.
#ifndef LODE_SANDBOX_INPUTS_H
#define LODE_SANDBOX_INPUTS_H

#include "os/sandbox.h"
#include "sandbox/job.h"

// The folder in a job's folder with the files of data that is not seen here by path.
#define INPUTS_FETCHED "fetched"

enum sight {
    SIGHT_SAME,     // Size, time and inode are the registered ones.
    SIGHT_DOUBTFUL, // The size is; whether it is the same file, its content must tell.
    SIGHT_NONE,     // It is not the registered file.
};

// What lies on this machine at the path of the file: its mark, unless it is SIGHT_NONE. What is different about it is said in *why: missing, size,
// time, another file in its place, or a symbolic link that leads out of the registered folder.
enum sight inputs_look(const struct job_data *data, const struct job_data_file *file,
                       struct file_mark *mark, struct error *why);
// Opens it for reading; *fd is the caller's.
enum status inputs_open(const struct job_data *data, const struct job_data_file *file, int *fd,
                        struct error *error);
// Are the folders of the data here, and readable? NOT_FOUND, DENIED.
enum status inputs_check_roots(const struct job_data *data, struct error *error);

// Are the listed files of data that is seen here as they were registered, or as they were when they were proven? INVALID names the first that is not,
// and what changed.
enum status inputs_check(const struct job *job, struct error *error);

// The binds of the data at /data, and of the job's files in /work. `folder` is the job's: with `files`, and the fetched data. In the
// arena; *count of them.
struct sandbox_bind *inputs_binds(const struct job *job, const char *folder, struct arena *arena,
                                  size_t *count);

// Without a sandbox: makes `folder`/data/<name>/<mount> as symbolic links to the data.
enum status inputs_link(const struct job *job, const char *folder, struct error *error);

#endif
