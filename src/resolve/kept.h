// What a site keeps of the answers about one name: pure.
//
// A hub that has only a part of the logs answers with fewer replicas than there are. What a newer answer merely omits is therefore kept beside it, with when it was last told,
// and counts when no hub answers; what a newer entry of the same site says takes its place.
#ifndef LODE_RESOLVE_KEPT_H
#define LODE_RESOLVE_KEPT_H

#include "resolve/resolve.h"

struct kept {
    struct location *now; // Of the newest answer.
    size_t now_count;
    struct location *omitted; // Of older ones; `told_us` says when.
    size_t omitted_count;
    int64_t
        catching_up; // As the newest answer was given, of so many sites' logs entries were lacking.
};

// Reads what kept_write wrote; what cannot be read or does not verify any more is as good as not kept. Lives in the arena.
void kept_read(struct text document, struct text name, struct arena *arena, struct kept *out);
// Of each location what is signed, and how to reach and verify it. The rest would be old news.
void kept_write(const struct kept *kept, struct buffer *out);
// Puts in those of `more` that are newer than what the same site has in kept->now, or new, which has room for RESOLVE_LOCATIONS_MAX.
void kept_merge(struct kept *kept, const struct location *more, size_t count);
// Has kept->now not all sites of before->now?
bool kept_omits(const struct kept *kept, const struct kept *before);
// What `before`, the newest answer of which is of `answered_us`, had and kept->now has not becomes kept->omitted, in the arena.
void kept_keep(struct kept *kept, const struct kept *before, int64_t answered_us,
               struct arena *arena);

#endif
