#include "http/parser.h"

#include "http/server.h"

static bool refuse(struct refusal *refusal, int code, const char *detail, const char *fix)
{
    *refusal = (struct refusal){code, detail, fix};
    return false;
}

// Is the byte one that a head may hold besides CR and LF?
static bool is_head_byte(unsigned char byte)
{
    return byte >= 0x20 ? byte != 0x7F : byte == '\t';
}

static bool scan_byte(struct head_scan *scan, unsigned char byte, struct refusal *refusal)
{
    if (scan->has_carriage_return != (byte == '\n')) {
        return refuse(refusal, 400, "a line of the request's head does not end with CR LF",
                      "end each line with CR LF");
    }
    if (byte == '\n') {
        scan->has_carriage_return = false;
        scan->line_ends++;
        scan->is_complete = scan->line_ends >= 2;
        return scan->has_content || !scan->is_complete ||
               refuse(refusal, 400, "there are empty lines before the request line", "");
    }
    if (byte == '\r') {
        scan->has_carriage_return = true;
        return true;
    }
    if (!is_head_byte(byte)) {
        return refuse(refusal, 400, "the request's head holds a control byte",
                      "check that client and server both speak HTTP, or both HTTPS");
    }
    if (scan->line_ends == 1 && scan->has_content && (byte == ' ' || byte == '\t')) {
        return refuse(refusal, 400, "a header field is folded over two lines",
                      "put each field on one line");
    }
    scan->line_ends = 0;
    scan->has_content = true;
    return true;
}

size_t head_scan(struct head_scan *scan, struct text bytes, struct refusal *refusal)
{
    size_t used = 0;
    while (used < bytes.length && !scan->is_complete) {
        if (scan->length >= HTTP_HEADER_SIZE_MAX) {
            (void)refuse(refusal, 431, "the request's head is larger than 32768 bytes",
                         "send shorter header fields or a shorter address");
            break;
        }
        if (!scan_byte(scan, (unsigned char)bytes.bytes[used], refusal)) {
            break;
        }
        used++;
        scan->length++;
    }
    return used;
}

bool head_find(const struct request_head *head, const char *name, struct text *value)
{
    struct text wanted = text_of(name);
    for (size_t i = 0; i < head->field_count; i++) {
        if (text_equal_no_case(head->fields[i].name, wanted)) {
            *value = head->fields[i].value;
            return true;
        }
    }
    return false;
}

static size_t head_count(const struct request_head *head, const char *name)
{
    struct text wanted = text_of(name);
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        count += text_equal_no_case(head->fields[i].name, wanted) ? 1 : 0;
    }
    return count;
}

// llhttp reports a part in one or more pieces that lie behind each other: the first sets it, later ones extend it.
static void extend(struct text *part, const char *at, size_t length)
{
    if (!part->bytes) {
        part->bytes = at;
    }
    part->length = (size_t)(at - part->bytes) + length;
}

static int on_method(llhttp_t *engine, const char *at, size_t length)
{
    struct parser *parser = engine->data;
    extend(&parser->head->method, at, length);
    return 0;
}

static int on_target(llhttp_t *engine, const char *at, size_t length)
{
    struct parser *parser = engine->data;
    extend(&parser->head->path, at, length);
    return 0;
}

static int on_field_name(llhttp_t *engine, const char *at, size_t length)
{
    struct parser *parser = engine->data;
    if (!parser->head || parser->head->field_count >= HTTP_FIELDS_MAX) {
        parser->has_too_many_fields = parser->head != NULL;
        return -1; // Without a head these are the trailers of a chunked body, which nothing here needs.
    }
    extend(&parser->head->fields[parser->head->field_count].name, at, length);
    return 0;
}

static int on_field_value(llhttp_t *engine, const char *at, size_t length)
{
    struct parser *parser = engine->data;
    if (!parser->head) {
        return -1;
    }
    extend(&parser->head->fields[parser->head->field_count].value, at, length);
    return 0;
}

static int on_field_end(llhttp_t *engine)
{
    struct parser *parser = engine->data;
    if (!parser->head) {
        return -1;
    }
    struct head_field *field = &parser->head->fields[parser->head->field_count];
    field->value = text_trim(field->value);
    parser->head->field_count++;
    return 0;
}

