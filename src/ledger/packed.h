// An entry in a third of its bytes, for the index: what the key, the site's number and the canonical form tell is left out.
#ifndef LODE_LEDGER_PACKED_H
#define LODE_LEDGER_PACKED_H

#include "ledger/entry.h"

// Appends the packed form of a dataset's entry. What would not come out the same is kept as it is.
void packed_write(const struct entry *entry, struct buffer *out);

// What is not left out, without unpacking. CORRUPT when it is no packed entry.
struct packed {
    struct text bytes;
    int64_t epoch;
    int64_t serial;
    struct text aliases; // The canonical array; see entry_next_string.
};
enum status packed_read(struct text bytes, struct packed *out, struct error *error);

// Appends the entry as it was signed: canonical, with its signature. `id` is its identifier, `site` who signed it. CORRUPT.
enum status packed_unpack(struct text bytes, struct text id, const struct fingerprint *site,
                          struct buffer *out, struct error *error);

#endif
