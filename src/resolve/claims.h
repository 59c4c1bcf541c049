// Any site may say that it has a dataset of any name: which of those that do say the same, and which something else?
#ifndef LODE_RESOLVE_CLAIMS_H
#define LODE_RESOLVE_CLAIMS_H

#include "resolve/resolve.h"

// Two sites that say different content of one name. Borrowed from the locations.
struct claims {
    const struct location *
        first; // The one that said it first, by the time in its entry: its own clock's, so a hint and no proof.
    const struct location *
        other; // Of those that say something else, the one that said so first; NULL: there is none.
};

// Compares what counts: entries with a digest whose replica is not changed or lost, wherever the site is now. Not those of denied sites; and those of pending ones only when there are no others,
// so that a site that nobody has accepted cannot cast doubt on what the rest says. Both are NULL when none counts.
struct claims claims_compare(const struct location *locations, size_t count);

// Sets CONFLICT: who says what since when about the dataset, and the way out.
enum status claims_refuse(const struct claims *claims, const char *id, struct error *error);

#endif
