// The items of a job: a file with one item a line, read from any index on without keeping it in memory.
#ifndef LODE_SANDBOX_ITEMS_H
#define LODE_SANDBOX_ITEMS_H

#include "base/buffer.h"
#include "crypto/digest.h"

enum { ITEMS_INDEX_STEP = 1024 };

struct item_list;

// Reads the file once and remembers where every ITEMS_INDEX_STEP-th line starts. A last line without a line feed counts. CORRUPT when
// a line is longer than RUNNER_ITEM_MAX. *out is the caller's (item_list_free).
enum status item_list_open(const char *path, struct item_list **out, struct error *error);
void item_list_free(struct item_list *items);
int64_t item_list_count(const struct item_list *items);

// Where a reader is. {0} is the start.
struct items_cursor {
    int64_t index;
    int64_t offset;
};

// Appends whole lines (each with its line feed) from index `from` on: at least one, then as many as fit into `bytes_max`, at most up
// to index `to`. *next is the index after the last. NOT_FOUND when there is no item `from`.
enum status item_list_read(struct item_list *items, struct items_cursor *cursor, int64_t from,
                           int64_t to, size_t bytes_max, struct buffer *out, int64_t *next,
                           struct error *error);

// A file of an index set over files. The path, borrowed from the line, leads below the data.
struct item_line {
    struct digest digest;
    int64_t size;
    int64_t modified_us;
    int64_t inode; // 0: not known
    struct text path;
};

// "<64 digits> <size> <modified_us>.<inode> <path>", without its line feed; false for anything else. A line without inode is one of an earlier version.
bool item_line_parse(struct text line, struct item_line *out);

#endif
