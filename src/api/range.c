#include "api/range.h"

static bool digits_to_int64(struct text text, int64_t *out)
{
    return text.length > 0 && text.bytes[0] != '-' && text_to_int64(text, out);
}

static enum range_kind suffix(struct text digits, int64_t size, int64_t *from, int64_t *to)
{
    int64_t length = 0;
    if (!digits_to_int64(digits, &length)) {
        return RANGE_WHOLE;
    }
    if (length == 0 || size == 0) {
        return RANGE_UNSATISFIABLE;
    }
    *from = length < size ? size - length : 0;
    *to = size;
    return RANGE_PART;
}

enum range_kind range_parse(struct text header, int64_t size, int64_t *from, int64_t *to)
{
    struct text unit = TEXT("bytes=");
    if (!text_starts_with(header, unit) || text_contains_byte(header, ',')) {
        return RANGE_WHOLE;
    }
    struct text said = text_trim(text_slice(header, unit.length, header.length));
    size_t dash = text_find_byte(said, 0, '-');
    if (dash == said.length) {
        return RANGE_WHOLE;
    }
    struct text first = text_slice(said, 0, dash);
    struct text last = text_slice(said, dash + 1, said.length);
    if (first.length == 0) {
        return suffix(last, size, from, to);
    }
    int64_t begin = 0;
    int64_t end = INT64_MAX - 1;
    if (!digits_to_int64(first, &begin) || (last.length > 0 && !digits_to_int64(last, &end)) ||
        end < begin) {
        return RANGE_WHOLE;
    }
    if (begin >= size) {
        return RANGE_UNSATISFIABLE;
    }
    *from = begin;
    *to = end < size - 1 ? end + 1 : size;
    return RANGE_PART;
}
