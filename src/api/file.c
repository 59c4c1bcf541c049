// Answers whose bytes are those of a file: ranges, entity tags.
#include "api/api.h"

#include "api/range.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static bool is_tag_listed(struct text header, struct text tag)
{
    struct text part;
    while (header.length > 0 && text_next_part(&header, ',', &part)) {
        part = text_trim(part);
        // The comparison is the weak one (RFC 9110 section 13.1.2).
        part = text_starts_with(part, TEXT("W/")) ? text_slice(part, 2, part.length) : part;
        if (text_equal(part, tag) || text_equal(part, TEXT("*"))) {
            return true;
        }
    }
    return false;
}

static void reply_bare(struct api_call *call, int code, const struct http_field *fields,
                       size_t field_count)
{
    struct http_response response = {.code = code, .fields = fields, .field_count = field_count};
    http_reply(call->request->exchange, &response);
}

struct sent_file {
    int fd;
    int64_t size;
    const char *content_type;
    const char *tag;
    _Atomic int64_t *sent; // NULL: not counted.
};

static void reply(struct api_call *call, const struct sent_file *file)
{
    int fd = file->fd;
    int64_t size = file->size;
    struct http_request *request = call->request;
    char quoted[160];
    (void)snprintf(quoted, sizeof quoted, "\"%.150s\"", file->tag);
    char content_range[96] = "";
    struct http_field fields[3] = {{"ETag", quoted}, {"Accept-Ranges", "bytes"}};
    size_t field_count = 2;
    if (is_tag_listed(http_header(request, "If-None-Match"), text_of(quoted))) {
        (void)close(fd);
        reply_bare(call, 304, fields, field_count);
        return;
    }
    int64_t from = 0;
    int64_t to = size;
    struct text if_range = http_header(request, "If-Range");
    enum range_kind kind = RANGE_WHOLE;
    if (if_range.length == 0 || text_equal(if_range, text_of(quoted))) {
        kind = range_parse(http_header(request, "Range"), size, &from, &to);
    }
    if (kind == RANGE_UNSATISFIABLE) {
        (void)close(fd);
        (void)snprintf(content_range, sizeof content_range, "bytes */%" PRId64, size);
        fields[field_count++] = (struct http_field){"Content-Range", content_range};
        reply_bare(call, 416, fields, field_count);
        return;
    }
    if (kind == RANGE_PART) {
        (void)snprintf(content_range, sizeof content_range,
                       "bytes %" PRId64 "-%" PRId64 "/%" PRId64, from, to - 1, size);
        fields[field_count++] = (struct http_field){"Content-Range", content_range};
    }
    struct http_response response = {
        .code = kind == RANGE_PART ? 206 : 200,
        .content_type = file->content_type,
        .fields = fields,
        .field_count = field_count,
        .is_file = true,
        .file_fd = fd,
        .file_from = from,
        .file_length = to - from,
        .file_sent = file->sent,
    };
    http_reply(request->exchange, &response);
}

void api_reply_file(struct api_call *call, int fd, int64_t size, const char *content_type,
                    const char *tag)
{
    const struct sent_file file = {fd, size, content_type, tag, NULL};
    reply(call, &file);
}

void api_reply_counted_file(struct api_call *call, int fd, int64_t size, const char *tag,
                            _Atomic int64_t *sent)
{
    const struct sent_file file = {fd, size, "application/octet-stream", tag, sent};
    reply(call, &file);
}
