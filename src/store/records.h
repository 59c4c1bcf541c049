// A value that is a set of small records, for an ordered map that combines: many writers each put their own record under one
// key without reading what the others put, and one look-up finds them all.
//
// The same bytes serve as value and as change: records in the order of their keys, each key once. A record is the length of its key (1
// byte), the length of its value (3 bytes, big-endian; all bits set: the record is removed, and has no value), the key, the value.
#ifndef LODE_STORE_RECORDS_H
#define LODE_STORE_RECORDS_H

#include "base/buffer.h"

enum { RECORD_KEY_MAX = 255, RECORD_VALUE_MAX = (1 << 24) - 2, RECORD_HEAD_SIZE = 4 };

struct record {
    struct text key;   // Ordered bytewise, a prefix before what it is a prefix of. Not empty.
    struct text value; // Empty when it is removed.
    bool is_removed;
};

// Appends the record: one that is put, or the removal of one, which may not be there. A change of several is made by appending in the order of their keys.
void records_append(struct buffer *out, const struct record *record);

// Cuts the first record off *rest; the texts are borrowed from it. NOT_FOUND at the end, CORRUPT when what is there is no record.
enum status records_next(struct text *rest, struct record *out);

// The record of this key. NOT_FOUND (also when it is removed), CORRUPT.
enum status records_find(struct text records, struct text key, struct record *out);

// Combines sets of records, the oldest first: of each key the record of the latest set that has it. An ordered_combine_fn.
bool records_combine(const struct text *sets, size_t count, bool is_whole, struct buffer *out);

#endif
