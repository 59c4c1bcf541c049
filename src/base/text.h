// Text from outside: bytes with a length, borrowed, not NUL-terminated.
#ifndef LODE_BASE_TEXT_H
#define LODE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *bytes;
    size_t length;
};

#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})
#define TEXT_NONE ((struct text){NULL, 0})
// For printf: printf("%.*s", TEXT_ARGS(t)).
#define TEXT_ARGS(t) (int)(t).length, (t).bytes ? (t).bytes : ""

// The text of a NUL-terminated string; NULL gives the empty text.
static inline struct text text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

bool text_equal(struct text a, struct text b);
bool text_equal_no_case(struct text a, struct text b); // ASCII only.
bool text_starts_with(struct text whole, struct text prefix);
bool text_ends_with(struct text whole, struct text suffix);
bool text_contains_byte(struct text whole, char byte);

// Orders bytewise, like strcmp.
int text_compare(struct text a, struct text b);

// The index of the first `byte` at or after `from`; whole.length when there is none.
size_t text_find_byte(struct text whole, size_t from, char byte);

// The part [from, to), clipped to the text.
struct text text_slice(struct text whole, size_t from, size_t to);

// Without white space (space, tab, CR, LF) at both ends.
struct text text_trim(struct text whole);

// Takes the part before the first `separator` off the front of *rest; false when *rest is used up. An empty text has no
// parts; "a," has two.
bool text_next_part(struct text *rest, char separator, struct text *part);

// A heap copy with a NUL behind it.
char *text_copy(struct text whole);

// Is it well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms)?
bool text_is_utf8(struct text whole);

// Has it a control character (below 0x20, or 0x7f)?
bool text_has_control(struct text whole);

// A decimal integer with an optional minus sign and nothing else; false (and *out unchanged) otherwise or on overflow.
bool text_to_int64(struct text whole, int64_t *out);

// A size such as "512", "64K", "1.5G", "2GiB", "10MB" (K, M, G, T are powers of 1024; KB, MB ... powers of 1000) in bytes.
bool text_to_bytes(struct text whole, int64_t *out);

// A duration such as "90", "90s", "15m", "2h", "1d", "1h30m", "0.5s" in microseconds; a bare number is seconds.
bool text_to_duration_us(struct text whole, int64_t *out);

// Shell-like pattern (fnmatch of one name or path): `*` within a path part, `**` over parts, `?`, `[a-z]`;
// "**/x" is "x" below any number of parts, none too.
bool text_matches_glob(struct text whole, struct text pattern);

#endif
