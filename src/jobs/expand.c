#include "jobs/spec.h"

void spec_expand(struct text argument, int64_t index, struct text item, struct text file,
                 struct buffer *out)
{
    size_t at = 0;
    while (at < argument.length) {
        struct text rest = text_slice(argument, at, argument.length);
        if (text_starts_with(rest, TEXT("{{")) || text_starts_with(rest, TEXT("}}"))) {
            buffer_append_byte(out, rest.bytes[0]);
            at += 2;
        } else if (text_starts_with(rest, TEXT("{}"))) {
            buffer_append_text(out, item);
            at += 2;
        } else if (text_starts_with(rest, TEXT("{index}"))) {
            buffer_append_int64(out, index);
            at += sizeof "{index}" - 1;
        } else if (text_starts_with(rest, TEXT("{file}"))) {
            buffer_append_text(out, file);
            at += sizeof "{file}" - 1;
        } else {
            buffer_append_byte(out, rest.bytes[0]);
            at++;
        }
    }
}
