#include "records/items.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    READ_SIZE = 256 << 10,
    JOIN_LINES_MAX = 1 << 18, // Lines of `wanted` that are looked up in one pass over `known`.
};

// Reads the lines of a blob one after another, in bounded memory.
struct line_reader {
    int fd;
    struct buffer buffer;
    size_t at;
    bool is_end;
};

static enum status reader_open(struct blobs *blobs, const struct digest *items,
                               struct line_reader *reader, struct error *error)
{
    int64_t size = 0;
    *reader = (struct line_reader){.fd = -1};
    return blob_open(blobs, items, &reader->fd, &size, error);
}

static void reader_close(struct line_reader *reader)
{
    file_close_local(&reader->fd);
    buffer_done(&reader->buffer);
}

static enum status reader_fill(struct line_reader *reader, struct error *error)
{
    buffer_consume(&reader->buffer, reader->at);
    reader->at = 0;
    if (reader->buffer.length > ITEM_LENGTH_MAX) {
        return error_set(error, INVALID, "an item is longer than %d bytes", ITEM_LENGTH_MAX);
    }
    char *place = buffer_reserve(&reader->buffer, READ_SIZE);
    ssize_t got = read(reader->fd, place, READ_SIZE);
    if (got < 0) {
        return error_set_errno(error, errno, "cannot read the items");
    }
    buffer_advance(&reader->buffer, (size_t)got);
    reader->is_end = got == 0;
    return OK;
}

// The next line; false at the end or on failure (then *status is not OK). Borrowed until the next call.
static bool reader_next(struct line_reader *reader, struct text *line, enum status *status,
                        struct error *error)
{
    for (;;) {
        struct text rest = text_slice(buffer_text(&reader->buffer), reader->at, SIZE_MAX);
        const char *end = rest.length > 0 ? memchr(rest.bytes, '\n', rest.length) : NULL;
        if (end) {
            *line = (struct text){rest.bytes, (size_t)(end - rest.bytes)};
            reader->at += line->length + 1;
            return true;
        }
        if (reader->is_end) {
            *line = rest;
            reader->at = reader->buffer.length;
            return rest.length > 0;
        }
        *status = reader_fill(reader, error);
        if (*status != OK) {
            return false;
        }
    }
}

