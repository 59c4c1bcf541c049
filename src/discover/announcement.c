#include "discover/announcement.h"

#include <stdio.h>
#include <strings.h>

enum {
    STRING_LENGTH_MAX = 255,
    LABEL_NAME_MAX = 36, // Of the site's name in the service's name.
    LABEL_DIGITS = 12,   // Of the fingerprint there.
    FINGERPRINT_DIGITS = 64,
};

static const char FINGERPRINT_PREFIX[] = "sha256:";

// The length of the well-formed character of UTF-8 at the beginning of `rest`; 0 when there is none.
static size_t character_length(struct text rest)
{
    for (size_t length = 1; length <= 4 && length <= rest.length; length++) {
        if (text_is_utf8(text_slice(rest, 0, length))) {
            return length;
        }
    }
    return 0;
}

static uint32_t character_code(struct text character)
{
    const unsigned char *bytes = (const unsigned char *)character.bytes;
    static const unsigned char FIRST_BITS[] = {0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = bytes[0] & FIRST_BITS[character.length - 1];
    for (size_t i = 1; i < character.length; i++) {
        code = code << 6 | (bytes[i] & 0x3f);
    }
    return code;
}

// May a terminal be given it, and does it show what it is? No control characters (C0, DEL, C1), nothing that is invisible or turns the
// direction of writing (Unicode's format characters), no line separators.
static bool is_visible(uint32_t code)
{
    static const struct {
        uint32_t first;
        uint32_t last;
    } HIDDEN[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},
        {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
        {0xfeff, 0xfeff}, {0xfff0, 0xffff}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof HIDDEN / sizeof HIDDEN[0]; i++) {
        if (code >= HIDDEN[i].first && code <= HIDDEN[i].last) {
            return false;
        }
    }
    return true;
}

// Copies at most `max` bytes of whole characters; `out` holds one byte more.
static void clean(struct text from, size_t max, char *out)
{
    size_t used = 0;
    from = text_trim(from);
    while (from.length > 0) {
        size_t length = character_length(from);
        size_t step = length > 0 ? length : 1;
        bool is_kept = length > 0 && is_visible(character_code(text_slice(from, 0, length)));
        size_t size = is_kept ? length : 1;
        if (used + size > max) {
            break;
        }
        memcpy(out + used, is_kept ? from.bytes : "?", size);
        used += size;
        from = text_slice(from, step, from.length);
    }
    out[used] = '\0';
}

static bool is_fingerprint(struct text text)
{
    size_t prefix = sizeof FINGERPRINT_PREFIX - 1;
    if (text.length != prefix + FINGERPRINT_DIGITS ||
        !text_starts_with(text, text_of(FINGERPRINT_PREFIX))) {
        return false;
    }
    for (size_t i = prefix; i < text.length; i++) {
        char digit = text.bytes[i];
        if (!(digit >= '0' && digit <= '9') && !(digit >= 'a' && digit <= 'f')) {
            return false;
        }
    }
    return true;
}

enum status announcement_make(struct text name, struct text fingerprint, struct text version,
                              struct announcement *out, struct error *error)
{
    struct announcement made = {.name = ""};
    clean(name, ANNOUNCED_NAME_MAX, made.name);
    clean(version, ANNOUNCED_VERSION_MAX, made.version);
    if (made.name[0] == '\0') {
        return error_set(error, INVALID, "an announcement without the site's name");
    }
    if (!is_fingerprint(fingerprint)) {
        return error_set(error, INVALID, "an announcement without the fingerprint of a key");
    }
    memcpy(made.fingerprint.text, fingerprint.bytes, fingerprint.length);
    *out = made;
    return OK;
}

static void write_pair(struct buffer *txt, const char *key, const char *value)
{
    size_t length = strlen(key) + 1 + strlen(value);
    buffer_append_byte(txt, (char)(unsigned char)length);
    buffer_printf(txt, "%s=%s", key, value);
}

void announcement_write(const struct announcement *announcement, struct buffer *txt)
{
    write_pair(txt, "txtvers", "1");
    write_pair(txt, "name", announcement->name);
    write_pair(txt, "key", announcement->fingerprint.text);
    write_pair(txt, "version", announcement->version);
}

// The value of a string "key=value" goes to `value`, unless that has one already. Keys are compared without regard to case (RFC 6763,
// section 6.4).
static void take_value(struct text string, const char *key, struct text *value)
{
    size_t length = strlen(key);
    if (!value->bytes && string.length > length && string.bytes[length] == '=' &&
        strncasecmp(string.bytes, key, length) == 0) {
        *value = text_slice(string, length + 1, string.length);
    }
}

enum status announcement_read(struct text txt, struct announcement *out, struct error *error)
{
    struct text name = TEXT_NONE;
    struct text fingerprint = TEXT_NONE;
    struct text version = TEXT_NONE;
    if (txt.length > ANNOUNCED_TXT_MAX) {
        return error_set(error, QUOTA, "an announcement of %zu bytes is longer than %d", txt.length,
                         ANNOUNCED_TXT_MAX);
    }
    size_t at = 0;
    while (at < txt.length) {
        size_t length = (unsigned char)txt.bytes[at];
        if (length > txt.length - at - 1) {
            return error_set(error, CORRUPT, "an announcement whose lengths do not fit");
        }
        struct text string = text_slice(txt, at + 1, at + 1 + length);
        take_value(string, "name", &name);
        take_value(string, "key", &fingerprint);
        take_value(string, "version", &version);
        at += 1 + length;
    }
    return announcement_make(name, fingerprint, version, out, error);
}

void announcement_label(const struct announcement *announcement, unsigned attempt,
                        char out[SERVICE_LABEL_SIZE])
{
    char name[LABEL_NAME_MAX + 1];
    const char *digits = announcement->fingerprint.text + sizeof FINGERPRINT_PREFIX - 1;
    clean(text_of(announcement->name), LABEL_NAME_MAX, name);
    int length = snprintf(out, SERVICE_LABEL_SIZE, "%s-%.*s", name, LABEL_DIGITS, digits);
    if (attempt > 0) {
        (void)snprintf(out + length, SERVICE_LABEL_SIZE - (size_t)length, "-%u", attempt);
    }
}

void announcement_host(const struct announcement *announcement, unsigned attempt,
                       char out[SERVICE_LABEL_SIZE])
{
    const char *digits = announcement->fingerprint.text + sizeof FINGERPRINT_PREFIX - 1;
    int length = snprintf(out, SERVICE_LABEL_SIZE, "lode-%.*s", LABEL_DIGITS, digits);
    if (attempt > 0) {
        (void)snprintf(out + length, SERVICE_LABEL_SIZE - (size_t)length, "-%u", attempt);
    }
}
