// A line of a log read straight from its canonical text, without building a tree: a hub reads millions of them.
//
// What is accepted here is canonical: written again by statement_write_canonical it is the same bytes. (The other way round there is one
// exception: names of members with escapes in them are refused.)
#ifndef LODE_LEDGER_ENTRY_H
#define LODE_LEDGER_ENTRY_H

#include "base/buffer.h"
#include "ledger/statement.h"

enum {
    ENTRY_NAME_MAX = 2048, // Bytes of an identifier.
    ENTRY_ALIASES_MAX = 100,
};

enum entry_kind { ENTRY_DATASET, ENTRY_REMOVAL, ENTRY_HEAD };

// The members that a line of a log may have, in canonical order.
enum entry_member {
    MEMBER_ALIASES,
    MEMBER_DIGEST,
    MEMBER_EPOCH,
    MEMBER_FILE_COUNT,
    MEMBER_HEAD,
    MEMBER_ID,
    MEMBER_KIND,
    MEMBER_PREVIOUS,
    MEMBER_SERIAL,
    MEMBER_SIGNATURE,
    MEMBER_SITE,
    MEMBER_SIZE_BYTES,
    MEMBER_STATE,
    MEMBER_TIER,
    MEMBER_TIME,
    MEMBER_TITLE,
    ENTRY_MEMBERS,
};

struct entry {
    enum entry_kind kind;
    struct text line;
    struct text members[ENTRY_MEMBERS]; // Each value as it is written; empty: it is not there.
    bool has_others;                    // There are members of other names.
    int64_t epoch;
    int64_t serial;
    int64_t
        previous; // The serial of the entry before about the same dataset; 0: there is none; -1: it is not told.
};

// Reads one line, without its line end. CORRUPT, saying what is wrong, for what is not canonical, has members missing or of a wrong type, or passes
// a limit; the signature is not looked at. The texts are borrowed from the line.
enum status entry_scan(struct text line, struct entry *out, struct error *error);

// The value of a member that is a string, without the quotes and still escaped; empty for null.
struct text entry_raw_text(const struct entry *entry, enum entry_member member);

// Undoes the escapes of a name (at most ENTRY_NAME_MAX bytes): the text itself when there are none, else what it stands for in `scratch`, which holds
// ENTRY_NAME_MAX bytes. A longer text comes back as it is.
struct text entry_unescape(struct text raw, char *scratch);

// Takes the next string, still escaped, off an array's text, which is consumed from its front; false at the end.
bool entry_next_string(struct text *array, struct text *raw);

#endif
