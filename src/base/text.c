#include "base/text.h"

#include "base/memory.h"

#include <strings.h>

bool text_equal(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

bool text_equal_no_case(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || strncasecmp(a.bytes, b.bytes, a.length) == 0);
}

bool text_starts_with(struct text whole, struct text prefix)
{
    return whole.length >= prefix.length && text_equal(text_slice(whole, 0, prefix.length), prefix);
}

bool text_ends_with(struct text whole, struct text suffix)
{
    return whole.length >= suffix.length &&
           text_equal(text_slice(whole, whole.length - suffix.length, whole.length), suffix);
}

bool text_contains_byte(struct text whole, char byte)
{
    return text_find_byte(whole, 0, byte) < whole.length;
}

int text_compare(struct text a, struct text b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.bytes, b.bytes, shorter) : 0;
    if (order != 0) {
        return order;
    }
    return (a.length > b.length) - (a.length < b.length);
}

size_t text_find_byte(struct text whole, size_t from, char byte)
{
    if (from >= whole.length) {
        return whole.length;
    }
    const char *found = memchr(whole.bytes + from, byte, whole.length - from);
    return found ? (size_t)(found - whole.bytes) : whole.length;
}

struct text text_slice(struct text whole, size_t from, size_t to)
{
    if (to > whole.length) {
        to = whole.length;
    }
    if (from >= to) {
        return TEXT_NONE;
    }
    return (struct text){whole.bytes + from, to - from};
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct text text_trim(struct text whole)
{
    size_t from = 0;
    size_t to = whole.length;
    while (from < to && is_space(whole.bytes[from])) {
        from++;
    }
    while (to > from && is_space(whole.bytes[to - 1])) {
        to--;
    }
    return text_slice(whole, from, to);
}

bool text_next_part(struct text *rest, char separator, struct text *part)
{
    if (!rest->bytes) {
        return false;
    }
    size_t end = text_find_byte(*rest, 0, separator);
    *part = (struct text){rest->bytes, end};
    if (end < rest->length) {
        *rest = (struct text){rest->bytes + end + 1, rest->length - end - 1};
    } else {
        *rest = TEXT_NONE;
    }
    return true;
}

char *text_copy(struct text whole)
{
    return memory_copy_bytes(whole.bytes, whole.length);
}

// The length of the well-formed UTF-8 sequence at the front of `bytes`, or 0.
static size_t utf8_sequence(const unsigned char *bytes, size_t length)
{
    unsigned char first = bytes[0];
    if (first < 0x80) {
        return 1;
    }
    size_t need = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || length < need) {
        return 0;
    }
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (first == 0xE0) {
        low = 0xA0;
    } else if (first == 0xED) {
        high = 0x9F;
    } else if (first == 0xF0) {
        low = 0x90;
    } else if (first == 0xF4) {
        high = 0x8F;
    }
    if (bytes[1] < low || bytes[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return need;
}

bool text_is_utf8(struct text whole)
{
    const unsigned char *bytes = (const unsigned char *)whole.bytes;
    for (size_t at = 0; at < whole.length;) {
        size_t step = utf8_sequence(bytes + at, whole.length - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

bool text_has_control(struct text whole)
{
    for (size_t i = 0; i < whole.length; i++) {
        unsigned char byte = (unsigned char)whole.bytes[i];
        if (byte < 0x20 || byte == 0x7F) {
            return true;
        }
    }
    return false;
}

bool text_to_int64(struct text whole, int64_t *out)
{
    size_t at = 0;
    bool is_negative = whole.length > 0 && whole.bytes[0] == '-';
    int64_t value = 0;
    at += is_negative ? 1 : 0;
    if (at == whole.length) {
        return false;
    }
    for (; at < whole.length; at++) {
        int digit = whole.bytes[at] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false;
        }
    }
    if (!is_negative && value == INT64_MIN) {
        return false;
    }
    *out = is_negative ? value : -value;
    return true;
}

// Takes a decimal number with an optional fraction off the front, as a double below 2^53; false when there is none.
static bool take_number(struct text *rest, double *out)
{
    double value = 0;
    double scale = 0;
    size_t at = 0;
    size_t digits = 0;
    for (; at < rest->length; at++) {
        char byte = rest->bytes[at];
        if (byte == '.' && scale == 0) {
            scale = 1;
        } else if (byte >= '0' && byte <= '9' && digits < 15) {
            digits++;
            if (scale > 0) {
                scale /= 10;
                value += scale * (byte - '0');
            } else {
                value = value * 10 + (byte - '0');
            }
        } else {
            break;
        }
    }
    *rest = (struct text){rest->bytes + at, rest->length - at};
    *out = value;
    return digits > 0;
}

bool text_to_bytes(struct text whole, int64_t *out)
{
    static const struct {
        struct text unit;
        double factor;
    } UNITS[] = {
        {{"", 0}, 1},         {{"B", 1}, 1},        {{"K", 1}, 0x1p10},   {{"KiB", 3}, 0x1p10},
        {{"KB", 2}, 1e3},     {{"M", 1}, 0x1p20},   {{"MiB", 3}, 0x1p20}, {{"MB", 2}, 1e6},
        {{"G", 1}, 0x1p30},   {{"GiB", 3}, 0x1p30}, {{"GB", 2}, 1e9},     {{"T", 1}, 0x1p40},
        {{"TiB", 3}, 0x1p40}, {{"TB", 2}, 1e12},    {{"P", 1}, 0x1p50},   {{"PiB", 3}, 0x1p50},
        {{"PB", 2}, 1e15},
    };
    double number = 0;
    struct text rest = whole;
    if (!take_number(&rest, &number)) {
        return false;
    }
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (text_equal_no_case(rest, UNITS[i].unit)) {
            double bytes = number * UNITS[i].factor;
            if (bytes > 0x1p62) {
                return false;
            }
            *out = (int64_t)bytes;
            return true;
        }
    }
    return false;
}

static double duration_unit_us(struct text *rest)
{
    char unit = rest->length > 0 ? rest->bytes[0] : 's';
    if (rest->length > 1 && unit == 'm' && rest->bytes[1] == 's') {
        *rest = (struct text){rest->bytes + 2, rest->length - 2};
        return 1e3;
    }
    if (rest->length > 0) {
        *rest = (struct text){rest->bytes + 1, rest->length - 1};
    }
    switch (unit) {
    case 's':
        return 1e6;
    case 'm':
        return 60e6;
    case 'h':
        return 3600e6;
    case 'd':
        return 86400e6;
    default:
        return -1;
    }
}

bool text_to_duration_us(struct text whole, int64_t *out)
{
    double total = 0;
    struct text rest = whole;
    if (whole.length == 0) {
        return false;
    }
    while (rest.length > 0) {
        double number = 0;
        if (!take_number(&rest, &number)) {
            return false;
        }
        double unit = duration_unit_us(&rest);
        if (unit < 0) {
            return false;
        }
        total += number * unit;
        if (total > 0x1p62) {
            return false;
        }
    }
    *out = (int64_t)total;
    return true;
}

// Matches one `[...]` class at pattern[*at]; moves *at behind it. An unclosed class matches nothing.
static bool matches_class(struct text pattern, size_t *at, char byte)
{
    size_t i = *at + 1;
    bool is_negated = i < pattern.length && (pattern.bytes[i] == '!' || pattern.bytes[i] == '^');
    i += is_negated ? 1 : 0;
    bool is_found = false;
    for (size_t first = i; i < pattern.length && (pattern.bytes[i] != ']' || i == first); i++) {
        char low = pattern.bytes[i];
        char high = low;
        if (i + 2 < pattern.length && pattern.bytes[i + 1] == '-' && pattern.bytes[i + 2] != ']') {
            high = pattern.bytes[i + 2];
            i += 2;
        }
        is_found = is_found || (byte >= low && byte <= high);
    }
    if (i >= pattern.length) {
        *at = pattern.length;
        return false;
    }
    *at = i + 1;
    return is_found != is_negated && byte != '/';
}

// Where a wildcard began to match, to go on from when what follows it does not fit.
struct glob_retry {
    size_t at;        // In the text; SIZE_MAX: there is none.
    size_t in;        // In the pattern, behind the wildcard.
    bool is_by_parts; // "**/": takes whole parts of a path only.
};

// Takes one more byte, or part, into `**`; false when there is none.
static bool extend_deep(struct glob_retry *deep, struct text whole)
{
    if (deep->at == SIZE_MAX) {
        return false;
    }
    size_t next = (deep->is_by_parts ? text_find_byte(whole, deep->at, '/') : deep->at) + 1;
    if (next > whole.length) {
        return false;
    }
    deep->at = next;
    return true;
}

static bool extend_star(struct glob_retry *star, struct text whole)
{
    if (star->at >= whole.length || whole.bytes[star->at] == '/') {
        return false;
    }
    star->at++;
    return true;
}

// Does the text's byte match what the pattern has at *in, which is no `*`? Moves *in behind that.
static bool matches_one(struct text pattern, size_t *in, char byte)
{
    char wanted = pattern.bytes[*in];
    if (wanted == '[') {
        return matches_class(pattern, in, byte);
    }
    (*in)++;
    return wanted == '?' ? byte != '/' : byte == wanted;
}

// Reads the `*` or `**` at *in, moves *in behind it and notes where in the text it begins to match.
static void begin_wildcard(struct text pattern, size_t *in, size_t at, struct glob_retry *star,
                           struct glob_retry *deep)
{
    size_t from = *in;
    bool is_deep = text_starts_with(text_slice(pattern, from, from + 2), TEXT("**"));
    bool is_part = from == 0 || pattern.bytes[from - 1] == '/';
    bool is_by_parts = is_part && text_equal(text_slice(pattern, from, from + 3), TEXT("**/"));
    *in += is_by_parts ? 3 : is_deep ? 2 : 1;
    struct glob_retry retry = {.at = at, .in = *in, .is_by_parts = is_by_parts};
    if (is_deep) {
        *deep = retry;
        star->at = SIZE_MAX;
    } else {
        *star = retry;
    }
}

// Greedy matching with one remembered position for `*` and one for `**`: no recursion, worst case cubic.
bool text_matches_glob(struct text whole, struct text pattern)
{
    struct glob_retry star = {.at = SIZE_MAX};
    struct glob_retry deep = {.at = SIZE_MAX};
    size_t at = 0;
    size_t in = 0;
    for (;;) {
        if (in < pattern.length && pattern.bytes[in] == '*') {
            begin_wildcard(pattern, &in, at, &star, &deep);
            continue;
        }
        if (at == whole.length && in == pattern.length) {
            return true;
        }
        if (at < whole.length && in < pattern.length &&
            matches_one(pattern, &in, whole.bytes[at])) {
            at++;
        } else if (extend_star(&star, whole)) {
            at = star.at;
            in = star.in;
        } else if (extend_deep(&deep, whole)) {
            at = deep.at;
            in = deep.in;
            star.at = SIZE_MAX;
        } else {
            return false;
        }
    }
}
