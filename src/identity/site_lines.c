#include "identity/site_lines.h"

#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

enum { FILE_SIZE_MAX = 4 << 20 };

static void split(struct text line, struct text *address, struct text *value)
{
    line = text_trim(line);
    size_t space = text_find_byte(line, 0, ' ');
    *address = text_slice(line, 0, space);
    *value = text_trim(text_slice(line, space, line.length));
}

bool site_line_next(struct text *rest, struct site_line *line)
{
    struct text part;
    while (text_next_part(rest, '\n', &part)) {
        line->number++;
        split(part, &line->address, &line->value);
        if (line->address.length > 0 && line->address.bytes[0] != '#') {
            return true;
        }
    }
    return false;
}

bool site_line_find(struct text content, struct text address, struct site_line *out)
{
    struct site_line line = {0};
    while (site_line_next(&content, &line)) {
        if (text_equal(line.address, address)) {
            *out = line;
            return true;
        }
    }
    return false;
}

enum status site_lines_read(const char *folder, const char *name, struct buffer *out,
                            struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    enum status status = file_read(path, FILE_SIZE_MAX, out, error);
    return status == NOT_FOUND ? OK : status;
}

static void copy_others(struct text content, struct text address, struct buffer *out)
{
    struct text part;
    while (text_next_part(&content, '\n', &part)) {
        struct text found;
        struct text value;
        split(part, &found, &value);
        bool is_end = !content.bytes && part.length == 0;
        if (!text_equal(found, address) && !is_end) {
            buffer_append_text(out, part);
            buffer_append_byte(out, '\n');
        }
    }
}

enum status site_lines_replace(const char *folder, const char *name, struct text address,
                               struct text value, struct error *error)
{
    TRY(file_make_folder(folder, error));
    AUTO_CLOSE int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        return error_set_errno(error, errno, "cannot lock %s", folder);
    }
    AUTO_BUFFER struct buffer old = {0};
    AUTO_BUFFER struct buffer new = {0};
    TRY(site_lines_read(folder, name, &old, error));
    copy_others(buffer_text(&old), address, &new);
    if (value.length > 0) {
        buffer_append_text(&new, address);
        buffer_append_byte(&new, ' ');
        buffer_append_text(&new, value);
        buffer_append_byte(&new, '\n');
    }
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    return file_write_atomic(path, buffer_text(&new), 0600, error);
}
