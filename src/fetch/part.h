// A file on its way into the input cache: how much of it is here, and the digest over that.
//
// It is read on in turns, so that a large file does not hold up the worker's loop.
#ifndef LODE_FETCH_PART_H
#define LODE_FETCH_PART_H

#include "base/text.h"
#include "fetch/input_cache.h"

// Embedded in what fetches it.
struct part {
    struct input_cache *cache;
    struct digest digest; // What the file is to have.
    int64_t size;         // What it is to have.
    int fd;               // Of the part, or of the whole file that is looked at; -1: not open.
    struct digest_stream *hash;
    int64_t have;     // Bytes that are in `hash`.
    int64_t there;    // Bytes in the file when it was opened.
    int64_t reserved; // In the cache, for this one.
    bool is_held;     // In the cache: it is to be told when it is left.
};

void part_init(struct part *part, struct input_cache *cache, const struct digest *digest,
               int64_t size);
// Leaves it: what has come stays in the cache for a while.
void part_close(struct part *part);

// Opens what has come of it, with room for the whole; part_read_on to `there` then takes that up. QUOTA: no room.
enum status part_open(struct part *part, struct error *error);
// Opens the whole file that the cache has, to be read to its end.
enum status part_open_whole(struct part *part, struct error *error);

enum part_read {
    PART_READ_MORE, // Not yet at the end.
    PART_READ_ALL,
    PART_READ_FAILED,
};
// Reads on for the digest, at most to byte `end`, a bounded number of bytes a call.
enum part_read part_read_on(struct part *part, int64_t end);
// Puts the next bytes behind those that are there.
enum status part_append(struct part *part, struct text bytes, struct error *error);
// What has come is of no use: the next one begins anew.
enum status part_empty(struct part *part, struct error *error);
// Has it the content that it is to have? Ends the digest: nothing is read or appended afterwards.
bool part_is_right(struct part *part);
// It is right: it is a file of the cache from now on.
enum status part_keep(struct part *part, int64_t modified_us, struct error *error);

#endif
