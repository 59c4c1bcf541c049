#include "catalog/identifier.h"

#include "base/hex.h"
#include "catalog/identifier_url.h"

enum {
    SHOWN_MAX = 100, // Bytes of an identifier in a message.
    URN_NAMESPACE_MIN = 2,
    URN_NAMESPACE_MAX = 32,
    IVOID_AUTHORITY_MIN = 3,
};

static const char URN_ALLOWED[] = "!$&'()*+,;=:@/";
static const char DOT_PART[] = "has a part \".\" or \"..\"";
static const char DOT_PART_FIX[] = "leave such parts out";
static const char ARK_ALLOWED[] = "=#*+@_$!&'(),;:/";

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + 'a' - 'A') : byte;
}

static char upper(char byte)
{
    return byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte;
}

static void append_lower(struct buffer *out, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        buffer_append_byte(out, lower(text.bytes[i]));
    }
}

static struct text after(struct text text, size_t length)
{
    return text_slice(text, length, text.length);
}

static bool take_prefix(struct text *text, struct text prefix)
{
    if (!text_equal_no_case(text_slice(*text, 0, prefix.length), prefix)) {
        return false;
    }
    *text = after(*text, prefix.length);
    return true;
}

static enum status refuse(struct text text, const char *why, const char *fix, struct error *error)
{
    struct text shown = text_slice(text, 0, SHOWN_MAX);
    (void)error_set(error, INVALID, "identifier \"%.*s\"%s %s", TEXT_ARGS(shown),
                    shown.length < text.length ? " (shortened)" : "", why);
    error_fix(error, "%s", fix);
    return INVALID;
}

static bool has_dot_part(struct text text)
{
    struct text rest = text;
    struct text part;
    while (text_next_part(&rest, '/', &part)) {
        if (text_equal(part, TEXT("..")) || text_equal(part, TEXT("."))) {
            return true;
        }
    }
    return false;
}

// A DOI's or Handle's prefix: digits, or in a Handle letters too, in parts that dots separate.
static bool is_handle_prefix(struct text prefix, bool is_doi)
{
    struct text rest = prefix;
    struct text part;
    while (text_next_part(&rest, '.', &part)) {
        for (size_t i = 0; i < part.length; i++) {
            char byte = part.bytes[i];
            bool is_fine =
                is_digit(byte) || (!is_doi && (is_letter(byte) || byte == '-' || byte == '_'));
            if (!is_fine) {
                return false;
            }
        }
        if (part.length == 0) {
            return false;
        }
    }
    return prefix.length > 0;
}

static enum status parse_doi(struct text name, struct text whole, struct buffer *out,
                             struct error *error)
{
    size_t slash = text_find_byte(name, 0, '/');
    struct text prefix = text_slice(name, 0, slash);
    if (!text_starts_with(prefix, TEXT("10.")) || !is_handle_prefix(prefix, true) ||
        slash + 1 >= name.length) {
        return refuse(whole, "is no DOI", "write it as doi:10.1234/name", error);
    }
    buffer_append_string(out, "doi:");
    append_lower(out, name);
    return OK;
}

static enum status parse_handle(struct text name, struct text whole, struct buffer *out,
                                enum identifier_kind *kind, struct error *error)
{
    if (text_starts_with(name, TEXT("10."))) {
        *kind = IDENTIFIER_DOI;
        return parse_doi(name, whole, out, error);
    }
    *kind = IDENTIFIER_HANDLE;
    size_t slash = text_find_byte(name, 0, '/');
    if (!is_handle_prefix(text_slice(name, 0, slash), false) || slash + 1 >= name.length) {
        return refuse(whole, "is no Handle", "write it as hdl:20.500.1234/name", error);
    }
    buffer_append_string(out, "hdl:");
    append_lower(out, text_slice(name, 0, slash));
    buffer_append_text(out, after(name, slash));
    return OK;
}

static bool is_betanumeric(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (!strchr("0123456789bcdfghjkmnpqrstvwxz", lower(text.bytes[i]))) {
            return false;
        }
    }
    return text.length > 0;
}

static bool is_structural(char byte)
{
    return byte == '/' || byte == '.';
}

