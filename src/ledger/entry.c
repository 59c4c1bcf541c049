#include "ledger/entry.h"

#include "base/hex.h"

#include <assert.h>

enum { SIGNATURE_TEXT_LENGTH = 88 };

static const struct text MEMBER_NAMES[ENTRY_MEMBERS] = {
    [MEMBER_ALIASES] = {"aliases", 7}, [MEMBER_DIGEST] = {"digest", 6},
    [MEMBER_EPOCH] = {"epoch", 5},     [MEMBER_FILE_COUNT] = {"file_count", 10},
    [MEMBER_HEAD] = {"head", 4},       [MEMBER_ID] = {"id", 2},
    [MEMBER_KIND] = {"kind", 4},       [MEMBER_PREVIOUS] = {"previous", 8},
    [MEMBER_SERIAL] = {"serial", 6},   [MEMBER_SIGNATURE] = {"signature", 9},
    [MEMBER_SITE] = {"site", 4},       [MEMBER_SIZE_BYTES] = {"size_bytes", 10},
    [MEMBER_STATE] = {"state", 5},     [MEMBER_TIER] = {"tier", 4},
    [MEMBER_TIME] = {"time", 4},       [MEMBER_TITLE] = {"title", 5},
};

// --- canonical JSON, value by value

struct scanner {
    const char *at;
    const char *end;
};

// A container that has been begun.
struct frame {
    bool is_object;
    bool is_empty;    // Nothing in it yet.
    struct text name; // The last member's.
};

static bool take_byte(struct scanner *scanner, char byte)
{
    if (scanner->at < scanner->end && *scanner->at == byte) {
        scanner->at++;
        return true;
    }
    return false;
}

static bool take_word(struct scanner *scanner, struct text word)
{
    if ((size_t)(scanner->end - scanner->at) < word.length ||
        memcmp(scanner->at, word.bytes, word.length) != 0) {
        return false;
    }
    scanner->at += word.length;
    return true;
}

// The control character that \u00xx stands for; -1 when the canonical form writes it otherwise, and for NUL.
static int unicode_escape(const char *digits)
{
    static const char HEX[] = "0123456789abcdef";
    const char *low = memchr(HEX, digits[3], sizeof HEX - 1);
    if (digits[0] != '0' || digits[1] != '0' || (digits[2] != '0' && digits[2] != '1') || !low) {
        return -1;
    }
    int byte = 16 * (digits[2] - '0') + (int)(low - HEX);
    return byte == 0 || byte == '\b' || byte == '\f' || byte == '\n' || byte == '\r' || byte == '\t'
               ? -1
               : byte;
}

// The byte that an escape of one letter stands for; 0: it is none.
static char short_escape(char letter)
{
    switch (letter) {
    case '"':
    case '\\':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return '\0';
    }
}

// Reads what follows a backslash.
static bool take_escape(struct scanner *scanner)
{
    if (scanner->at == scanner->end) {
        return false;
    }
    char letter = *scanner->at++;
    if (letter != 'u') {
        return short_escape(letter) != '\0';
    }
    if (scanner->end - scanner->at < 4 || unicode_escape(scanner->at) < 0) {
        return false;
    }
    scanner->at += 4;
    return true;
}

static bool take_string(struct scanner *scanner, struct text *raw)
{
    if (!take_byte(scanner, '"')) {
        return false;
    }
    const char *begin = scanner->at;
    unsigned char all = 0;
    while (scanner->at < scanner->end && *scanner->at != '"') {
        unsigned char byte = (unsigned char)*scanner->at++;
        all |= byte;
        if (byte < 0x20 || (byte == '\\' && !take_escape(scanner))) {
            return false;
        }
    }
    *raw = (struct text){begin, (size_t)(scanner->at - begin)};
    return take_byte(scanner, '"') && (all < 0x80 || text_is_utf8(*raw));
}

static bool take_number(struct scanner *scanner)
{
    const char *begin = scanner->at;
    int64_t value = 0;
    (void)take_byte(scanner, '-');
    const char *digits = scanner->at;
    while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9') {
        scanner->at++;
    }
    bool has_idle_zero = digits < scanner->at && *digits == '0' && scanner->at - begin > 1;
    struct text text = {begin, (size_t)(scanner->at - begin)};
    return !has_idle_zero && text_to_int64(text, &value);
}

// Reads a value that is no container.
static bool take_plain(struct scanner *scanner)
{
    struct text raw;
    switch (scanner->at < scanner->end ? *scanner->at : '\0') {
    case '"':
        return take_string(scanner, &raw);
    case 't':
        return take_word(scanner, TEXT("true"));
    case 'f':
        return take_word(scanner, TEXT("false"));
    case 'n':
        return take_word(scanner, TEXT("null"));
    default:
        return take_number(scanner);
    }
}

