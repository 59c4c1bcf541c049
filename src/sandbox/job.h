// A job as the site tells a worker of it (docs/protocols/worker.md), checked and flat, with what the worker finds out about its data.
#ifndef LODE_SANDBOX_JOB_H
#define LODE_SANDBOX_JOB_H

#include "base/arena.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "sandbox/proofs.h"
#include "sandbox/runner_protocol.h"

enum {
    JOB_FILES_MAX = 4096,
    JOB_DATA_MAX = 64,
    JOB_ROOTS_MAX = 1024,
    JOB_DATA_FILES_MAX = 1000,
    JOB_GPUS_MAX = 1024
};

// A blob that is put below the working folder of each task. Its name may be a path: what it begins with is then a folder of the
// job's files, which tasks cannot write to.
struct job_file {
    const char *name;
    const char *digest; // "sha256:..."
    bool is_executable;
};

// What the names of the files begin with: a file itself, or a folder with some of them.
struct job_top {
    const char *name;
    bool is_folder;
};

// A path of this machine, bound read-only at /data/<data name>/<mount>.
struct job_root {
    const char *path;
    const char *mount; // "" for the top.
    bool is_folder;
};

// A file as it was when it was registered.
struct job_data_file {
    const char *path;   // Below its dataset.
    const char *source; // Absolute path.
    int64_t size;
    int64_t modified_us;
    int64_t inode; // 0: not known
    bool has_digest;
    struct digest digest;
    bool is_proven; // What lies here under that path is the same content; it has this mark.
    struct file_mark proof;
};

struct job_data {
    const char *name;
    struct job_root *roots;
    size_t root_count;
    struct job_data_file *files;
    size_t file_count;
    int64_t file_total; // Of the dataset: more than file_count when not all are listed.
    bool is_index_set;  // Its files are the items, and are not listed.
    bool is_fetched;    // It is not seen here by path: its files come from the site.
};

// All texts live in the arena.
struct job {
    struct arena arena;
    int64_t id;
    bool is_stream;
    bool has_network;
    bool has_api; // Its leases come with a token for its tasks.
    struct text *command;
    size_t command_count;
    struct text *environment; // "NAME=value", as the job says.
    size_t environment_count;
    const char **outputs; // Glob patterns.
    size_t output_count;
    const char **checkpoint_files; // Glob patterns.
    size_t checkpoint_count;       // 0: it has no checkpoints.
    int64_t checkpoint_interval_us;
    int checkpoint_signal; // 0: none
    struct job_file *files;
    size_t file_count;
    struct job_top *tops; // By name.
    size_t top_count;
    struct job_data *data;
    size_t data_count;
    enum runner_items items;
    const char *items_digest; // NULL: an index set by count.
    const char *items_name;   // Of files: the dataset.
    int64_t items_size;
    int64_t items_count;
    int64_t
        first_index; // Task i has index first_index + i, in words of the command and in the items.
    const char *software_digest; // NULL: the machine's own software.
    bool is_image;               // The software is an image, else a bundle.
    int64_t cpu_millis;
    int64_t memory_bytes;
    int64_t disk_bytes;
    int64_t gpus;
    int64_t walltime_us;
};

// INVALID names the field. *out is the caller's (job_free).
enum status job_parse(const json_t *document, struct job **out, struct error *error);
// A job of which nothing is known but its id.
struct job *job_stub(int64_t id);
void job_free(struct job *job);

#endif
