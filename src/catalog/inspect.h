// Looks at one file: is it as it was registered, by size, time and inode, then by checksum?
#ifndef LODE_CATALOG_INSPECT_H
#define LODE_CATALOG_INSPECT_H

#include "catalog/catalog.h"
#include "catalog/meter.h"

struct file_facts {
    int64_t size_bytes;
    int64_t modified_us;
    int64_t changed_us; // Of content, owner, mode or links (ctime): nobody can set it back.
    int64_t inode;
    bool has_digest;
    struct digest digest;
};

struct inspection {
    enum dataset_file_state state; // OK, CHANGED (`now` has the new facts), MISSING or UNREADABLE
    bool is_hashed;                // `now` is complete: facts and checksum belong together.
    struct file_facts now;
    char problem[ERROR_DETAIL_MAX]; // Why it is not OK, without the file's name; "" when it is.
};

// When to read the file, other than when it has no checksum yet or its facts differ.
enum inspect_mode {
    INSPECT_QUICK,  // Never when the size differs: it is changed anyway.
    INSPECT_ACCEPT, // Also when the size differs: what is there is to be registered.
    INSPECT_FULL,   // Always.
};

// Looks at `path` below the open folder. Differing in times and inode alone, with the checksum that it had, is OK with is_hashed. Reading is
// repeated when the file changed meanwhile; one that never rests is UNREADABLE. One that was changed a moment
// ago has 0 as its new change time. Bytes that are done with are counted in the meter.
// TIMEOUT when the meter's is_stopped was set; all else is told in *out.
enum status inspect_file(int folder_fd, const char *path, const struct file_facts *registered,
                         enum inspect_mode mode, struct meter *meter, struct inspection *out,
                         struct error *error);

// What stat tells that is registered.
struct stat;
struct file_facts file_facts_of(const struct stat *info);
bool file_facts_fit(const struct file_facts *a, const struct file_facts *b);
// Does every change from `now_us` (wall clock) on give the file or folder another change time than it has?
bool is_settled(const struct stat *info, int64_t now_us);

#endif