static int on_head_end(llhttp_t *engine)
{
    engine->upgrade =
        0; // Upgrades are not offered; the field is ignored, as RFC 9110 section 7.8 allows.
    return 0;
}

static int on_body(llhttp_t *engine, const char *at, size_t length)
{
    struct parser *parser = engine->data;
    if (!parser->on_body(parser->context, (struct text){at, length})) {
        parser->is_stopped = true;
        return -1;
    }
    return 0;
}

static int on_message_end(llhttp_t *engine)
{
    struct parser *parser = engine->data;
    parser->is_complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t SETTINGS = {
    .on_method = on_method,
    .on_url = on_target,
    .on_header_field = on_field_name,
    .on_header_value = on_field_value,
    .on_header_value_complete = on_field_end,
    .on_headers_complete = on_head_end,
    .on_body = on_body,
    .on_message_complete = on_message_end,
};

void parser_init(struct parser *parser, bool (*on_body_bytes)(void *context, struct text bytes),
                 void *context)
{
    *parser = (struct parser){.on_body = on_body_bytes, .context = context};
    llhttp_init(&parser->engine, HTTP_REQUEST, &SETTINGS);
    parser->engine.data = parser;
}

static bool refuse_for(struct refusal *refusal, const struct parser *parser, llhttp_errno_t reason)
{
    if (parser->has_too_many_fields) {
        return refuse(refusal, 431, "the request has more than 128 header fields", "send fewer");
    }
    switch ((int)reason) {
    case HPE_INVALID_METHOD:
        return refuse(refusal, 501, "the request's method is not known here", "");
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        return refuse(refusal, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here", "use HTTP/1.1");
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
        return refuse(refusal, 400, "the length of the request's body is ambiguous or broken",
                      "send one Content-Length, or Transfer-Encoding: chunked");
    case HPE_INVALID_CHUNK_SIZE:
        return refuse(refusal, 400, "a chunk of the request's body is broken", "");
    case HPE_INVALID_HEADER_TOKEN:
        return refuse(refusal, 400, "a header field of the request is broken", "");
    case HPE_INVALID_URL:
        return refuse(refusal, 400, "the request's address is broken", "percent-encode it");
    default:
        return refuse(refusal, 400, "the request is not well-formed HTTP/1.1", "");
    }
}

// Takes "http://host" off an absolute address (RFC 9112 section 3.2.2), and the query off the path.
static bool split_target(struct request_head *head, struct refusal *refusal)
{
    struct text target = head->path;
    if (text_starts_with(target, TEXT("http://")) || text_starts_with(target, TEXT("https://"))) {
        size_t host = text_find_byte(target, 0, '/') + 2;
        target = text_slice(target, text_find_byte(target, host, '/'), target.length);
    }
    if (target.length == 0 || target.bytes[0] != '/' || text_contains_byte(target, '#')) {
        return refuse(refusal, 400, "the request's address is not a path that starts with /", "");
    }
    size_t question = text_find_byte(target, 0, '?');
    head->path = text_slice(target, 0, question);
    head->query = text_slice(target, question + 1, target.length);
    return true;
}

static bool judge_length(struct request_head *head, struct refusal *refusal)
{
    struct text value = TEXT_NONE;
    size_t encodings = head_count(head, "transfer-encoding");
    size_t lengths = head_count(head, "content-length");
    if (encodings + lengths > 1 || (encodings > 0 && head->is_version_1_0)) {
        return refuse(refusal, 400, "the length of the request's body is ambiguous",
                      "send one Content-Length, or Transfer-Encoding: chunked");
    }
    if (encodings > 0) {
        (void)head_find(head, "transfer-encoding", &value);
        head->is_chunked = text_equal_no_case(value, TEXT("chunked"));
        return head->is_chunked || refuse(refusal, 501, "the transfer encoding is not known here",
                                          "use Transfer-Encoding: chunked");
    }
    if (lengths > 0) {
        (void)head_find(head, "content-length", &value);
        int64_t length = -1;
        if (!text_to_int64(value, &length) || length < 0 || value.bytes[0] == '-') {
            return refuse(refusal, 400, "the Content-Length is not a number", "");
        }
        head->content_length = length;
    }
    return true;
}

static bool judge_head(struct request_head *head, const llhttp_t *engine, struct refusal *refusal)
{
    if (engine->http_major != 1 || engine->http_minor > 1) {
        return refuse(refusal, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here", "use HTTP/1.1");
    }
    head->is_version_1_0 = engine->http_minor == 0;
    size_t hosts = head_count(head, "host");
    if (hosts > 1 || (hosts == 0 && !head->is_version_1_0)) {
        return refuse(refusal, 400, "the request must have exactly one Host field",
                      "send one Host field");
    }
    struct text expect = TEXT_NONE;
    if (head_find(head, "expect", &expect)) {
        head->expects_continue = text_equal_no_case(expect, TEXT("100-continue"));
        if (!head->expects_continue) {
            return refuse(refusal, 417, "the only expectation met here is 100-continue", "");
        }
    }
    return split_target(head, refusal) && judge_length(head, refusal);
}

// What llhttp lets pass: more than one space in the request line (RFC 9112 section 3), and fields without a name.
static bool has_strict_lines(const struct request_head *head)
{
    const char *target = head->path.bytes;
    if (head->method.length == 0 || head->path.length == 0 ||
        head->method.bytes + head->method.length + 1 != target ||
        strncmp(target + head->path.length, " HTTP/", 6) != 0) {
        return false;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].name.length == 0) {
            return false;
        }
    }
    return true;
}

static size_t count_lines(struct text bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        count += bytes.bytes[i] == '\n' ? 1 : 0;
    }
    return count;
}

