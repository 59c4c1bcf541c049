// What a user submits: a command over an index set, with everything that the result depends on.
#ifndef LODE_JOBS_SPEC_H
#define LODE_JOBS_SPEC_H

#include "base/arena.h"
#include "base/json.h"
#include "jobs/retries.h"

enum {
    SPEC_ARGUMENTS_MAX = 4096,
    SPEC_ARGUMENTS_SIZE_MAX = 128 << 10, // Bytes of the whole command.
    SPEC_NAME_MAX = 200,
    SPEC_GROUP_MAX = 64, // Bytes of a group's name.
    SPEC_DATA_MAX = 64,
    SPEC_FILES_MAX = 4096,
    SPEC_FILES_TOP_MAX = 256, // Different first parts of their names: each is a mount of its own.
    SPEC_OUTPUTS_MAX = 64,
    SPEC_CHECKPOINT_PATTERNS_MAX = 16,
    SPEC_CHECKPOINT_SECONDS_MIN = 1,
    SPEC_CHECKPOINT_SECONDS_DEFAULT = 60,
    SPEC_ENVIRONMENT_MAX = 256,
    SPEC_AFTER_MAX = 64,
    SPEC_INPUTS_MAX = 64, // Jobs in input_from.
    SPEC_OFFER_MAX = 200,
    SPEC_BODY_MAX = 1 << 20, // Bytes of the JSON document.
    SPEC_ID_MAX = 2048,      // Bytes of a dataset's identifier.
    SPEC_PATTERN_MAX = 1024, // Bytes of an output pattern, and of a file's name.
    SPEC_PRIORITY_MAX = 100,
    SPEC_LABELS_MAX = 16,      // That a job requires.
    SPEC_LABEL_SIZE_MAX = 200, // Bytes of "NAME=VALUE".
    SPEC_GPUS_MAX = 1024,
    SPEC_CPUS_MAX = 65536,
    SPEC_MEMORY_MIN = 1 << 20,
    SPEC_WALLTIME_SECONDS_MAX = 3660 * 24 * 3600,
    SPEC_WALLTIME_SECONDS_DEFAULT = 24 * 3600, // Says nothing of how long a task takes.
};
#define SPEC_RESOURCE_BYTES_MAX (INT64_C(1) << 56)
#define SPEC_COUNT_MAX INT64_C(1000000000) // Of tasks, and of the largest index.
#define SPEC_INPUTS_FOLDER "inputs"        // Below the working folder: what `input_from` brings.

enum spec_mode { SPEC_COMMAND, SPEC_STREAM };
enum spec_index { SPEC_INDEX_COUNT, SPEC_INDEX_OVER, SPEC_INDEX_ITEMS };
enum spec_cache { SPEC_CACHE_USE, SPEC_CACHE_REFRESH, SPEC_CACHE_OFF };
enum spec_stage { SPEC_STAGE_AUTO, SPEC_STAGE_NEVER };
enum spec_when_lost { SPEC_LOST_HOLD, SPEC_LOST_FAIL };
// Whose programs a task sees: the machine's, a tree that was packed, or an image of a container. A worker that can give tasks one
// kind can give them those before it.
enum spec_software { SPEC_SOFTWARE_HOST, SPEC_SOFTWARE_BUNDLE, SPEC_SOFTWARE_OCI, SPEC_SOFTWARES };

// What one task takes of a worker while it runs.
struct resources {
    int64_t cpu_millis; // 1000: one core.
    int64_t memory_bytes;
    int64_t disk_bytes;
    int64_t gpus;
    uint64_t
        labels; // One bit for each label that it asks for or has: the scheduler's own, which gives the bits their meaning.
    int64_t
        software; // An enum spec_software: what a task is to have, the last that a worker can give. It is not used up.
};

struct spec_data {
    const char *id;     // As it was given; normalising is the catalogue's.
    const char *name;   // Bound at /data/<name>.
    const char *digest; // "sha256:...": the content that the job is for; NULL: whatever it has.
};

struct spec_file {
    const char
        *name; // In the task's working folder: a path of parts like "a.py" or "inputs/0/out.nc".
    const char *digest; // "sha256:..." of the blob.
    bool is_executable;
};

// From what an interrupted task goes on.
struct spec_checkpoint {
    const char **files; // Glob patterns below the working folder.
    size_t file_count;  // 0: the job has none.
    int64_t interval_us;
    int signal; // That asks the program for one; 0: it writes them by itself.
};

struct spec_variable {
    const char *name;
    const char *value;
};