// Reads a member's name and colon; names rise.
static bool take_name(struct scanner *scanner, struct frame *frame)
{
    struct text name;
    if (!take_string(scanner, &name) || !take_byte(scanner, ':') ||
        text_contains_byte(name, '\\') ||
        (!frame->is_empty && text_compare(frame->name, name) >= 0)) {
        return false;
    }
    frame->name = name;
    return true;
}

// Reads the beginning of a value; a container is put on the stack.
static bool begin_value(struct scanner *scanner, struct frame *frames, size_t *depth)
{
    bool is_object = scanner->at < scanner->end && *scanner->at == '{';
    bool is_array = scanner->at < scanner->end && *scanner->at == '[';
    if (!is_object && !is_array) {
        return take_plain(scanner);
    }
    // The line itself is the first level.
    if (*depth == JSON_DEPTH_MAX - 1) {
        return false;
    }
    scanner->at++;
    frames[(*depth)++] = (struct frame){.is_object = is_object, .is_empty = true};
    return true;
}

// Reads one value, whatever is in it.
static bool take_value(struct scanner *scanner, struct text *raw)
{
    struct frame frames[JSON_DEPTH_MAX];
    size_t depth = 0;
    const char *begin = scanner->at;
    bool is_good = begin_value(scanner, frames, &depth);
    while (is_good && depth > 0) {
        struct frame *frame = &frames[depth - 1];
        if (take_byte(scanner, frame->is_object ? '}' : ']')) {
            depth--;
            continue;
        }
        is_good = (frame->is_empty || take_byte(scanner, ',')) &&
                  (!frame->is_object || take_name(scanner, frame)) &&
                  begin_value(scanner, frames, &depth);
        frame->is_empty = false;
    }
    *raw = (struct text){begin, (size_t)(scanner->at - begin)};
    return is_good;
}

// --- a line of a log

static bool take_members(struct scanner *scanner, struct entry *out)
{
    struct frame frame = {.is_object = true, .is_empty = true};
    size_t member = 0;
    if (!take_byte(scanner, '{')) {
        return false;
    }
    while (!take_byte(scanner, '}')) {
        struct text value;
        if ((!frame.is_empty && !take_byte(scanner, ',')) || !take_name(scanner, &frame) ||
            !take_value(scanner, &value)) {
            return false;
        }
        frame.is_empty = false;
        // Both the members and the names that are known rise.
        while (member < ENTRY_MEMBERS && text_compare(MEMBER_NAMES[member], frame.name) < 0) {
            member++;
        }
        if (member < ENTRY_MEMBERS && text_equal(MEMBER_NAMES[member], frame.name)) {
            out->members[member] = value;
        } else {
            out->has_others = true;
        }
    }
    return scanner->at == scanner->end;
}

static bool is_string(struct text value)
{
    return value.length > 0 && value.bytes[0] == '"';
}

static enum status refuse(const struct entry *entry, const char *problem, struct error *error)
{
    struct text serial = entry->members[MEMBER_SERIAL];
    struct text id = text_slice(entry->members[MEMBER_ID], 0, 200);
    return error_set(error, CORRUPT, "line with serial %.*s, id %.*s: %s",
                     serial.length > 0 ? (int)(serial.length < 20 ? serial.length : 20) : 4,
                     serial.length > 0 ? serial.bytes : "none", id.length > 0 ? (int)id.length : 4,
                     id.length > 0 ? id.bytes : "none", problem);
}

static bool read_count(const struct entry *entry, enum entry_member member, int64_t min,
                       int64_t *out)
{
    int64_t value = 0;
    if (!text_to_int64(entry->members[member], &value) || value < min) {
        return false;
    }
    *out = value;
    return true;
}

static bool has_strings(const struct entry *entry, const enum entry_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_string(entry->members[members[i]])) {
            return false;
        }
    }
    return true;
}

static bool is_name(struct text raw)
{
    char scratch[ENTRY_NAME_MAX];
    size_t length = raw.length <= ENTRY_NAME_MAX ? entry_unescape(raw, scratch).length : 0;
    return length > 0;
}

static const char *check_aliases(const struct entry *entry)
{
    struct text array = entry->members[MEMBER_ALIASES];
    struct text raw;
    size_t count = 0;
    if (array.length == 0 || array.bytes[0] != '[') {
        return "its aliases are no array";
    }
    for (; array.length > 2 && entry_next_string(&array, &raw); count++) {
        if (!is_name(raw)) {
            return "an alias is empty or too long";
        }
    }
    if (array.length > 2) {
        return "an alias is no string";
    }
    return count > ENTRY_ALIASES_MAX ? "it has too many aliases" : NULL;
}