// Keeps one structural character ("/" or ".") between parts and none at the ends; the first of several stays.
static void append_ark_name(struct buffer *out, struct text name)
{
    char pending = '\0';
    bool is_first = true;
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.bytes[i];
        if (byte == '-') {
            continue;
        }
        if (is_structural(byte)) {
            pending = pending ? pending : byte;
            continue;
        }
        if (pending && !is_first) {
            buffer_append_byte(out, pending);
        }
        pending = '\0';
        is_first = false;
        buffer_append_byte(out, byte);
    }
}

static enum status parse_ark(struct text rest, struct text whole, struct buffer *out,
                             struct error *error)
{
    static const char FIX[] = "write it as ark:12345/name";
    struct text name = text_slice(rest, 0, text_find_byte(rest, 0, '?'));
    if (name.length > 0 && name.bytes[0] == '/') {
        name = after(name, 1);
    }
    size_t slash = text_find_byte(name, 0, '/');
    if (!is_betanumeric(text_slice(name, 0, slash))) {
        return refuse(whole, "has no ARK name assigning authority number", FIX, error);
    }
    AUTO_BUFFER struct buffer encoded = {0};
    TRY(uri_append_normal(&encoded, after(name, slash + 1), ARK_ALLOWED, error));
    if (has_dot_part(buffer_text(&encoded))) {
        return refuse(whole, DOT_PART, DOT_PART_FIX, error);
    }
    buffer_append_string(out, "ark:");
    append_lower(out, text_slice(name, 0, slash));
    size_t start = out->length;
    buffer_append_byte(out, '/');
    append_ark_name(out, buffer_text(&encoded));
    struct text normal = text_slice(buffer_text(out), start + 1, out->length);
    if (normal.length == 0) {
        return refuse(whole, "has no name behind the authority's number", FIX, error);
    }
    size_t dot = text_find_byte(normal, 0, '.');
    if (text_find_byte(normal, dot, '/') < normal.length) {
        return refuse(whole, "has a variant (\".\") before a part (\"/\")",
                      "put what follows a dot at the end of the ARK", error);
    }
    return OK;
}

static bool is_urn_namespace(struct text name)
{
    if (name.length < URN_NAMESPACE_MIN || name.length > URN_NAMESPACE_MAX ||
        name.bytes[0] == '-' || name.bytes[name.length - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        if (!is_letter(name.bytes[i]) && !is_digit(name.bytes[i]) && name.bytes[i] != '-') {
            return false;
        }
    }
    return true;
}

// Without decoding: equal URNs are equal octet by octet but for the case of escapes (RFC 8141 section 3.1).
static enum status append_urn_name(struct buffer *out, struct text name, struct text whole,
                                   struct error *error)
{
    AUTO_BUFFER struct buffer checked = {0};
    TRY(uri_append_normal(&checked, name, URN_ALLOWED, error));
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.bytes[i];
        bool is_plain =
            is_letter(byte) || is_digit(byte) || strchr("-._~%", byte) || strchr(URN_ALLOWED, byte);
        if (!is_plain) {
            return refuse(whole, "has a character that a URN must percent-encode",
                          "write it as %XX", error);
        }
        buffer_append_byte(out, byte);
        if (byte == '%') {
            buffer_append_byte(out, upper(name.bytes[++i]));
            buffer_append_byte(out, upper(name.bytes[++i]));
        }
    }
    return OK;
}

static enum status parse_urn(struct text rest, struct text whole, struct buffer *out,
                             struct error *error)
{
    size_t colon = text_find_byte(rest, 0, ':');
    struct text space = text_slice(rest, 0, colon);
    struct text name = after(rest, colon + 1);
    name = text_slice(name, 0, text_find_byte(name, 0, '#'));
    size_t question = text_find_byte(name, 0, '?');
    bool is_component = question + 1 < name.length && strchr("+=", name.bytes[question + 1]);
    if (!is_urn_namespace(space) || (question < name.length && !is_component) || question == 0 ||
        name.length == 0 || name.bytes[0] == '/') {
        return refuse(whole, "is no URN", "write it as urn:namespace:name (RFC 8141)", error);
    }
    buffer_append_string(out, "urn:");
    append_lower(out, space);
    buffer_append_byte(out, ':');
    return append_urn_name(out, text_slice(name, 0, question), whole, error);
}

