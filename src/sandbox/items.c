#include "sandbox/items.h"

#include "base/memory.h"
#include "os/file.h"
#include "sandbox/runner_protocol.h"

#include <errno.h>
#include <fcntl.h>

enum { BLOCK = 64 << 10 };

struct item_list {
    int fd;
    int64_t size;
    int64_t count;
    int64_t *starts; // Of lines 0, STEP, 2 STEP, ...
    size_t start_count;
    size_t start_capacity;
};

static void add_start(struct item_list *items, int64_t offset)
{
    if (items->start_count == items->start_capacity) {
        items->start_capacity = items->start_capacity ? items->start_capacity * 2 : 64;
        items->starts = memory_resize(items->starts, items->start_capacity, sizeof *items->starts);
    }
    items->starts[items->start_count++] = offset;
}

static ssize_t read_block(const struct item_list *items, char *block, int64_t at)
{
    ssize_t got = 0;
    do {
        got = pread(items->fd, block, BLOCK, at);
    } while (got < 0 && errno == EINTR);
    return got;
}

static enum status make_index(struct item_list *items, struct error *error)
{
    AUTO_FREE char *block = memory_new(BLOCK, 1);
    int64_t line_start = 0;
    for (ssize_t got = 1; got > 0; items->size += got) {
        got = read_block(items, block, items->size);
        if (got < 0) {
            return error_set_errno(error, errno, "cannot read the items");
        }
        struct text text = {block, (size_t)got};
        for (size_t end = text_find_byte(text, 0, '\n'); end < text.length;
             end = text_find_byte(text, end + 1, '\n')) {
            if (items->count++ % ITEMS_INDEX_STEP == 0) {
                add_start(items, line_start);
            }
            line_start = items->size + (int64_t)end + 1;
        }
        if (items->size + got - line_start > RUNNER_ITEM_MAX) {
            return error_set(error, CORRUPT, "item %lld has more than %d bytes",
                             (long long)items->count, RUNNER_ITEM_MAX);
        }
    }
    if (line_start < items->size && items->count++ % ITEMS_INDEX_STEP == 0) {
        add_start(items, line_start);
    }
    return OK;
}

enum status item_list_open(const char *path, struct item_list **out, struct error *error)
{
    struct item_list *items = NEW(struct item_list);
    items->fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status status = items->fd < 0 ? error_set_errno(error, errno, "cannot open %s", path)
                                       : make_index(items, error);
    if (status != OK) {
        item_list_free(items);
        return status;
    }
    *out = items;
    return OK;
}

void item_list_free(struct item_list *items)
{
    if (items) {
        file_close_local(&items->fd);
        free(items->starts);
        free(items);
    }
}

int64_t item_list_count(const struct item_list *items)
{
    return items->count;
}

// Moves the cursor forward to the start of line `from`.
static enum status seek_line(struct item_list *items, struct items_cursor *cursor, int64_t from,
                             struct error *error)
{
    int64_t step = from / ITEMS_INDEX_STEP;
    if (cursor->index > from || cursor->index < step * ITEMS_INDEX_STEP) {
        *cursor = (struct items_cursor){step * ITEMS_INDEX_STEP, items->starts[step]};
    }
    AUTO_FREE char *block = memory_new(BLOCK, 1);
    while (cursor->index < from) {
        ssize_t got = read_block(items, block, cursor->offset);
        if (got <= 0) {
            return error_set(error, CORRUPT, "the items end before item %lld", (long long)from);
        }
        struct text text = {block, (size_t)got};
        size_t at = 0;
        while (cursor->index < from && text_find_byte(text, at, '\n') < text.length) {
            at = text_find_byte(text, at, '\n') + 1;
            cursor->index++;
        }
        cursor->offset += cursor->index < from ? got : (ssize_t)at;
    }
    return OK;
}

enum status item_list_read(struct item_list *items, struct items_cursor *cursor, int64_t from,
                           int64_t to, size_t bytes_max, struct buffer *out, int64_t *next,
                           struct error *error)
{
    if (from < 0 || from >= items->count) {
        return error_set(error, NOT_FOUND, "there is no item %lld among %lld", (long long)from,
                         (long long)items->count);
    }
    TRY(seek_line(items, cursor, from, error));
    AUTO_FREE char *block = memory_new(BLOCK, 1);
    int64_t index = from;
    int64_t offset = cursor->offset;
    size_t before = out->length;
    size_t line_at = out->length; // Where the line that is being read starts in `out`.
    while (index < to && index < items->count) {
        ssize_t got = read_block(items, block, offset);
        if (got < 0) {
            return error_set_errno(error, errno, "cannot read the items");
        }
        if (got == 0) { // The last line has no line feed.
            buffer_append_byte(out, '\n');
            index++;
            line_at = out->length;
            break;
        }
        struct text text = {block, (size_t)got};
        size_t at = 0;
        bool is_full = false;
        for (size_t end = text_find_byte(text, 0, '\n'); end < text.length && index < to;
             end = text_find_byte(text, at, '\n')) {
            size_t length = line_at - before + (out->length - line_at) + (end + 1 - at);
            if (index > from && length > bytes_max) {
                is_full = true;
                break;
            }
            buffer_append_text(out, text_slice(text, at, end + 1));
            line_at = out->length;
            at = end + 1;
            index++;
        }
        if (is_full || index >= to) {
            break;
        }
        buffer_append_text(out, text_slice(text, at, text.length));
        offset += got;
        if (index > from && out->length - before > bytes_max) {
            break;
        }
    }
    out->length = line_at;
    cursor->index = index;
    cursor->offset += (int64_t)(line_at - before);
    if (cursor->offset > items->size) {
        cursor->offset = items->size;
    }
    *next = index;
    return OK;
}

static bool parse_stamp(struct text stamp, struct item_line *out)
{
    struct text modified;
    out->inode = 0;
    return text_next_part(&stamp, '.', &modified) && text_to_int64(modified, &out->modified_us) &&
           (!stamp.bytes || text_to_int64(stamp, &out->inode));
}

bool item_line_parse(struct text line, struct item_line *out)
{
    struct text rest = line;
    struct text digest;
    struct text size;
    struct text stamp;
    if (!text_next_part(&rest, ' ', &digest) ||
        digest_from_text(digest, &out->digest, NULL) != OK || !text_next_part(&rest, ' ', &size) ||
        !text_to_int64(size, &out->size) || out->size < 0 || !text_next_part(&rest, ' ', &stamp) ||
        !parse_stamp(stamp, out) || rest.length == 0) {
        return false;
    }
    out->path = rest;
    struct text parts = rest;
    for (struct text part; text_next_part(&parts, '/', &part);) {
        if (part.length == 0 || text_equal(part, TEXT(".")) || text_equal(part, TEXT(".."))) {
            return false;
        }
    }
    return rest.bytes[rest.length - 1] != '/' && !text_contains_byte(rest, '\0');
}
