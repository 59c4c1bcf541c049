#include "http/connection.h"

#include "base/memory.h"
#include "http/server_parts.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

enum {
    SEND_BUDGET = 4 << 20,    // Of one file, before other connections have their turn.
    COPY_SIZE_MAX = 16 << 10, // Larger bodies are handed over instead of copied.
};

static void put(struct connection *connection, struct text text)
{
    int result = evbuffer_add(connection->transport.output, text.bytes, text.length);
    assert(result == 0);
}

static void free_bytes(const void *bytes, size_t length, void *context)
{
    (void)bytes;
    (void)length;
    free(context);
}

static void put_body(struct connection *connection, struct buffer *body)
{
    if (body->length <= COPY_SIZE_MAX) {
        put(connection, buffer_text(body));
        return;
    }
    size_t length = body->length;
    char *bytes = buffer_take_string(body);
    int result =
        evbuffer_add_reference(connection->transport.output, bytes, length, free_bytes, bytes);
    assert(result == 0);
}

// The head, with the fields that only the connection knows. `length` < 0: not known, or no body.
static void put_head(struct connection *connection, const struct buffer *head, int64_t length,
                     bool is_chunked, bool is_version_1_0)
{
    put(connection, buffer_text(head));
    put(connection, TEXT("Date: "));
    put(connection, text_of(loop_date(connection->loop)));
    if (length >= 0) {
        char digits[24];
        int used = snprintf(digits, sizeof digits, "%lld", (long long)length);
        put(connection, TEXT("\r\nContent-Length: "));
        put(connection, (struct text){digits, (size_t)used});
    }
    if (is_chunked) {
        put(connection, TEXT("\r\nTransfer-Encoding: chunked"));
    }
    if (connection->must_close) {
        put(connection, TEXT("\r\nConnection: close"));
    } else if (is_version_1_0) {
        put(connection, TEXT("\r\nConnection: keep-alive"));
    }
    put(connection, TEXT("\r\n\r\n"));
}

static void finish(struct connection *connection)
{
    exchange_free(TAKE(connection->exchange));
    connection->phase = connection->must_close ? PHASE_CLOSING : PHASE_HEAD;
}

static void take_whole(struct connection *connection, struct answer *answer)
{
    struct http_exchange *exchange = connection->exchange;
    bool is_head = text_equal(exchange->request.method, TEXT("HEAD"));
    bool is_bare = answer_is_bare(answer->code);
    int64_t length = answer->is_file ? answer->file_length : (int64_t)answer->body.length;
    put_head(connection, &answer->head, is_bare ? -1 : length, false,
             exchange->head.is_version_1_0);
    if (!is_head && !is_bare && answer->is_file && length > 0) {
        connection->file_fd = answer->file_fd;
        connection->file_from = answer->file_from;
        connection->file_length = length;
        connection->file_sent = answer->file_sent;
        answer->is_file = false;
    } else if (!is_head && !is_bare && !answer->is_file) {
        put_body(connection, &answer->body);
    }
    finish(connection);
}

static void take_piece(struct connection *connection, struct answer *answer)
{
    struct http_exchange *exchange = connection->exchange;
    atomic_fetch_sub(&exchange->posted_bytes, (int64_t)answer->body.length);
    if (text_equal(exchange->request.method, TEXT("HEAD"))) {
        return;
    }
    char size[24];
    int used = snprintf(size, sizeof size, "%zx\r\n", answer->body.length);
    if (exchange->is_chunked) {
        put(connection, (struct text){size, (size_t)used});
    }
    put_body(connection, &answer->body);
    if (exchange->is_chunked) {
        put(connection, TEXT("\r\n"));
    }
}

void http_connection_take(struct connection *connection, struct answer *answer)
{
    struct http_exchange *exchange = connection->exchange;
    if (connection->phase == PHASE_BODY) {
        connection->must_linger = true;
    }
    connection->must_close = connection->must_close || !exchange->head.is_keep_alive ||
                             connection->must_linger || connection->loop->is_draining;
    switch (answer->kind) {
    case ANSWER_WHOLE:
        take_whole(connection, answer);
        break;
    case ANSWER_BEGIN:
        exchange->is_chunked = !exchange->head.is_version_1_0;
        connection->must_close = connection->must_close || !exchange->is_chunked;
        put_head(connection, &answer->head, -1, exchange->is_chunked, false);
        break;
    case ANSWER_PIECE:
        take_piece(connection, answer);
        break;
    case ANSWER_END:
        if (exchange->is_chunked && !text_equal(exchange->request.method, TEXT("HEAD"))) {
            put(connection, TEXT("0\r\n\r\n"));
        }
        finish(connection);
        break;
    }
    http_connection_send(connection);
}

void http_connection_refuse(struct connection *connection, const struct refusal *refusal,
                            const char *allowed)
{
    struct http_server *server = connection->loop->server;
    AUTO_BUFFER struct buffer body = {0};
    const char *content_type = "text/plain; charset=utf-8";
    if (server->problem) {
        server->problem(refusal->code, refusal->detail, refusal->fix, &body, &content_type);
    } else {
        buffer_printf(&body, "%s\n", refusal->detail);
    }
    struct http_field field = {"Allow", allowed};
    struct http_response response = {
        .code = refusal->code,
        .content_type = content_type,
        .fields = &field,
        .field_count = allowed ? 1 : 0,
        .body = buffer_text(&body),
    };
    struct answer answer = {.kind = ANSWER_WHOLE, .exchange = connection->exchange};
    answer_fill(&answer, &response);
    if (connection->exchange) {
        http_connection_take(connection, &answer);
    } else {
        connection->must_close = true;
        connection->must_linger = true;
        put_head(connection, &answer.head, (int64_t)answer.body.length, false, false);
        put_body(connection, &answer.body);
        connection->phase = PHASE_CLOSING;
        http_connection_send(connection);
    }
    answer_done(&answer);
}

// The next step of sending: the output, then the file.
static enum transport_result send_step(struct connection *connection)
{
    enum transport_result result = transport_flush(&connection->transport);
    if (result != TRANSPORT_DONE || connection->file_fd < 0) {
        return result;
    }
    int64_t left = connection->file_length;
    result = transport_send_file(&connection->transport, connection->file_fd,
                                 &connection->file_from, &connection->file_length, SEND_BUDGET,
                                 connection->loop->write_block, LOOP_BLOCK_SIZE);
    if (connection->file_sent) {
        atomic_fetch_add(connection->file_sent, left - connection->file_length);
    }
    if (result == TRANSPORT_DONE) {
        (void)close(connection->file_fd);
        connection->file_fd = -1;
    }
    return result;
}

void http_connection_send(struct connection *connection)
{
    if (connection->phase == PHASE_GONE) {
        return;
    }
    enum transport_result result = send_step(connection);
    if (connection->exchange) {
        atomic_store(&connection->exchange->unsent_bytes,
                     (int64_t)evbuffer_get_length(connection->transport.output));
    }
    if (result == TRANSPORT_BLOCKED) {
        (void)event_add(connection->writable, NULL);
        return;
    }
    if (result != TRANSPORT_DONE) {
        connection->phase = PHASE_GONE;
        return;
    }
    if (connection->phase == PHASE_CLOSING) {
        transport_end(&connection->transport);
        connection->phase = connection->must_linger ? PHASE_LINGERING : PHASE_GONE;
    }
}
