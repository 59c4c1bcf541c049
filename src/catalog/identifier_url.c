#include "catalog/identifier_url.h"

#include "base/hex.h"

static const char SUB_DELIMITERS_AND_PATH[] = "!$&'()*+,;=:@/";
static const char QUERY_ALLOWED[] = "!$&'()*+,;=:@/?";

static bool is_unreserved(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static void append_escape(struct buffer *out, unsigned char byte)
{
    static const char DIGITS[] = "0123456789ABCDEF";
    char escape[3] = {'%', DIGITS[byte >> 4], DIGITS[byte & 15]};
    buffer_append(out, escape, sizeof escape);
}

enum status uri_append_normal(struct buffer *out, struct text text, const char *allowed,
                              struct error *error)
{
    for (size_t at = 0; at < text.length; at++) {
        unsigned char byte = (unsigned char)text.bytes[at];
        if (byte != '%') {
            if (is_unreserved(byte) || (byte != '\0' && strchr(allowed, byte))) {
                buffer_append_byte(out, (char)byte);
            } else {
                append_escape(out, byte);
            }
            continue;
        }
        unsigned char value = 0;
        if (!hex_decode(text_slice(text, at + 1, at + 3), &value, 1)) {
            (void)error_set(error, INVALID, "an identifier has a \"%%\" without two digits");
            error_fix(error, "write a percent sign as %%25");
            return INVALID;
        }
        if (value < 0x20 || value == 0x7F) {
            (void)error_set(error, INVALID,
                            "an identifier has the escaped control character %%%02X", value);
            error_fix(error, "leave the control character out");
            return INVALID;
        }
        if (is_unreserved(value)) {
            buffer_append_byte(out, (char)value);
        } else {
            append_escape(out, value);
        }
        at += 2;
    }
    return OK;
}

bool url_split(struct text text, struct url_parts *out)
{
    bool is_https = text_equal_no_case(text_slice(text, 0, 8), TEXT("https://"));
    if (!is_https && !text_equal_no_case(text_slice(text, 0, 7), TEXT("http://"))) {
        return false;
    }
    struct text rest = text_slice(text, is_https ? 8 : 7, text.length);
    size_t fragment = text_find_byte(rest, 0, '#');
    size_t query = text_find_byte(text_slice(rest, 0, fragment), 0, '?');
    size_t path = text_find_byte(text_slice(rest, 0, query), 0, '/');
    *out = (struct url_parts){
        .is_https = is_https,
        .authority = text_slice(rest, 0, path),
        .path = text_slice(rest, path, query),
        .query = text_slice(rest, query, fragment),
        .fragment = text_slice(rest, fragment, rest.length),
    };
    return true;
}

bool url_has_host(const struct url_parts *parts, struct text host)
{
    return text_equal_no_case(parts->authority, host);
}

static void append_lower(struct buffer *out, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];
        buffer_append_byte(out, byte >= 'A' && byte <= 'Z' ? (char)(byte + 'a' - 'A') : byte);
    }
}

static bool is_host(struct text host)
{
    bool is_address = host.length > 2 && host.bytes[0] == '[';
    struct text inside = host;
    if (is_address) {
        if (host.bytes[host.length - 1] != ']') {
            return false;
        }
        inside = text_slice(host, 1, host.length - 1);
    }
    for (size_t i = 0; i < inside.length; i++) {
        unsigned char byte = (unsigned char)inside.bytes[i];
        bool is_fine = is_address ? (byte == ':' || byte == '.' || (byte >= '0' && byte <= '9') ||
                                     ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f'))
                                  : is_unreserved(byte);
        if (!is_fine) {
            return false;
        }
    }
    return inside.length > 0;
}

static enum status append_authority(struct buffer *out, const struct url_parts *parts,
                                    struct error *error)
{
    struct text authority = parts->authority;
    if (text_contains_byte(authority, '@')) {
        (void)error_set(error, INVALID, "an address that names a user is no identifier");
        error_fix(error, "leave out what stands before the \"@\"");
        return INVALID;
    }
    size_t bracket = text_find_byte(authority, 0, ']');
    size_t colon = text_find_byte(authority, bracket < authority.length ? bracket : 0, ':');
    struct text host = text_slice(authority, 0, colon);
    struct text port = text_slice(authority, colon + 1, authority.length);
    if (!is_host(host)) {
        (void)error_set(error, INVALID, "\"%.*s\" is no host name",
                        TEXT_ARGS(text_slice(host, 0, 100)));
        error_fix(error, "use letters, digits, \"-\" and \".\"; international names as xn--...");
        return INVALID;
    }
    append_lower(out, host);
    if (port.length == 0) {
        return OK;
    }
    int64_t number = 0;
    if (port.length > 5 || !text_to_int64(port, &number) || number < 1 || number > 65535) {
        (void)error_set(error, INVALID, "\"%.*s\" is no port", TEXT_ARGS(text_slice(port, 0, 20)));
        error_fix(error, "use a port from 1 to 65535, or none");
        return INVALID;
    }
    if (number != (parts->is_https ? 443 : 80)) {
        buffer_printf(out, ":%d", (int)number);
    }
    return OK;
}

// Appends a path that starts with "/" without its parts "." and ".." (RFC 3986 section 5.2.4).
static void append_without_dots(struct buffer *out, struct text path)
{
    size_t start = out->length;
    struct text rest = text_slice(path, 1, path.length);
    struct text part;
    bool is_open = path.length <= 1; // The result ends with "/".
    while (text_next_part(&rest, '/', &part)) {
        bool is_up = text_equal(part, TEXT(".."));
        is_open = is_up || text_equal(part, TEXT("."));
        if (is_up) {
            while (out->length > start && out->bytes[--out->length] != '/') {
            }
        } else if (!is_open) {
            buffer_append_byte(out, '/');
            buffer_append_text(out, part);
        }
    }
    if (is_open) {
        buffer_append_byte(out, '/');
    }
}

enum status url_append_normal(struct buffer *out, const struct url_parts *parts,
                              struct error *error)
{
    AUTO_BUFFER struct buffer path = {0};
    TRY(uri_append_normal(&path, parts->path, SUB_DELIMITERS_AND_PATH, error));
    buffer_append_string(out, parts->is_https ? "https://" : "http://");
    TRY(append_authority(out, parts, error));
    append_without_dots(out, buffer_text(&path));
    if (parts->query.length > 0) {
        buffer_append_byte(out, '?');
        TRY(uri_append_normal(out, text_slice(parts->query, 1, parts->query.length), QUERY_ALLOWED,
                              error));
    }
    if (parts->fragment.length > 0) {
        buffer_append_byte(out, '#');
        TRY(uri_append_normal(out, text_slice(parts->fragment, 1, parts->fragment.length),
                              QUERY_ALLOWED, error));
    }
    return OK;
}
