#include "base/hex.h"

static const char DIGITS[] = "0123456789abcdef";

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

void hex_encode(const void *bytes, size_t length, char *out)
{
    const unsigned char *in = bytes;
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = DIGITS[in[i] >> 4];
        out[2 * i + 1] = DIGITS[in[i] & 15];
    }
    out[2 * length] = '\0';
}

bool hex_decode(struct text digits, void *out, size_t length)
{
    if (digits.length != 2 * length) {
        return false;
    }
    unsigned char *bytes = out;
    for (size_t i = 0; i < length; i++) {
        int high = digit_value(digits.bytes[2 * i]);
        int low = digit_value(digits.bytes[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL_SAFE[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void append_base64(struct buffer *buffer, const unsigned char *in, size_t length,
                          const char *alphabet, bool is_padded)
{
    // Some groups are appended together.
    char some[64];
    size_t count = 0;
    size_t at = 0;
    for (; at + 3 <= length; at += 3) {
        uint32_t group = (uint32_t)in[at] << 16 | (uint32_t)in[at + 1] << 8 | in[at + 2];
        some[count++] = alphabet[group >> 18];
        some[count++] = alphabet[group >> 12 & 63];
        some[count++] = alphabet[group >> 6 & 63];
        some[count++] = alphabet[group & 63];
        if (count == sizeof some) {
            buffer_append(buffer, some, count);
            count = 0;
        }
    }
    if (at < length) {
        size_t have = length - at;
        uint32_t group = (uint32_t)in[at] << 16;
        group |= have > 1 ? (uint32_t)in[at + 1] << 8 : 0;
        for (unsigned i = 0; i < (is_padded ? 4 : have + 1); i++) {
            some[count++] = i <= have ? alphabet[(group >> (18 - 6 * i)) & 63] : '=';
        }
    }
    buffer_append(buffer, some, count);
}

void base64_append(struct buffer *buffer, const void *bytes, size_t length)
{
    append_base64(buffer, bytes, length, STANDARD, true);
}

void base64url_append(struct buffer *buffer, const void *bytes, size_t length)
{
    append_base64(buffer, bytes, length, URL_SAFE, false);
}

static int base64_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

enum status base64_decode(struct text text, struct buffer *out, struct error *error)
{
    if (text.length % 4 != 0) {
        return error_set(error, INVALID, "base64 text has %zu characters, not a multiple of 4",
                         text.length);
    }
    for (size_t at = 0; at < text.length; at += 4) {
        bool is_last = at + 4 == text.length;
        size_t pads = 0;
        uint32_t group = 0;
        for (size_t i = 0; i < 4; i++) {
            char digit = text.bytes[at + i];
            int value = base64_value(digit);
            if (digit == '=' && is_last && i >= 2 && (i == 3 || text.bytes[at + 3] == '=')) {
                pads++;
                value = 0;
            }
            if (value < 0) {
                return error_set(error, INVALID, "base64 text is broken at character %zu", at + i);
            }
            group = group << 6 | (uint32_t)value;
        }
        if ((group & ((1U << (8 * pads)) - 1)) != 0) {
            return error_set(error, INVALID, "base64 text ends in bits that stand for nothing");
        }
        char bytes[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        buffer_append(out, bytes, 3 - pads);
    }
    return OK;
}

void percent_append(struct buffer *buffer, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                        byte == '~';
        if (is_plain) {
            buffer_append_byte(buffer, byte);
        } else {
            buffer_printf(buffer, "%%%02X", (unsigned char)byte);
        }
    }
}

enum status percent_decode(struct text text, struct buffer *out, struct error *error)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];
        if (byte == '%') {
            if (!hex_decode(text_slice(text, i + 1, i + 3), &byte, 1)) {
                return error_set(error, INVALID, "broken percent escape at character %zu", i);
            }
            i += 2;
        }
        buffer_append_byte(out, byte);
    }
    return OK;
}
