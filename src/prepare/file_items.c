#include "prepare/file_items.h"

#include "records/items.h"

enum { WRITE_SIZE = 256 << 10 };

struct files_writer {
    struct blob_writer *writer;
    struct buffer lines;
    int64_t count;
};

static enum status flush_lines(struct files_writer *self, size_t from, struct error *error)
{
    if (self->lines.length < from) {
        return OK;
    }
    TRY(blob_writer_append(self->writer, buffer_text(&self->lines), error));
    buffer_clear(&self->lines);
    return OK;
}

static enum status write_file_line(void *visitor, const struct prepare_file *file,
                                   struct error *error)
{
    struct files_writer *self = visitor;
    if (text_contains_byte(file->path, '\n')) {
        return error_set(error, INVALID,
                         "the name of file \"%.*s\" has a line break, so it cannot be an item",
                         TEXT_ARGS(text_slice(file->path, 0, 200)));
    }
    item_file_write(&file->digest, file->size_bytes, file->modified_us, file->inode, file->path,
                    &self->lines);
    self->count++;
    return flush_lines(self, WRITE_SIZE, error);
}

enum status items_of_dataset(struct blobs *blobs, const struct prepare_catalog_ops *catalog,
                             void *context, const char *id, struct digest *out, int64_t *count,
                             int64_t *size, struct error *error)
{
    struct files_writer self = {0};
    TRY(blob_writer_new(blobs, &self.writer, error));
    enum status status = catalog->each_file(context, id, write_file_line, &self, error);
    if (status == OK) {
        status = flush_lines(&self, 1, error);
    }
    buffer_done(&self.lines);
    if (status != OK) {
        blob_writer_abort(self.writer);
        return status;
    }
    *count = self.count;
    return blob_writer_commit(self.writer, NULL, out, size, error);
}