enum status items_count(struct blobs *blobs, const struct digest *items, int64_t *count,
                        int64_t *size, struct error *error)
{
    AUTO_CLOSE int fd = -1;
    int64_t lines = 0;
    int64_t total = 0;
    char last = '\n';
    TRY(blob_open(blobs, items, &fd, size, error));
    AUTO_FREE char *bytes = memory_new(READ_SIZE, 1);
    for (;;) {
        ssize_t got = read(fd, bytes, READ_SIZE);
        if (got < 0) {
            return error_set_errno(error, errno, "cannot read the items");
        }
        if (got == 0) {
            break;
        }
        for (const char *at = bytes, *end = bytes + got;
             (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
            lines++;
        }
        last = bytes[got - 1];
        total += got;
    }
    *size = total;
    *count = lines + (last != '\n');
    return OK;
}

enum status items_read(struct blobs *blobs, const struct digest *items, int64_t index,
                       struct buffer *out, struct error *error)
{
    struct line_reader reader;
    struct text line;
    TRY(reader_open(blobs, items, &reader, error));
    enum status status = OK;
    bool is_found = false;
    for (int64_t at = 0; !is_found && reader_next(&reader, &line, &status, error); at++) {
        is_found = at == index;
    }
    if (is_found) {
        buffer_append_text(out, line);
    } else if (status == OK) {
        status = error_set(error, NOT_FOUND, "the items have no line %" PRId64, index);
    }
    reader_close(&reader);
    return status;
}

void item_file_write(const struct digest *digest, int64_t size_bytes, int64_t modified_us,
                     int64_t inode, struct text path, struct buffer *out)
{
    char hex[2 * DIGEST_SIZE + 1];
    hex_encode(digest->bytes, DIGEST_SIZE, hex);
    buffer_printf(out, "%s %" PRId64 " %" PRId64 ".%" PRId64 " ", hex, size_bytes, modified_us,
                  inode);
    buffer_append_text(out, path);
    buffer_append_byte(out, '\n');
}

bool item_file_parse(struct text line, struct item_file *out)
{
    struct text size;
    struct text stamp;
    struct text modified;
    struct text rest = line;
    if (!text_next_part(&rest, ' ', &out->digest) || !text_next_part(&rest, ' ', &size) ||
        !text_next_part(&rest, ' ', &stamp) || !text_next_part(&stamp, '.', &modified) ||
        rest.length == 0) {
        return false;
    }
    out->path = rest;
    return out->digest.length == 2 * DIGEST_SIZE && text_to_int64(size, &out->size_bytes) &&
           text_to_int64(modified, &out->modified_us);
}

// What two items must have in common. 128 bits of SHA-256 stand for the line.
static struct digest key_of(struct text line, bool is_files)
{
    struct item_file file;
    if (!is_files || !item_file_parse(line, &file)) {
        return digest_of(line.bytes, line.length);
    }
    struct digest_stream *stream = digest_stream_new();
    digest_stream_update(stream, file.digest.bytes, file.digest.length);
    digest_stream_update(stream, file.path.bytes, file.path.length);
    return digest_stream_finish(stream);
}

struct join_entry {
    uint64_t key[2];
    int64_t last; // Line of `wanted` with this key that came last, plus 1; 0: the entry is empty.
    bool is_found;
};
struct join_table { // Open addressing; lines with equal keys are a list.
    struct join_entry *entries;
    int64_t *before; // By line of this pass: the one before it with the same key, plus 1; 0: none.
    int64_t first;   // Line of `wanted` that this pass began with.
    size_t mask;
};

static struct join_entry *table_slot(const struct join_table *table, const struct digest *digest)
{
    uint64_t key[2];
    memcpy(key, digest->bytes, sizeof key);
    size_t at = key[0] & table->mask;
    while (table->entries[at].last != 0 &&
           (table->entries[at].key[0] != key[0] || table->entries[at].key[1] != key[1])) {
        at = (at + 1) & table->mask;
    }
    return &table->entries[at];
}

static void table_add(struct join_table *table, const struct digest *digest, int64_t index)
{
    struct join_entry *entry = table_slot(table, digest);
    memcpy(entry->key, digest->bytes, sizeof entry->key);
    table->before[index - table->first] = entry->last;
    entry->last = index + 1;
}

static void table_find(const struct join_table *table, const struct digest *digest, int64_t known,
                       void (*found)(void *context, int64_t wanted, int64_t known), void *context)
{
    struct join_entry *entry = table_slot(table, digest);
    if (entry->is_found) {
        return;
    }
    entry->is_found = entry->last != 0;
    for (int64_t at = entry->last; at != 0; at = table->before[at - 1 - table->first]) {
        found(context, at - 1, known);
    }
}

static enum status find_in(struct blobs *blobs, const struct digest *known, bool is_files,
                           const struct join_table *table,
                           void (*found)(void *context, int64_t wanted, int64_t known),
                           void *context, struct error *error)
{
    struct line_reader reader;
    struct text line;
    enum status status = OK;
    TRY(reader_open(blobs, known, &reader, error));
    for (int64_t index = 0; reader_next(&reader, &line, &status, error); index++) {
        struct digest key = key_of(line, is_files);
        table_find(table, &key, index, found, context);
    }
    reader_close(&reader);
    return status;
}

enum status items_join(struct blobs *blobs, const struct digest *wanted, const struct digest *known,
                       bool is_files, void (*found)(void *context, int64_t wanted, int64_t known),
                       void *context, struct error *error)
{
    struct line_reader reader;
    struct text line;
    enum status status = OK;
    TRY(reader_open(blobs, wanted, &reader, error));
    struct join_table table = {.mask = 2 * JOIN_LINES_MAX - 1};
    table.entries = memory_new(2 * JOIN_LINES_MAX, sizeof *table.entries);
    table.before = memory_new(JOIN_LINES_MAX, sizeof *table.before);
    int64_t index = 0;
    bool is_more = true;
    while (is_more && status == OK) {
        table.first = index;
        while (index - table.first < JOIN_LINES_MAX &&
               (is_more = reader_next(&reader, &line, &status, error))) {
            struct digest key = key_of(line, is_files);
            table_add(&table, &key, index++);
        }
        if (status == OK && index > table.first) {
            status = find_in(blobs, known, is_files, &table, found, context, error);
            memset(table.entries, 0, 2 * JOIN_LINES_MAX * sizeof *table.entries);
        }
    }
    free(table.entries);
    free(table.before);
    reader_close(&reader);
    return status;
}
