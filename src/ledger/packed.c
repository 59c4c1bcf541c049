#include "ledger/packed.h"

#include "base/calendar.h"
#include "base/hex.h"
#include "crypto/digest.h"

// The first byte: how the rest is to be read.
enum packed_form { FORM_WHOLE = 0, FORM_PACKED = 1 };

enum {
    CODE_OTHER = 0, // In place of a code of a list: the text follows.
    VARINT_SIZE_MAX = 10,
    NUMBER_TEXT_SIZE = 24,
};

static const struct text TIERS[] = {{"\"online\"", 8}, {"\"nearline\"", 10}, {"\"offline\"", 9}};
static const struct text STATES[] = {{"\"available\"", 11},
                                     {"\"staging\"", 9},
                                     {"\"changed\"", 9},
                                     {"\"archived\"", 10},
                                     {"\"lost\"", 6}};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void put_number(struct buffer *out, uint64_t number)
{
    char bytes[VARINT_SIZE_MAX];
    size_t length = 0;
    do {
        bytes[length++] = (char)((number & 0x7F) | (number > 0x7F ? 0x80 : 0));
        number >>= 7;
    } while (number > 0);
    buffer_append(out, bytes, length);
}

static bool take_number(struct text *rest, uint64_t *out)
{
    uint64_t number = 0;
    for (size_t at = 0; at < rest->length && at < VARINT_SIZE_MAX; at++) {
        unsigned char byte = (unsigned char)rest->bytes[at];
        number |= (uint64_t)(byte & 0x7F) << (7 * at);
        if (byte < 0x80) {
            *rest = (struct text){rest->bytes + at + 1, rest->length - at - 1};
            *out = number;
            return true;
        }
    }
    return false;
}

static bool take_count(struct text *rest, int64_t *out)
{
    uint64_t number = 0;
    if (!take_number(rest, &number) || number > INT64_MAX) {
        return false;
    }
    *out = (int64_t)number;
    return true;
}

static void put_text(struct buffer *out, struct text text)
{
    put_number(out, text.length);
    buffer_append_text(out, text);
}

static bool take_bytes(struct text *rest, size_t length, struct text *out)
{
    if (rest->length < length) {
        return false;
    }
    *out = (struct text){rest->bytes, length};
    *rest = (struct text){rest->bytes + length, rest->length - length};
    return true;
}

static bool take_text(struct text *rest, struct text *out)
{
    uint64_t length = 0;
    return take_number(rest, &length) && length <= rest->length &&
           take_bytes(rest, (size_t)length, out);
}

static void put_code(struct buffer *out, struct text value, const struct text *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_equal(value, list[i])) {
            buffer_append_byte(out, (char)(i + 1));
            return;
        }
    }
    buffer_append_byte(out, CODE_OTHER);
    put_text(out, value);
}

static bool take_code(struct text *rest, const struct text *list, size_t count, struct text *out)
{
    struct text code;
    if (!take_bytes(rest, 1, &code)) {
        return false;
    }
    size_t at = (unsigned char)code.bytes[0];
    if (at == CODE_OTHER) {
        return take_text(rest, out);
    }
    if (at > count) {
        return false;
    }
    *out = list[at - 1];
    return true;
}

// The parts of a packed entry, in the order in which they are kept.
struct parts {
    int64_t epoch;
    int64_t serial;
    int64_t previous;
    int64_t file_count;
    int64_t size_bytes;
    int64_t time_us;
    struct text digest; // 32 bytes, or none.
    struct text signature;
    struct text tier; // As written, with quotes, as all that follows.
    struct text state;
    struct text title;
    struct text aliases;
};

// False when there is something that the packed form has no place for.
static bool find_parts(const struct entry *entry, struct digest *digest, struct buffer *signature,
                       struct parts *out)
{
    const struct text *members = entry->members;
    if (entry->has_others || entry->previous < 0 || members[MEMBER_HEAD].length > 0 ||
        !text_to_int64(members[MEMBER_FILE_COUNT], &out->file_count) ||
        !text_to_int64(members[MEMBER_SIZE_BYTES], &out->size_bytes) ||
        !calendar_parse(entry_raw_text(entry, MEMBER_TIME), &out->time_us) || out->time_us < 0 ||
        base64_decode(entry_raw_text(entry, MEMBER_SIGNATURE), signature, NULL) != OK ||
        signature->length != SIGNATURE_SIZE) {
        return false;
    }
    struct text digits = entry_raw_text(entry, MEMBER_DIGEST);
    if (digits.length > 0) {
        if (digest_from_text(digits, digest, NULL) != OK) {
            return false;
        }
        out->digest = (struct text){(const char *)digest->bytes, DIGEST_SIZE};
    }
    out->epoch = entry->epoch;
    out->serial = entry->serial;
    out->previous = entry->previous;
    out->signature = buffer_text(signature);
    out->tier = members[MEMBER_TIER];
    out->state = members[MEMBER_STATE];
    out->title = members[MEMBER_TITLE];
    out->aliases = members[MEMBER_ALIASES];
    return true;
}

static void put_parts(const struct parts *parts, struct buffer *out)
{
    buffer_append_byte(out, FORM_PACKED);
    put_number(out, (uint64_t)parts->epoch);
    put_number(out, (uint64_t)parts->serial);
    put_text(out, parts->aliases);
    put_number(out, (uint64_t)parts->previous);
    put_number(out, (uint64_t)parts->file_count);
    put_number(out, (uint64_t)parts->size_bytes);
    put_number(out, (uint64_t)parts->time_us);
    put_text(out, parts->digest);
    buffer_append_text(out, parts->signature);
    put_code(out, parts->tier, TIERS, COUNT(TIERS));
    put_code(out, parts->state, STATES, COUNT(STATES));
    put_text(out, parts->title);
}