static const char *check_dataset(const struct entry *entry)
{
    static const enum entry_member STRINGS[] = {MEMBER_STATE, MEMBER_TIER, MEMBER_TITLE};
    int64_t count = 0;
    if (!has_strings(entry, STRINGS, sizeof STRINGS / sizeof STRINGS[0]) ||
        !read_count(entry, MEMBER_FILE_COUNT, 0, &count) ||
        !read_count(entry, MEMBER_SIZE_BYTES, 0, &count)) {
        return "state, tier, title, file_count or size_bytes is missing";
    }
    struct text digest = entry->members[MEMBER_DIGEST];
    if (!is_string(digest) && !text_equal(digest, TEXT("null"))) {
        return "its digest is missing";
    }
    return check_aliases(entry);
}

// What is wrong with the members; NULL: nothing. The kind is read here.
static const char *check_members(struct entry *entry)
{
    static const enum entry_member STRINGS[] = {MEMBER_KIND, MEMBER_SITE, MEMBER_TIME};
    if (!has_strings(entry, STRINGS, sizeof STRINGS / sizeof STRINGS[0]) ||
        !read_count(entry, MEMBER_EPOCH, 1, &entry->epoch) ||
        !read_count(entry, MEMBER_SERIAL, 0, &entry->serial)) {
        return "kind, site, time, epoch or serial is missing";
    }
    if (!is_string(entry->members[MEMBER_SIGNATURE]) ||
        entry->members[MEMBER_SIGNATURE].length != SIGNATURE_TEXT_LENGTH + 2) {
        return "its signature is missing";
    }
    struct text kind = entry->members[MEMBER_KIND];
    if (text_equal(kind, TEXT("\"head\""))) {
        entry->kind = ENTRY_HEAD;
        return is_string(entry->members[MEMBER_HEAD]) ? NULL : "the head is missing";
    }
    bool is_dataset = text_equal(kind, TEXT("\"dataset\""));
    if (!is_dataset && !text_equal(kind, TEXT("\"removal\""))) {
        return "it is of a kind that no log has";
    }
    entry->kind = is_dataset ? ENTRY_DATASET : ENTRY_REMOVAL;
    entry->previous = -1;
    if (entry->members[MEMBER_PREVIOUS].length > 0 &&
        !read_count(entry, MEMBER_PREVIOUS, 0, &entry->previous)) {
        return "its previous is no serial";
    }
    if (!is_string(entry->members[MEMBER_ID]) || !is_name(entry_raw_text(entry, MEMBER_ID))) {
        return "its id is missing, empty or too long";
    }
    return is_dataset ? check_dataset(entry) : NULL;
}

enum status entry_scan(struct text line, struct entry *out, struct error *error)
{
    struct entry read = {.line = line};
    struct scanner scanner = {line.bytes, line.bytes + line.length};
    if (line.length == 0 || line.length > STATEMENT_SIZE_MAX) {
        return error_set(error, CORRUPT, "a line of a log has %zu bytes; 1 to %d are allowed",
                         line.length, STATEMENT_SIZE_MAX);
    }
    if (!take_members(&scanner, &read)) {
        char problem[64];
        (void)snprintf(problem, sizeof problem, "no canonical JSON at byte %zu",
                       (size_t)(scanner.at - line.bytes) + 1);
        return refuse(&read, problem, error);
    }
    const char *problem = check_members(&read);
    if (problem) {
        return refuse(&read, problem, error);
    }
    *out = read;
    return OK;
}

struct text entry_raw_text(const struct entry *entry, enum entry_member member)
{
    struct text value = entry->members[member];
    return is_string(value) ? text_slice(value, 1, value.length - 1) : TEXT_NONE;
}

struct text entry_unescape(struct text raw, char *scratch)
{
    if (raw.length > ENTRY_NAME_MAX || !text_contains_byte(raw, '\\')) {
        return raw;
    }
    size_t length = 0;
    for (size_t at = 0; at < raw.length; at++) {
        char byte = raw.bytes[at];
        if (byte == '\\' && raw.bytes[at + 1] == 'u') {
            byte = (char)unicode_escape(raw.bytes + at + 2);
            at += 5;
        } else if (byte == '\\') {
            byte = short_escape(raw.bytes[++at]);
        }
        scratch[length++] = byte;
    }
    return (struct text){scratch, length};
}

bool entry_next_string(struct text *array, struct text *raw)
{
    if (array->length < 2) {
        return false;
    }
    struct scanner scanner = {array->bytes, array->bytes + array->length};
    // In front of each string stands the bracket or a comma.
    scanner.at++;
    if (!take_string(&scanner, raw)) {
        return false;
    }
    *array = (struct text){scanner.at, (size_t)(scanner.end - scanner.at)};
    return true;
}
