// The files that a worker has fetched, by digest: kept over restarts, given out as hard links, and removed when others need the room.
//
// FOLDER/<64 digits> is a whole file, verified when it came; FOLDER/parts/<64 digits> is what has come of one. A file that something
// links to is in use and stays. What the folder has from an earlier life, and what was touched since, is doubtful until its content was
// looked at again.
#ifndef LODE_FETCH_INPUT_CACHE_H
#define LODE_FETCH_INPUT_CACHE_H

#include "base/status.h"
#include "crypto/digest.h"

// Files are removed until so much of the whole is used, when it would be more than the whole: not one by one.
enum { INPUT_CACHE_LOW_PERCENT = 80 };

struct input_cache;

enum status input_cache_open(const char *folder, int64_t size_max, struct input_cache **out,
                             struct error *error);
void input_cache_free(struct input_cache *cache);

int64_t input_cache_size_max(const struct input_cache *cache);
// Bytes of files, of what is on its way, as reserved, and of what has come of files that nobody fetches any more.
int64_t input_cache_used(const struct input_cache *cache);

enum cached {
    CACHED_NOT,
    CACHED_DOUBTFUL, // To be read, and input_cache_judge told.
    CACHED,
};
enum cached input_cache_find(struct input_cache *cache, const struct digest *digest);
// For reading; *fd is the caller's.
enum status input_cache_open_file(const struct input_cache *cache, const struct digest *digest,
                                  int *fd, struct error *error);
// What was doubtful is what its name says, or is removed.
void input_cache_judge(struct input_cache *cache, const struct digest *digest, bool is_good);
// Makes `path` a name of the file, which counts as used now; *modified_us is its time of modification. CORRUPT: it is gone, or was touched.
enum status input_cache_link(struct input_cache *cache, const struct digest *digest,
                             const char *path, int64_t *modified_us, struct error *error);

// Room for `bytes` more: removes files that are not in use, those used longest ago first. QUOTA when there is none.
enum status input_cache_reserve(struct input_cache *cache, int64_t bytes, struct error *error);
// It is not needed any more, or has become a file's.
void input_cache_release(struct input_cache *cache, int64_t bytes);

// What has come of a file: *fd for reading and writing is the caller's, *have the bytes in it. It stays until input_cache_keep, or input_cache_leave_part,
// after which it may be removed for the room.
enum status input_cache_open_part(struct input_cache *cache, const struct digest *digest, int *fd,
                                  int64_t *have, struct error *error);
void input_cache_leave_part(struct input_cache *cache, const struct digest *digest);
// The part is whole and right: it is a file from now on. Takes over `size` of what was reserved.
enum status input_cache_keep(struct input_cache *cache, const struct digest *digest, int64_t size,
                             int64_t modified_us, struct error *error);

#endif