// All strings belong to the spec's arena. In the command: {index} is the index, {file} the path of the file of an index set over a
// dataset, {} the item (the index, the file's path or the line), {{ and }} are braces. Unknown {words} stay as they are.
struct job_spec {
    struct arena arena;
    const char *name;  // "" when not given.
    const char *group; // That it is for; NULL: its owner's own.
    enum spec_mode mode;
    enum spec_index index;
    int64_t count;       // Index sets by count; for others 0 until the site has resolved them.
    int64_t first_index; // Of the first task: task i has index first_index + i.
    int64_t part_count; // Of index sets that are not by count: so many from first_index on; 0: all.
    const char *over;   // Dataset identifier, or NULL.
    const char *over_name;   // Where it is bound: /data/<over_name>.
    const char *over_digest; // As that of spec_data.
    const char *items;       // "sha256:..." of a blob with one item a line, or NULL.
    const char **command;    // NULL-terminated.
    size_t argument_count;
    struct spec_data *data;
    size_t data_count;
    struct spec_file *files;
    size_t file_count;
    const char **outputs; // Glob patterns below the working folder.
    size_t output_count;
    struct spec_checkpoint checkpoint;
    struct spec_variable *environment; // Sorted by name.
    size_t environment_count;
    int64_t *after; // Jobs that must have succeeded before.
    size_t after_count;
    int64_t *input_from; // Jobs whose outputs become files of this one; it runs after them.
    size_t input_count;
    const char *at;     // Site where it is to run, or NULL: wherever is best.
    const char **merge; // Command over the outputs of the job's parts, NULL-terminated; or NULL.
    size_t merge_count;
    enum spec_stage stage;
    const char *offer; // Of this site, that the job is submitted under; or NULL.
    const char *
        software_digest; // "sha256:..." of the bundle's or image's archive; NULL: the machine's own software.
    const char *software_name; // For people; "" when not given.
    struct resources need;
    int64_t walltime_us;
    struct retries retries;
    enum spec_when_lost
        when_lost;    // Of a task once more workers were lost with it than it may lose.
    int64_t priority; // -100 to 100
    bool has_network;
    bool
        is_spare; // Workers may run it that are for such jobs alone: computers that others have to spare.
    bool has_api; // Tasks get a token, with which they may ask the site for their inputs.
    enum spec_cache cache;
    const char **labels; // That a worker must have: "NAME=VALUE", or "NAME" with whatever value.
    size_t label_count;
};

// Reads and checks the document of POST /v1/jobs:
//
//   {"name", "group", "mode": "command" | "stream", "command": [...], "count": n | "over": id, "over_name", "over_digest" | "items": "sha256:...",
//    "data": [{"id", "name", "digest"}], "files": [{"name", "blob": "sha256:...", "executable"}], "outputs": [...], "environment": {...},
//    "after": [job...], "cpus", "memory_bytes", "disk_bytes", "walltime_seconds", "retries": n | {cause: n},
//    "when_lost": "hold" | "fail", "priority", "network", "api", "cache": "use" | "refresh" | "off", "first_index", "input_from": [job...], "at": site, "merge": [...],
//    "stage": "auto" | "never", "offer", "checkpoint": {"files": [...], "interval_seconds", "signal": "USR1"},
//    "spare": bool, "gpus": n, "require": ["NAME" | "NAME=VALUE"...],
//    "software": {"kind": "host"} | {"kind": "bundle" | "oci", "blob": "sha256:...", "name"}}
//
// With "first_index" the other two index sets may have a "count" too: so many from there.
//
// Every refusal names the field, the value and the way out: unknown fields, an empty command, output patterns that are absolute or
// have "..", names of data that are no single path part, names of files that are no path below the working folder, NUL bytes, wrong UTF-8, two index sets, equal data names, variables LODE_..., outputs
// or checkpoints of a streamed job, "spare" with data that is registered at the site ("data", "over"), limits above. "api" needs "network" and mode command. Defaults: count 1, cpus 1, memory 1 GiB, disk 1 GiB, walltime 1 day,
// retries as retries_default says, no network, no api, cache use; a data name is the last part (after "/" or ":") of its id made safe ([A-Za-z0-9._-]).
// *out is the caller's (spec_free).
enum status spec_parse(const json_t *document, struct job_spec **out, struct error *error);
void spec_free(struct job_spec *spec);

// The full document again, with defaults filled in; without group, api, spare, when_lost, first_index, input_from, at, merge, stage, offer, software and digests of data where they say nothing.
json_t *spec_to_json(const struct job_spec *spec);

// The part of the spec that the result depends on, as canonical JSON: command, mode, files with digests, environment, outputs, network, api,
// over_name, first_index when it is not 0, software when it is not the machine's; not name, group, spare, count, resources, retries, when_lost, priority, after, cache, checkpoint, nor where it runs. Digests of
// data, and of what input_from brings, are added by who knows them.
void spec_write_identity(const struct job_spec *spec, struct buffer *out);

// "host", "bundle" or "oci".
const char *spec_software_name(enum spec_software software);

// INVALID, with the name, unless it can be that of a file of a job.
enum status spec_check_file_name(struct text name, struct error *error);

// INVALID, with the way out, unless the text is NAME or NAME=VALUE: a name of letters, digits, ".", "_" and "-", a value without control characters.
enum status label_check(struct text label, struct error *error);
// Is it what is required? "gpu=a100" is that, and "gpu" is any gpu.
bool label_fits(const char *label, const char *required);

// One argument with its {words} replaced, as the runner does it.
void spec_expand(struct text argument, int64_t index, struct text item, struct text file,
                 struct buffer *out);

#endif
