// The chain of a log: each value covers all entries up to its own (docs/protocols/federation.md, "The catalogue log").
#ifndef LODE_LEDGER_CHAIN_H
#define LODE_LEDGER_CHAIN_H

#include "crypto/digest.h"

// The chain value behind an entry, given the one before it (zeros before the first).
static inline struct digest chain_next(const struct digest *before, struct text entry)
{
    struct digest both[2] = {*before, digest_of(entry.bytes, entry.length)};
    return digest_of(both, sizeof both);
}

#endif
