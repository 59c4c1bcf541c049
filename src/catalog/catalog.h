// The catalogue of a site: datasets registered where they lie, with the checksum of every file.
//
// Registering writes one durable row and returns; a thread of the catalogue then surveys the dataset: it walks the registered
// paths and checksums what it finds, in batches that are durable, so that it goes on after a crash where it was. A file
// whose size, time and inode are as registered is not read again. Verifying is the same survey with another judgement. Nothing
// is ever copied or written beside the data.
//
// What belongs to a dataset: every regular file below the registered paths, hidden ones too. A symbolic link counts as the file or
// folder that it leads to, as long as that lies in the same registered folder and the link is relative (so that it also holds where
// the folder is bound elsewhere); links that leave, dangle or go round in circles, special files, and names that are not UTF-8 or have
// control characters fail the registration, naming the first.
//
// All functions may block for the database or the disk, and may be called from any thread but the store's writer.
#ifndef LODE_CATALOG_CATALOG_H
#define LODE_CATALOG_CATALOG_H

#include "base/arena.h"
#include "catalog/identifier.h"
#include "crypto/digest.h"
#include "store/store.h"

struct catalog;

enum {
    CATALOG_ROOTS_MAX = 1000,
    CATALOG_ALIASES_MAX = 100,
    CATALOG_TITLE_MAX = 500,
    CATALOG_PATH_MAX = 4095, // Bytes of a registered path, and of a file's path in its dataset.
    CATALOG_PAGE_MAX = 1000,
};

struct dataset;

// Who is told of the datasets as others may know them, whenever that changes: a dataset became available, or again, or changed, got aliases,
// was removed. Called on the writer's thread within the transaction of the change, so that neither is there without the other; a failure is that of the
// change. The same may be told twice.
struct catalog_publisher {
    enum status (*dataset)(void *context, struct sql *sql, const struct dataset *dataset,
                           struct error *error);
    enum status (*removal)(void *context, struct sql *sql, const char *id, struct error *error);
    void *context;
};

struct catalog_options {
    struct store *store;                       // Opened with CATALOG_MIGRATIONS; borrowed.
    const struct catalog_publisher *publisher; // Borrowed. May be NULL.
    // Asked before a dataset is forgotten: CONFLICT, naming the job, while one that has not ended uses it. May be NULL.
    enum status (*check_unused)(void *context, const char *id, struct error *error);
    // Told of failures of the survey that are not the data's fault (a full disk); it tries again. May be NULL.
    void (*report)(void *context, const struct error *error);
    void *context;
};

// Starts the catalogue, which goes on with what was under way.
enum status catalog_open(const struct catalog_options *options, struct catalog **out,
                         struct error *error);
// Stops; what is under way goes on at the next start. Waiters that are left are dropped. NULL is allowed.
void catalog_close(struct catalog *catalog);

enum dataset_state {
    DATASET_REGISTERING, // Under survey for the first time; file_count and size_bytes are not known yet.
    DATASET_AVAILABLE, // All files have checksums.
    DATASET_VERIFYING, // Under survey again.
    DATASET_CHANGED,   // Some file is not as registered; `problem` names the first.
    DATASET_FAILED,    // It could not be registered; `problem` says why. Registering again resumes.
};
// "registering" ...; a static string.
const char *dataset_state_name(enum dataset_state state);

struct dataset_root {
    const char *path; // Absolute, without symbolic links.
    const char *
        mount; // Below /data/<name>: the last part of the path as it was given; "" for a folder that is the only root.
    bool is_folder;
    const char *tier;  // "online"
    const char *state; // "available"
};

struct dataset_progress {
    int64_t files_done;
    int64_t files_total; // As far as the walk has come.
    int64_t bytes_done;
    int64_t bytes_total;
};

// A dataset as it was when it was asked for; its texts live in the caller's arena.
struct dataset {
    int64_t number; // Never used twice.
    const char *id;
    const char **aliases; // Without the id.
    size_t alias_count;
    const char *title;
    const char *owner;
    enum dataset_state state;
    const char *problem; // "" when there is none.
    const char *fix;
    struct dataset_root *roots;
    size_t root_count;
    int64_t file_count;
    int64_t size_bytes;
    int64_t registered_us;
    bool has_digest;
    struct digest
        digest; // Names the content: SHA-256 over "<sha256 hex> <size> <path>\n" of all files by path.
    struct dataset_progress progress;
};

// What is written together with a change of a dataset, so that neither is there without the other: an entry of the audit log. Its
// failure is that of the change. NULL as `write`: nothing.
struct catalog_witness {
    store_write_fn *write;
    void *context;
};

struct dataset_request {
    struct text id;
    const struct text *paths; // Files and folders.
    size_t path_count;
    const struct text *aliases;
    size_t alias_count;
    struct text title;
    struct text owner;
    struct catalog_witness witness;
};

