#include "http/exchange.h"

#include "base/hex.h"
#include "base/memory.h"
#include "http/connection.h"
#include "http/server_parts.h"

#include <assert.h>
#include <unistd.h>

struct http_exchange *exchange_new(struct loop *loop, struct connection *connection)
{
    struct http_exchange *exchange = NEW(struct http_exchange);
    exchange->loop = loop;
    exchange->connection = connection;
    exchange->request.exchange = exchange;
    exchange->request.arena = &exchange->arena;
    exchange->next = loop->exchanges;
    if (loop->exchanges) {
        loop->exchanges->previous = exchange;
    }
    loop->exchanges = exchange;
    return exchange;
}

void exchange_free(struct http_exchange *exchange)
{
    if (!exchange) {
        return;
    }
    if (exchange->previous) {
        exchange->previous->next = exchange->next;
    } else {
        exchange->loop->exchanges = exchange->next;
    }
    if (exchange->next) {
        exchange->next->previous = exchange->previous;
    }
    arena_done(&exchange->arena);
    buffer_done(&exchange->body);
    free(exchange);
}

void exchange_leave(struct http_exchange *exchange)
{
    exchange->has_fallen_silent = exchange->connection->transport.is_silent;
    exchange->connection = NULL;
    atomic_store(&exchange->is_client_gone, true);
    if (exchange->gone && !atomic_load(&exchange->is_answered)) {
        exchange->gone(exchange->gone_context);
    }
}

void http_on_gone(struct http_exchange *exchange, void (*gone)(void *context), void *context)
{
    exchange->gone = gone;
    exchange->gone_context = context;
}

void http_watch_closely(struct http_exchange *exchange, int seconds)
{
    struct connection *connection = exchange->connection;
    if (connection && !connection->is_watched) {
        connection->is_watched = true;
        transport_watch(&connection->transport, seconds);
    }
}

bool http_fell_silent(const struct http_exchange *exchange)
{
    return exchange->has_fallen_silent;
}

struct text http_header(const struct http_request *request, const char *name)
{
    struct text value = TEXT_NONE;
    (void)head_find(&request->exchange->head, name, &value);
    return value;
}

// One part of a query ("a%20b" or "a+b") decoded into the arena; false when an escape is broken.
static bool decode_query(struct arena *arena, struct text raw, struct text *out)
{
    if (!text_contains_byte(raw, '%') && !text_contains_byte(raw, '+')) {
        *out = raw;
        return true;
    }
    char *spaced = arena_copy(arena, raw);
    for (size_t i = 0; i < raw.length; i++) {
        spaced[i] = spaced[i] == '+' ? ' ' : spaced[i];
    }
    AUTO_BUFFER struct buffer decoded = {0};
    if (percent_decode((struct text){spaced, raw.length}, &decoded, NULL) != OK) {
        return false;
    }
    *out = (struct text){arena_copy(arena, buffer_text(&decoded)), decoded.length};
    return true;
}

bool http_query(const struct http_request *request, const char *name, struct text *out)
{
    struct text rest = request->query;
    struct text pair;
    while (text_next_part(&rest, '&', &pair)) {
        size_t equals = text_find_byte(pair, 0, '=');
        struct text key;
        struct text value = text_slice(pair, equals + 1, pair.length);
        if (decode_query(request->arena, text_slice(pair, 0, equals), &key) &&
            text_equal(key, text_of(name))) {
            return decode_query(request->arena, value, out);
        }
    }
    return false;
}

static const char *reason_of(int code)
{
    static const struct {
        int code;
        const char *reason;
    } REASONS[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++) {
        if (REASONS[i].code == code) {
            return REASONS[i].reason;
        }
    }
    return "Unknown";
}

// A field whose text could end the line early is left out: whatever came from outside, it cannot become two fields.
static void append_field(struct buffer *head, const char *name, const char *value)
{
    if (!value || text_has_control(text_of(name)) || text_has_control(text_of(value))) {
        return;
    }
    buffer_append_string(head, name);
    buffer_append(head, ": ", 2);
    buffer_append_string(head, value);
    buffer_append(head, "\r\n", 2);
}

void answer_fill(struct answer *answer, const struct http_response *response)
{
    assert(response->code >= 200 && response->code <= 599);
    answer->code = response->code;
    buffer_append_string(&answer->head, "HTTP/1.1 ");
    buffer_append_int64(&answer->head, response->code);
    buffer_append_byte(&answer->head, ' ');
    buffer_append_string(&answer->head, reason_of(response->code));
    buffer_append(&answer->head, "\r\n", 2);
    append_field(&answer->head, "Content-Type", response->content_type);
    for (size_t i = 0; i < response->field_count; i++) {
        append_field(&answer->head, response->fields[i].name, response->fields[i].value);
    }
    if (response->is_file) {
        answer->is_file = true;
        answer->file_fd = response->file_fd;
        answer->file_from = response->file_from;
        answer->file_length = response->file_length;
        answer->file_sent = response->file_sent;
    } else {
        buffer_append_text(&answer->body, response->body);
    }
}

void answer_done(struct answer *answer)
{
    buffer_done(&answer->head);
    buffer_done(&answer->body);
    if (answer->is_file) {
        (void)close(answer->file_fd);
    }
}

static void deliver(struct loop *loop, struct mail *mail)
{
    struct answer *answer = (struct answer *)mail;
    struct http_exchange *exchange = answer->exchange;
    (void)loop;
    if (exchange->connection) {
        http_connection_deliver(exchange->connection, answer);
    } else if (answer->kind == ANSWER_WHOLE || answer->kind == ANSWER_END) {
        exchange_free(exchange);
    }
    answer_done(answer);
    free(answer);
}

// Hands the answer over: at once where the handler of the very connection is running, by mail from anywhere else.
static void hand_over(struct answer *answer)
{
    struct http_exchange *exchange = answer->exchange;
    if (answer->kind == ANSWER_WHOLE || answer->kind == ANSWER_END) {
        atomic_store(&exchange->is_answered, true);
    }
    struct loop *loop = exchange->loop;
    if (loop_is_here(loop) && loop->current && loop->current == exchange->connection) {
        http_connection_take(exchange->connection, answer);
        answer_done(answer);
        return;
    }
    struct answer *copy = NEW(struct answer);
    *copy = *answer;
    copy->mail.deliver = deliver;
    loop_post(loop, &copy->mail);
}

void http_reply(struct http_exchange *exchange, const struct http_response *response)
{
    struct answer answer = {.exchange = exchange, .kind = ANSWER_WHOLE};
    answer_fill(&answer, response);
    hand_over(&answer);
}

void http_stream_begin(struct http_exchange *exchange, const struct http_response *head)
{
    struct answer answer = {.exchange = exchange, .kind = ANSWER_BEGIN};
    answer_fill(&answer, head);
    hand_over(&answer);
}

int64_t http_stream_write(struct http_exchange *exchange, struct text bytes)
{
    if (atomic_load(&exchange->is_client_gone)) {
        return -1;
    }
    if (bytes.length > 0) {
        struct answer answer = {.exchange = exchange, .kind = ANSWER_PIECE};
        buffer_append_text(&answer.body, bytes);
        atomic_fetch_add(&exchange->posted_bytes, (int64_t)bytes.length);
        hand_over(&answer);
    }
    return atomic_load(&exchange->posted_bytes) + atomic_load(&exchange->unsent_bytes);
}

void http_stream_end(struct http_exchange *exchange)
{
    struct answer answer = {.exchange = exchange, .kind = ANSWER_END};
    hand_over(&answer);
}