bool parser_read_head(struct parser *parser, struct text bytes, struct arena *arena,
                      struct request_head *head, struct refusal *refusal)
{
    size_t lines = count_lines(bytes);
    size_t field_max = lines < HTTP_FIELDS_MAX ? lines : HTTP_FIELDS_MAX;
    *head = (struct request_head){.content_length = -1};
    head->fields = arena_new(arena, (field_max + 1) * sizeof *head->fields);
    const char *copy = arena_copy(arena, bytes);
    parser->head = head;
    llhttp_errno_t reason = llhttp_execute(&parser->engine, copy, bytes.length);
    parser->head = NULL;
    if (reason != HPE_OK && !(reason == HPE_PAUSED && parser->is_complete)) {
        return refuse_for(refusal, parser, reason);
    }
    if (!has_strict_lines(head)) {
        return refuse(refusal, 400, "the request line or a field is broken", "");
    }
    // llhttp forgets the flags at the message's end, so a request without a body asks it no more.
    head->is_keep_alive = true;
    struct text connection = TEXT_NONE;
    bool has_connection = head_find(head, "connection", &connection);
    if (!judge_head(head, &parser->engine, refusal)) {
        return false;
    }
    bool wants_close = false;
    bool wants_keep_alive = false;
    struct text part;
    while (has_connection && text_next_part(&connection, ',', &part)) {
        wants_close |= text_equal_no_case(text_trim(part), TEXT("close"));
        wants_keep_alive |= text_equal_no_case(text_trim(part), TEXT("keep-alive"));
    }
    head->is_keep_alive = !wants_close && (!head->is_version_1_0 || wants_keep_alive);
    bool is_consistent = head_has_body(head) != parser->is_complete;
    return is_consistent || refuse(refusal, 400, "the length of the request's body is unclear", "");
}

bool parser_read_body(struct parser *parser, struct text bytes, size_t *used,
                      struct refusal *refusal)
{
    llhttp_errno_t reason = llhttp_execute(&parser->engine, bytes.bytes, bytes.length);
    if (reason == HPE_OK) {
        *used = bytes.length;
        return true;
    }
    if (reason == HPE_PAUSED && parser->is_complete) {
        *used = (size_t)(llhttp_get_error_pos(&parser->engine) - bytes.bytes);
        return true;
    }
    *used = bytes.length;
    return parser->is_stopped ? false : refuse_for(refusal, parser, reason);
}