// Registers, or resumes. *is_new says whether the dataset was not known. INVALID for a bad identifier, a path that is not
// absolute or has "..", two paths with one name; NOT_FOUND or DENIED for a path that is not there or not readable. CONFLICT when the
// id is registered with other paths (remove it first: what is registered never changes its meaning silently), or when the id or an
// alias belongs to another dataset, naming that. Registering the same again adds the new aliases, resumes one that failed and leaves
// others as they are.
enum status catalog_register(struct catalog *catalog, const struct dataset_request *request,
                             bool *is_new, struct error *error);

// Finds by the id or any alias. NOT_FOUND names it.
enum status catalog_find(struct catalog *catalog, struct text id, struct arena *arena,
                         struct dataset *out, struct error *error);

// Up to `limit` datasets whose id starts with `prefix`, by id, behind the id `after` (empty: from the start). Without roots.
enum status catalog_list(struct catalog *catalog, struct text prefix, struct text after,
                         size_t limit, struct arena *arena, struct dataset *out, size_t *count,
                         struct error *error);

// Looks at all files again: quick looks at size, time and inode, and reads a file only where size fits and the others do not; full reads
// all. With `accept_changes` what is there now is what is registered. CONFLICT while a survey is under way or none ever succeeded.
struct catalog_verify {
    bool is_full;
    bool accept_changes;
    struct catalog_witness witness;
};
enum status catalog_verify(struct catalog *catalog, struct text id, struct catalog_verify how,
                           struct error *error);

// Is something registered at this path, or below it?
enum status catalog_has_root(struct catalog *catalog, struct text path, bool *out,
                             struct error *error);

// Forgets the registration; the files stay.
enum status catalog_remove(struct catalog *catalog, struct text id, struct catalog_witness witness,
                           struct error *error);

enum dataset_file_state {
    DATASET_FILE_NEW, // Found, without a checksum yet; after a verification: it was not registered.
    DATASET_FILE_OK,
    DATASET_FILE_CHANGED,
    DATASET_FILE_MISSING,
    DATASET_FILE_UNREADABLE,
};
const char *dataset_file_state_name(enum dataset_file_state state);

// A file as it is registered.
struct dataset_file {
    const char *path; // Below /data/<name>.
    size_t root;      // Index into the dataset's roots.
    int64_t size_bytes;
    int64_t modified_us;
    int64_t changed_us; // As the system keeps it, for any change of the file (ctime).
    int64_t inode;
    bool has_digest;
    struct digest digest;
    enum dataset_file_state state;
};

// Up to `limit` files, by path (bytewise), behind the path `after` (empty: from the start). Memory is that of one page.
enum status catalog_files(struct catalog *catalog, int64_t number, struct text after, size_t limit,
                          struct arena *arena, struct dataset_file *out, size_t *count,
                          struct error *error);

// The absolute path of a file of the dataset.
const char *catalog_file_source(const struct dataset *dataset, const struct dataset_file *file,
                                struct arena *arena);

// Opens a file of the dataset for reading, strictly below its root; *fd is the caller's. INVALID for a path that is absolute, has
// ".." or control characters; NOT_FOUND when it is not registered or gone; CONFLICT when its size, time or inode are not
// as registered.
enum status catalog_open_file(struct catalog *catalog, const struct dataset *dataset,
                              struct text path, int *fd, struct dataset_file *out,
                              struct arena *arena, struct error *error);

// What files and folders were at one moment. When two looks have the same state, and the first was settled, nothing was touched
// between them: no file was written, replaced, renamed, added or removed, and put back as it was either.
struct dataset_look {
    uint64_t state; // Of the inodes and change times of all files and folders.
    bool
        is_settled; // No change after the look can leave the state as it is: nothing was touched just before it.
};

// For jobs. The dataset by any alias when it is available; CONFLICT says what it waits for, or what is wrong, and the way out.
enum status catalog_resolve_for_job(struct catalog *catalog, struct text id, struct arena *arena,
                                    struct dataset *out, struct error *error);
// Looks at all files of an available dataset now: OK when size, time and inode are as registered, or, where only time or inode differ,
// when the checksum is (the new ones are then registered), and no other file lies beside them. CONFLICT names the first that is
// changed, missing or new; the dataset is then in state changed. *look is how it was before that.
enum status catalog_check_files(struct catalog *catalog, const struct dataset *dataset,
                                struct dataset_look *look, struct error *error);
// The same look alone: no file is read, nothing is judged. INVALID, NOT_FOUND and DENIED as of walk_folder.
enum status catalog_look(struct catalog *catalog, const struct dataset *dataset,
                         struct dataset_look *look, struct error *error);

// Tells the publisher of all datasets that are available or changed, step by step.
enum status catalog_publish_all(struct catalog *catalog, struct error *error);

// Waiting for a change. A ticket taken before the dataset was looked at makes sure that none is missed: `wake` is called once, on a
// thread of the catalogue, when progress or state of any dataset under survey changed since the ticket, or `deadline_us` (steady clock)
// has come. It may be called before catalog_watch returns.
int64_t catalog_ticket(struct catalog *catalog);
void catalog_watch(struct catalog *catalog, int64_t ticket, int64_t deadline_us,
                   void (*wake)(void *context), void *context);
// Wakes all waiters now and every later one at once: to be called before the server that they answer to stops.
void catalog_wake_all(struct catalog *catalog);

#endif