static enum status parse_ivoid(struct text rest, struct text whole, struct buffer *out,
                               struct error *error)
{
    size_t query = text_find_byte(rest, 0, '?');
    size_t fragment = text_find_byte(rest, 0, '#');
    size_t local = query < fragment ? query : fragment;
    struct text registered = text_slice(rest, 0, local);
    size_t slash = text_find_byte(registered, 0, '/');
    bool is_fine =
        slash >= IVOID_AUTHORITY_MIN && (is_letter(rest.bytes[0]) || is_digit(rest.bytes[0]));
    for (size_t i = 0; is_fine && i < registered.length; i++) {
        char byte = registered.bytes[i];
        is_fine = is_letter(byte) || is_digit(byte) || strchr("-_.~", byte) ||
                  (i >= slash && strchr("/!$&'()*+,;=:@", byte));
    }
    if (!is_fine) {
        return refuse(whole, "is no IVOID",
                      "write it as ivo://authority/path (IVOA Identifiers 2.0)", error);
    }
    while (registered.length > 0 && registered.bytes[registered.length - 1] == '/') {
        registered.length--;
    }
    buffer_append_string(out, "ivo://");
    append_lower(out, registered);
    return uri_append_normal(out, after(rest, local), "!$&'()*+,;=:@/?#", error);
}

// A DOI or Handle behind the address of its resolver.
static enum status parse_resolver_url(const struct url_parts *parts, struct text whole,
                                      struct buffer *out, enum identifier_kind *kind,
                                      struct error *error)
{
    if (parts->query.length > 0 || parts->fragment.length > 0) {
        return refuse(whole, "has a query or fragment behind its DOI or Handle",
                      "leave it out, or write ? as %3F and # as %23", error);
    }
    AUTO_BUFFER struct buffer decoded = {0};
    TRY(percent_decode(after(parts->path, 1), &decoded, error));
    struct text plain = buffer_text(&decoded);
    if (!text_is_utf8(plain) || text_has_control(plain) || text_contains_byte(plain, ' ')) {
        return refuse(whole, "has an escaped character that no identifier may have",
                      "leave out control characters and spaces", error);
    }
    return parse_handle(plain, whole, out, kind, error);
}

// Normalised first, so that every spelling of an address is judged alike; then other kinds are seen behind it.
static enum status parse_url(struct text whole, struct buffer *out, enum identifier_kind *kind,
                             struct error *error)
{
    struct url_parts parts;
    AUTO_BUFFER struct buffer normal = {0};
    (void)url_split(whole, &parts);
    TRY(url_append_normal(&normal, &parts, error));
    (void)url_split(buffer_text(&normal), &parts);
    struct text name = after(parts.path, 1);
    if (take_prefix(&name, TEXT("ark:"))) {
        *kind = IDENTIFIER_ARK;
        return parse_ark(name, whole, out, error);
    }
    bool is_resolver =
        url_has_host(&parts, TEXT("doi.org")) || url_has_host(&parts, TEXT("dx.doi.org")) ||
        url_has_host(&parts, TEXT("www.doi.org")) || url_has_host(&parts, TEXT("hdl.handle.net"));
    if (is_resolver && name.length > 0) {
        return parse_resolver_url(&parts, whole, out, kind, error);
    }
    *kind = IDENTIFIER_URL;
    buffer_append_text(out, buffer_text(&normal));
    return OK;
}

static bool is_scope(struct text scope)
{
    for (size_t i = 0; i < scope.length; i++) {
        char byte = scope.bytes[i];
        if (!is_letter(byte) && !is_digit(byte) && (i == 0 || !strchr("._-", byte))) {
            return false;
        }
    }
    return scope.length > 0 && scope.length <= IDENTIFIER_SCOPE_MAX;
}

static enum status parse_scoped(struct text whole, struct buffer *out, struct error *error)
{
    static const struct text FOREIGN[] = {
        {"file", 4}, {"ftp", 3},  {"data", 4},  {"mailto", 6}, {"javascript", 10},
        {"info", 4}, {"http", 4}, {"https", 5}, {"ivo", 3},
    };
    size_t colon = text_find_byte(whole, 0, ':');
    struct text scope = text_slice(whole, 0, colon);
    struct text name = after(whole, colon + 1);
    bool is_foreign = text_starts_with(name, TEXT("//"));
    for (size_t i = 0; i < sizeof FOREIGN / sizeof FOREIGN[0]; i++) {
        is_foreign = is_foreign || text_equal_no_case(scope, FOREIGN[i]);
    }
    if (is_foreign || colon == whole.length || !is_scope(scope)) {
        return refuse(whole, "is of no kind that is known",
                      "use a DOI, ARK, Handle (hdl:), URN, IVOID, http(s) address or scope:name",
                      error);
    }
    bool is_fine = name.length > 0 && name.length <= IDENTIFIER_NAME_MAX;
    for (size_t i = 0; is_fine && i < name.length; i++) {
        char byte = name.bytes[i];
        is_fine = is_letter(byte) || is_digit(byte) || strchr("._-/+=@,~:#", byte);
    }
    if (!is_fine) {
        return refuse(whole, "has a name that scope:name does not allow",
                      "use 1 to 250 letters, digits and . _ - / + = @ , ~ : # behind the scope",
                      error);
    }
    buffer_append_text(out, whole);
    return OK;
}

