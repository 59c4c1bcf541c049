// Index sets made of lines: blobs with one item a line, and what two of them have in common.
#ifndef LODE_RECORDS_ITEMS_H
#define LODE_RECORDS_ITEMS_H

#include "base/buffer.h"
#include "store/blobs.h"

enum { ITEM_LENGTH_MAX = 1 << 20 };

// How many lines the blob has; a last one without a line end counts.
enum status items_count(struct blobs *blobs, const struct digest *items, int64_t *count,
                        int64_t *size, struct error *error);

// Line `index` of the blob, without its end. NOT_FOUND when there are not so many.
enum status items_read(struct blobs *blobs, const struct digest *items, int64_t index,
                       struct buffer *out, struct error *error);

// Appends the line of a file: "<sha256 hex> <size> <modified_us>.<inode> <path>". The path has no line break.
void item_file_write(const struct digest *digest, int64_t size_bytes, int64_t modified_us,
                     int64_t inode, struct text path, struct buffer *out);
// The parts of a line of kind `files`; false when it is none. In lines of earlier versions there is no inode.
struct item_file {
    struct text digest; // Hexadecimal.
    int64_t size_bytes;
    int64_t modified_us;
    struct text path;
};
bool item_file_parse(struct text line, struct item_file *out);

// Calls `found` for each line of `wanted` that `known` has too, with the index in both, in no order; a line that is there
// more than once in `known` is found at one of its places. Of kind `files`, content and path decide.
enum status items_join(struct blobs *blobs, const struct digest *wanted, const struct digest *known,
                       bool is_files, void (*found)(void *context, int64_t wanted, int64_t known),
                       void *context, struct error *error);

#endif
