// What is asked of the catalogue: a table of functions that the program passes in.
#ifndef LODE_PREPARE_CATALOG_OPS_H
#define LODE_PREPARE_CATALOG_OPS_H

#include "base/arena.h"
#include "base/status.h"
#include "crypto/digest.h"

struct prepare_root {
    const char *path;  // On this machine.
    const char *mount; // Where it is bound below /data/<name>; "" at its top.
    const char *kind;  // "folder" or "file"
};

struct prepare_dataset {
    const char *id;       // The identifier that it was registered by.
    struct digest digest; // Of its content: paths, sizes, digests.
    int64_t file_count;
    int64_t size_bytes;
    struct prepare_root *roots;
    size_t root_count;
};

struct prepare_file {
    struct text path;   // As a task sees it below /data/<name>, with the mount.
    struct text source; // On this machine.
    int64_t size_bytes;
    int64_t modified_us;
    int64_t inode;
    struct digest digest;
};

// What the files and folders of data were at one moment. Where two looks have the same state, and the first was settled, nothing was
// touched between them. States of several datasets are added up.
struct prepare_look {
    uint64_t state;
    bool is_settled; // A touch after the look always shows in the next one.
};

// All functions may block, run on any thread but the store's writer, and several at once.
struct prepare_catalog_ops {
    // The dataset of this identifier or alias; texts in `arena`. NOT_FOUND when there is none; CONFLICT, with the way out, when
    // it cannot be used now (registering, changed, failed).
    enum status (*resolve)(void *context, const char *id, struct arena *arena,
                           struct prepare_dataset *out, struct error *error);
    // Looks at size, time and inode of all its files, and at the checksum of those that differ. CONFLICT names the first that
    // changed or is missing, and `lode data verify ID`. *look is how they were just before.
    enum status (*check)(void *context, const char *id, struct prepare_look *look,
                         struct error *error);
    // The same look alone: nothing is read or judged. Any failure when the dataset cannot be used now, or looked at.
    enum status (*look)(void *context, const char *id, struct prepare_look *look,
                        struct error *error);
    // Visits its files in order of path; stops when `visit` answers not OK, with that status.
    enum status (*each_file)(void *context, const char *id,
                             enum status (*visit)(void *visitor, const struct prepare_file *file,
                                                  struct error *error),
                             void *visitor, struct error *error);
};

#endif