static enum status check_bytes(struct text text, struct error *error)
{
    if (text.length == 0) {
        (void)error_set(error, INVALID, "an identifier is empty");
        error_fix(error, "give a DOI, ARK, Handle, URN, IVOID, URL or scope:name");
        return INVALID;
    }
    if (text.length > IDENTIFIER_SIZE_MAX) {
        (void)error_set(error, INVALID, "an identifier has %zu bytes; at most %d are allowed",
                        text.length, IDENTIFIER_SIZE_MAX);
        error_fix(error, "register it under a shorter alias");
        return INVALID;
    }
    if (!text_is_utf8(text)) {
        (void)error_set(error, INVALID, "an identifier is not UTF-8");
        error_fix(error, "percent-encode it, or send it as UTF-8");
        return INVALID;
    }
    if (text_has_control(text) || text_contains_byte(text, ' ')) {
        (void)error_set(error, INVALID,
                        "an identifier has a space, a line break or another control character");
        error_fix(error, "leave it out; in a URL write a space as %%20");
        return INVALID;
    }
    return OK;
}

static enum status parse_kind(struct text text, struct buffer *out, enum identifier_kind *kind,
                              struct error *error)
{
    struct url_parts parts;
    if (url_split(text, &parts)) {
        return parse_url(text, out, kind, error);
    }
    struct text rest = text;
    if (take_prefix(&rest, TEXT("doi:")) || text_starts_with(text, TEXT("10."))) {
        *kind = IDENTIFIER_DOI;
        return parse_doi(rest, text, out, error);
    }
    if (take_prefix(&rest, TEXT("ark:"))) {
        *kind = IDENTIFIER_ARK;
        return parse_ark(rest, text, out, error);
    }
    if (take_prefix(&rest, TEXT("hdl:")) || take_prefix(&rest, TEXT("info:hdl/"))) {
        return parse_handle(rest, text, out, kind, error);
    }
    if (take_prefix(&rest, TEXT("urn:"))) {
        *kind = IDENTIFIER_URN;
        return parse_urn(rest, text, out, error);
    }
    if (take_prefix(&rest, TEXT("ivo://"))) {
        *kind = IDENTIFIER_IVOID;
        return parse_ivoid(rest, text, out, error);
    }
    *kind = IDENTIFIER_SCOPED;
    return parse_scoped(text, out, error);
}

enum status identifier_parse(struct text text, struct identifier *out, struct error *error)
{
    TRY(check_bytes(text, error));
    AUTO_BUFFER struct buffer normal = {.max = IDENTIFIER_SIZE_MAX};
    enum identifier_kind kind = IDENTIFIER_SCOPED;
    TRY(parse_kind(text, &normal, &kind, error));
    if (normal.is_overflown) {
        (void)error_set(error, INVALID, "an identifier in normal form passes %d bytes",
                        IDENTIFIER_SIZE_MAX);
        error_fix(error, "register it under a shorter alias");
        return INVALID;
    }
    // Of the normal form, as normalising can bring such a part to light; in a URL it is resolved already.
    struct text whole = buffer_text(&normal);
    struct text behind_scheme = after(whole, text_find_byte(whole, 0, ':') + 1);
    if (kind != IDENTIFIER_URL && has_dot_part(behind_scheme)) {
        return refuse(text, DOT_PART, DOT_PART_FIX, error);
    }
    out->kind = kind;
    out->length = normal.length;
    memcpy(out->bytes, normal.bytes, normal.length + 1);
    return OK;
}

const char *identifier_kind_name(enum identifier_kind kind)
{
    static const char *const NAMES[] = {"doi", "ark", "handle", "urn", "ivoid", "url", "scoped"};
    return NAMES[kind];
}