static bool take_parts(struct text rest, struct parts *out)
{
    return take_count(&rest, &out->epoch) && take_count(&rest, &out->serial) &&
           take_text(&rest, &out->aliases) && take_count(&rest, &out->previous) &&
           take_count(&rest, &out->file_count) && take_count(&rest, &out->size_bytes) &&
           take_count(&rest, &out->time_us) && take_text(&rest, &out->digest) &&
           (out->digest.length == 0 || out->digest.length == DIGEST_SIZE) &&
           take_bytes(&rest, SIGNATURE_SIZE, &out->signature) &&
           take_code(&rest, TIERS, COUNT(TIERS), &out->tier) &&
           take_code(&rest, STATES, COUNT(STATES), &out->state) && take_text(&rest, &out->title) &&
           rest.length == 0;
}

static void add(struct buffer *out, const char *between, struct text value)
{
    buffer_append_string(out, between);
    buffer_append_text(out, value);
}

static void add_count(struct buffer *out, const char *between, int64_t value)
{
    buffer_append_string(out, between);
    buffer_append_int64(out, value);
}

// Writes the canonical entry of which these are the parts.
static void write_parts(const struct parts *parts, struct text id, const struct fingerprint *site,
                        struct buffer *out)
{
    char time[CALENDAR_TEXT_SIZE];
    struct digest digest;
    char digest_text[DIGEST_TEXT_SIZE];
    add(out, "{\"aliases\":", parts->aliases);
    if (parts->digest.length > 0) {
        memcpy(digest.bytes, parts->digest.bytes, DIGEST_SIZE);
        add(out, ",\"digest\":\"", text_of(digest_to_text(&digest, digest_text)));
        buffer_append_byte(out, '"');
    } else {
        buffer_append_string(out, ",\"digest\":null");
    }
    add_count(out, ",\"epoch\":", parts->epoch);
    add_count(out, ",\"file_count\":", parts->file_count);
    buffer_append_string(out, ",\"id\":");
    buffer_append_json_string(out, id);
    add_count(out, ",\"kind\":\"dataset\",\"previous\":", parts->previous);
    add_count(out, ",\"serial\":", parts->serial);
    buffer_append_string(out, ",\"signature\":\"");
    base64_append(out, parts->signature.bytes, parts->signature.length);
    add(out, "\",\"site\":\"", text_of(site->text));
    add_count(out, "\",\"size_bytes\":", parts->size_bytes);
    add(out, ",\"state\":", parts->state);
    add(out, ",\"tier\":", parts->tier);
    add(out, ",\"time\":\"", text_of(calendar_format(parts->time_us, time)));
    add(out, "\",\"title\":", parts->title);
    buffer_append_byte(out, '}');
}

static void put_whole(const struct entry *entry, struct buffer *out)
{
    buffer_append_byte(out, FORM_WHOLE);
    put_number(out, (uint64_t)entry->epoch);
    put_number(out, (uint64_t)entry->serial);
    put_text(out, entry->members[MEMBER_ALIASES]);
    buffer_append_text(out, entry->line);
}

// Does unpacking give the same bytes back?
static bool is_exact(const struct entry *entry, const struct parts *parts)
{
    char scratch[ENTRY_NAME_MAX];
    struct fingerprint site = {{0}};
    struct text said = entry_raw_text(entry, MEMBER_SITE);
    if (said.length >= sizeof site.text) {
        return false;
    }
    memcpy(site.text, said.bytes, said.length);
    AUTO_BUFFER struct buffer again = {0};
    (void)buffer_reserve(&again, entry->line.length);
    write_parts(parts, entry_unescape(entry_raw_text(entry, MEMBER_ID), scratch), &site, &again);
    return text_equal(buffer_text(&again), entry->line);
}

void packed_write(const struct entry *entry, struct buffer *out)
{
    struct digest digest;
    struct parts parts = {0};
    AUTO_BUFFER struct buffer signature = {0};
    (void)buffer_reserve(&signature, SIGNATURE_SIZE);
    if (find_parts(entry, &digest, &signature, &parts) && is_exact(entry, &parts)) {
        put_parts(&parts, out);
    } else {
        put_whole(entry, out);
    }
}

static enum status refuse(struct error *error)
{
    return error_set(error, CORRUPT, "the index holds what is no packed entry");
}

// The form, and what both forms begin with; *rest is what follows.
static bool take_front(struct text *rest, enum packed_form *form, struct packed *out)
{
    struct text first;
    if (!take_bytes(rest, 1, &first) || (unsigned char)first.bytes[0] > FORM_PACKED) {
        return false;
    }
    *form = (enum packed_form)first.bytes[0];
    return take_count(rest, &out->epoch) && take_count(rest, &out->serial) &&
           take_text(rest, &out->aliases);
}

enum status packed_read(struct text bytes, struct packed *out, struct error *error)
{
    struct packed read = {.bytes = bytes};
    struct text rest = bytes;
    enum packed_form form;
    if (!take_front(&rest, &form, &read)) {
        return refuse(error);
    }
    *out = read;
    return OK;
}

enum status packed_unpack(struct text bytes, struct text id, const struct fingerprint *site,
                          struct buffer *out, struct error *error)
{
    struct packed front = {0};
    struct parts parts = {0};
    struct text rest = bytes;
    enum packed_form form;
    if (!take_front(&rest, &form, &front)) {
        return refuse(error);
    }
    if (form == FORM_WHOLE) {
        buffer_append_text(out, rest);
        return OK;
    }
    if (!take_parts(text_slice(bytes, 1, bytes.length), &parts)) {
        return refuse(error);
    }
    write_parts(&parts, id, site, out);
    return OK;
}
