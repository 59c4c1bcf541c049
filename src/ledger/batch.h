// Batches of a log, verified as they are read: what a receiver refuses (docs/protocols/federation.md) is refused here.
#ifndef LODE_LEDGER_BATCH_H
#define LODE_LEDGER_BATCH_H

#include "ledger/entry.h"
#include "ledger/ledger.h"

// Whose log it is.
struct batch_source {
    struct public_key key;
    struct fingerprint site;
};

struct batch {
    struct text text;           // The head and its entries, each with its line end.
    struct text head;           // The head's line, without.
    struct ledger_position end; // What the head says.
    int64_t first;              // The serial of its first entry; 0: it has none.
    size_t count;               // Of entries.
    bool
        is_fresh; // It brings the log forward; else all of it is here, up to `end`, whose head the caller compares.
};

// Reads the next batch off the front of *rest, for a receiver who has everything up to `have` (epoch 0: nothing). CONFLICT when there is a gap
// between the two; CORRUPT, naming site, epoch and serial, for everything that is a lie or damage. *rest is unchanged then.
enum status batch_read(struct text *rest, const struct batch_source *source,
                       const struct ledger_position *have, struct batch *out, struct error *error);

// Takes the next line, without its line end, off the front of a batch's text; false at the end.
bool batch_next_line(struct text *rest, struct text *line);

#endif
