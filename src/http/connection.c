#include "http/connection.h"

#include "base/memory.h"
#include "http/server_parts.h"
#include "os/clock.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LINGER_US = 2000000,
    READS_MAX = 8,            // Blocks read from one connection before others have their turn.
    WAITING_SIZE_MAX = 65536, // Pipelined bytes that are kept while an answer is awaited.
    UNSENT_SIZE_MAX = 65536,  // Of answers, before the next pipelined request is taken.
    SAID_PATH_MAX = 200,      // Bytes of a path that a refusal repeats.
};

static void connection_free(struct connection *connection)
{
    struct loop *loop = connection->loop;
    http_handshake_leave(connection);
    if (connection->previous) {
        connection->previous->next = connection->next;
    } else {
        loop->connections = connection->next;
    }
    if (connection->next) {
        connection->next->previous = connection->previous;
    }
    event_free(connection->readable);
    event_free(connection->writable);
    event_free(connection->timer);
    if (connection->file_fd >= 0) {
        (void)close(connection->file_fd);
    }
    buffer_done(&connection->input);
    transport_done(&connection->transport);
    free(connection);
    atomic_fetch_sub(&loop->connection_count, 1);
    struct http_server *server = loop->server;
    pthread_mutex_lock(&server->mutex);
    if (atomic_fetch_sub(&server->connection_count, 1) == 1) {
        pthread_cond_broadcast(&server->is_empty);
    }
    pthread_mutex_unlock(&server->mutex);
}

// What becomes of the request when its client has left.
static void abandon_exchange(struct connection *connection)
{
    struct http_exchange *exchange = TAKE(connection->exchange);
    const struct http_sink *sink = TAKE(connection->sink);
    if (sink) {
        sink->abort(connection->sink_state);
    }
    if (exchange && exchange->is_handed_over) {
        exchange_leave(exchange);
    } else {
        exchange_free(exchange);
    }
}

// The deadline that the connection's state asks for now; *kind says which.
static int64_t wanted_deadline(const struct connection *connection, enum deadline_kind *kind)
{
    const struct http_server *server = connection->loop->server;
    bool is_sending = http_connection_has_unsent(connection);
    *kind = DEADLINE_IDLE;
    switch (connection->phase) {
    case PHASE_HANDSHAKE:
        *kind = DEADLINE_FIXED;
        return server->header_timeout_us;
    case PHASE_LINGERING:
        *kind = DEADLINE_FIXED;
        return LINGER_US;
    case PHASE_HEAD:
        if (!is_sending && connection->scan.length > 0) {
            *kind = DEADLINE_FIXED;
            return server->header_timeout_us;
        }
        *kind = is_sending ? DEADLINE_SENDING : DEADLINE_IDLE;
        return server->idle_timeout_us;
    case PHASE_ANSWER:
    case PHASE_CLOSING:
        *kind = is_sending ? DEADLINE_SENDING : DEADLINE_NONE;
        return server->idle_timeout_us;
    case PHASE_BODY:
    case PHASE_GONE:
        break;
    }
    return server->idle_timeout_us;
}

static void arm_timer(struct connection *connection, int64_t now_us)
{
    int64_t wait_us = connection->deadline_us - now_us;
    wait_us = wait_us > 0 ? wait_us : 1;
    struct timeval wait = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
    (void)event_add(connection->timer, &wait);
    connection->timer_at_us = connection->deadline_us;
}

static void set_deadline(struct connection *connection)
{
    enum deadline_kind kind;
    int64_t after_us = wanted_deadline(connection, &kind);
    bool is_same = kind == connection->deadline_kind;
    bool is_stuck =
        kind == DEADLINE_SENDING && connection->sent_seen == connection->transport.sent_bytes;
    if (is_same && (kind == DEADLINE_FIXED || kind == DEADLINE_NONE || is_stuck)) {
        return;
    }
    connection->deadline_kind = kind;
    connection->sent_seen = connection->transport.sent_bytes;
    if (kind == DEADLINE_NONE) {
        return; // The timer comes once, and sees that nothing is due.
    }
    int64_t now_us = clock_steady_us();
    connection->deadline_us = now_us + after_us;
    // A timer that comes too early sets itself again, so that a busy connection need not set it each time.
    if (connection->timer_at_us == 0 || connection->timer_at_us > connection->deadline_us) {
        arm_timer(connection, now_us);
    }
}

static void set_reading(struct connection *connection, bool is_reading)
{
    if (is_reading == connection->is_reading) {
        return;
    }
    connection->is_reading = is_reading;
    if (!is_reading) {
        (void)event_del(connection->readable);
        return;
    }
    (void)event_add(connection->readable, NULL);
    if (transport_has_more(&connection->transport)) {
        event_active(connection->readable, EV_READ, 0);
    }
}

// The end of whatever was done with the connection: frees it when it is gone, else says what it waits for.
static void settle(struct connection *connection)
{
    if (connection->phase == PHASE_GONE) {
        abandon_exchange(connection);
        connection_free(connection);
        return;
    }
    set_reading(connection, !connection->is_waiting && connection->phase != PHASE_CLOSING &&
                                connection->input.length < WAITING_SIZE_MAX);
    set_deadline(connection);
}

static void refuse(struct connection *connection, const struct refusal *refusal)
{
    http_connection_refuse(connection, refusal, NULL);
}

static bool on_body(void *context, struct text bytes)
{
    struct connection *connection = context;
    if (connection->sink) {
        // An answer of `data` goes by mail, lest it end the arena before `abort` has seen the state in it.
        connection->loop->current = NULL;
        bool is_wanted = connection->sink->data(connection->sink_state, bytes);
        connection->loop->current = connection;
        connection->exchange->is_handed_over = !is_wanted;
        return is_wanted;
    }
    buffer_append_text(&connection->exchange->body, bytes);
    return !connection->exchange->body.is_overflown;
}

// Runs the handler, or the end of the sink, with the request complete.
static void hand_over(struct connection *connection)
{
    struct http_exchange *exchange = connection->exchange;
    exchange->is_handed_over = true;
    exchange->request.body = buffer_text(&exchange->body);
    connection->phase = PHASE_ANSWER;
    const struct http_sink *sink = TAKE(connection->sink);
    if (sink) {
        sink->end(connection->sink_state, &exchange->request);
    } else {
        connection->route->handle(&exchange->request, connection->loop->server->context);
    }
}

// Who shall have the body: the route's sink, or the memory for its handler. False: nobody, and the exchange is answered
// or will be.
static bool choose_taker(struct connection *connection)
{
    static const struct refusal TOO_LARGE = {
        413, "the request's body is too large for this address", "send less, or in parts"};
    struct http_exchange *exchange = connection->exchange;
    const struct http_server *server = connection->loop->server;
    const struct http_route *route = connection->route;
    if (route->sink) {
        connection->sink_state = route->sink->begin(&exchange->request, server->context);
        connection->sink = connection->sink_state ? route->sink : NULL;
        return connection->sink;
    }
    if (exchange->head.content_length > (int64_t)route->body_max ||
        (exchange->head.is_chunked && route->body_max == 0)) {
        refuse(connection, &TOO_LARGE);
        return false;
    }
    buffer_init(&exchange->body, route->body_max);
    return !server->admit || server->admit(&exchange->request, server->context);
}

// Gets ready for a body. False: it is not wanted, and the exchange is answered or will be.
static bool begin_body(struct connection *connection)
{
    connection->phase = PHASE_BODY;
    if (!choose_taker(connection)) {
        if (connection->exchange) {
            connection->exchange->is_handed_over = true;
        }
        return false;
    }
    const struct request_head *head = &connection->exchange->head;
    if (head->expects_continue && !head->is_version_1_0 && head_has_body(head) &&
        connection->incoming.length == 0) {
        int result =
            evbuffer_add_printf(connection->transport.output, "HTTP/1.1 100 Continue\r\n\r\n");
        assert(result > 0);
        http_connection_send(connection);
    }
    return true;
}

static void fill_request(struct connection *connection)
{
    struct http_exchange *exchange = connection->exchange;
    exchange->request.method = exchange->head.method;
    exchange->request.path = exchange->head.path;
    exchange->request.query = exchange->head.query;
    exchange->request.peer_address = (struct text){
        arena_copy(&exchange->arena, text_of(connection->address)), strlen(connection->address)};
    if (connection->has_peer_key) {
        exchange->request.peer_key =
            arena_copy(&exchange->arena, text_of(connection->peer_key.text));
    }
    if (connection->peer_name[0] && clock_real_us() <= connection->peer_name_until_us) {
        exchange->request.peer_name = arena_copy(&exchange->arena, text_of(connection->peer_name));
    }
}

// Finds who serves the request. False: nobody, and it is answered.
static bool find_route(struct connection *connection)
{
    struct http_exchange *exchange = connection->exchange;
    const char *allowed = NULL;
    enum router_outcome outcome =
        router_find(connection->loop->server->router, exchange->head.method, exchange->head.path,
                    &exchange->arena, &connection->route, exchange->request.parameters, &allowed);
    if (outcome == ROUTER_FOUND) {
        exchange->request.route = connection->route;
        return true;
    }
    struct text path = text_slice(exchange->head.path, 0, SAID_PATH_MAX);
    struct refusal refusal = {
        404, arena_format(&exchange->arena, "nothing is served at %.*s", TEXT_ARGS(path)),
        "see the API's description for the addresses"};
    if (outcome == ROUTER_NO_METHOD) {
        refusal = (struct refusal){405,
                                   arena_format(&exchange->arena, "%.*s does not serve %.*s",
                                                TEXT_ARGS(path), TEXT_ARGS(exchange->head.method)),
                                   "use one of the methods in the Allow field"};
    }
    http_connection_refuse(connection, &refusal, allowed);
    return false;
}

// Reads on in a head; true when it is complete and there may be more to do.
static bool step_head(struct connection *connection)
{
    if (connection->file_fd >= 0 ||
        evbuffer_get_length(connection->transport.output) > UNSENT_SIZE_MAX) {
        return false;
    }
    struct refusal refusal = {0};
    struct text incoming = connection->incoming;
    (void)head_scan(&connection->scan,
                    text_slice(incoming, connection->scan.length, incoming.length), &refusal);
    if (refusal.code == 0 && !connection->scan.is_complete) {
        return false;
    }
    size_t length = connection->scan.length;
    connection->incoming = text_slice(incoming, length, incoming.length);
    connection->scan = (struct head_scan){0};
    if (refusal.code != 0) {
        refuse(connection, &refusal);
        return false;
    }
    struct http_exchange *exchange = exchange_new(connection->loop, connection);
    parser_init(&connection->parser, on_body, connection);
    if (!parser_read_head(&connection->parser, text_slice(incoming, 0, length), &exchange->arena,
                          &exchange->head, &refusal)) {
        exchange_free(exchange);
        refuse(connection, &refusal);
        return false;
    }
    connection->exchange = exchange;
    fill_request(connection);
    connection->phase = connection->parser.is_complete ? PHASE_ANSWER : PHASE_BODY;
    if (!find_route(connection)) {
        return true;
    }
    bool has_body = !connection->parser.is_complete;
    if ((has_body || connection->route->sink) && !begin_body(connection)) {
        return true;
    }
    if (!has_body) {
        hand_over(connection);
    }
    return true;
}

// Ends a body that was refused by the parser, the limit or the sink.
static void stop_body(struct connection *connection, struct refusal *refusal)
{
    const struct http_sink *sink = TAKE(connection->sink);
    if (sink) {
        sink->abort(connection->sink_state);
    } else if (connection->parser.is_stopped) {
        *refusal = (struct refusal){413, "the request's body is too large for this address",
                                    "send less, or in parts"};
    }
    if (refusal->code != 0 && connection->exchange) {
        refuse(connection, refusal);
    }
}

// Reads on in a body; true when it is complete.
static bool step_body(struct connection *connection)
{
    if (connection->incoming.length == 0 || connection->parser.is_stopped ||
        connection->exchange->is_handed_over) {
        connection->incoming = TEXT_NONE; // What was refused is dropped as it comes.
        return false;
    }
    struct refusal refusal = {0};
    struct text incoming = connection->incoming;
    connection->incoming = TEXT_NONE;
    size_t used = 0;
    if (!parser_read_body(&connection->parser, incoming, &used, &refusal)) {
        stop_body(connection, &refusal);
        return false;
    }
    connection->incoming = text_slice(incoming, used, incoming.length);
    if (!connection->parser.is_complete) {
        return false;
    }
    hand_over(connection);
    return true;
}

// Uses what has come in as far as the connection's state allows.
static void advance(struct connection *connection)
{
    if (connection->is_advancing) {
        return;
    }
    connection->is_advancing = true;
    connection->loop->current = connection;
    bool goes_on = true;
    while (goes_on) {
        if (connection->phase == PHASE_HEAD) {
            goes_on = step_head(connection);
        } else if (connection->phase == PHASE_BODY) {
            goes_on = step_body(connection);
        } else {
            goes_on = false;
        }
    }
    if (connection->phase == PHASE_LINGERING || connection->phase == PHASE_CLOSING) {
        connection->incoming = TEXT_NONE;
    }
    connection->loop->current = NULL;
    connection->is_advancing = false;
}

// As above with what was kept; keeps what is left.
static void advance_with_input(struct connection *connection)
{
    connection->incoming = buffer_text(&connection->input);
    advance(connection);
    size_t used = connection->input.length - connection->incoming.length;
    if (used == connection->input.length) {
        buffer_done(&connection->input);
        buffer_init(&connection->input, 0);
    } else {
        buffer_consume(&connection->input, used);
    }
    connection->incoming = TEXT_NONE;
}

// As above with a block that was just read.
static void advance_with_block(struct connection *connection, struct text block)
{
    if (connection->input.length > 0) {
        buffer_append_text(&connection->input, block);
        advance_with_input(connection);
        return;
    }
    connection->incoming = block;
    advance(connection);
    buffer_append_text(&connection->input, connection->incoming);
    connection->incoming = TEXT_NONE;
}

static bool wants_more(const struct connection *connection)
{
    return connection->phase != PHASE_GONE && connection->phase != PHASE_CLOSING &&
           connection->input.length < WAITING_SIZE_MAX;
}

static void read_on(struct connection *connection)
{
    char *block = connection->loop->read_block;
    size_t size = connection->phase == PHASE_BODY ? LOOP_BLOCK_SIZE : LOOP_BLOCK_SIZE / 4;
    for (int i = 0; i < READS_MAX && wants_more(connection); i++) {
        size_t got = 0;
        enum transport_result result = transport_read(&connection->transport, block, size, &got);
        if (result == TRANSPORT_BLOCKED) {
            return;
        }
        if (result == TRANSPORT_CLOSED && !connection->exchange &&
            http_connection_has_unsent(connection)) {
            connection->phase = PHASE_CLOSING; // It has ended its side, and still reads.
            return;
        }
        if (result != TRANSPORT_DONE) {
            connection->phase = PHASE_GONE;
            return;
        }
        advance_with_block(connection, (struct text){block, got});
        if (got < size && !transport_has_more(&connection->transport)) {
            return;
        }
    }
    if (transport_has_more(&connection->transport) && connection->is_reading) {
        event_active(connection->readable, EV_READ, 0);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct connection *connection = context;
    if (connection->phase == PHASE_HANDSHAKE) {
        http_handshake_queue(connection);
    } else {
        read_on(connection);
    }
    settle(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct connection *connection = context;
    if (connection->phase == PHASE_HANDSHAKE) {
        http_handshake_queue(connection);
    } else {
        http_connection_send(connection);
        advance_with_input(connection);
    }
    settle(connection);
}

// Is the rest of a body wanted, by one who can still be told that it did not come?
static bool is_body_awaited(const struct connection *connection)
{
    return connection->phase == PHASE_BODY && connection->exchange &&
           !connection->exchange->is_handed_over && !connection->parser.is_stopped;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    static const struct refusal TOO_SLOW = {408, "the request did not arrive in time",
                                            "send it faster"};
    (void)fd;
    (void)what;
    struct connection *connection = context;
    connection->timer_at_us = 0;
    if (connection->deadline_kind == DEADLINE_NONE || connection->is_waiting) {
        return; // With its turn comes a later deadline.
    }
    int64_t now_us = clock_steady_us();
    if (now_us < connection->deadline_us) {
        arm_timer(connection, now_us);
        return;
    }
    bool is_late_head = connection->phase == PHASE_HEAD && connection->scan.length > 0 &&
                        !http_connection_has_unsent(connection);
    connection->deadline_kind = DEADLINE_NONE; // It is over; what comes next has one of its own.
    if (connection->phase == PHASE_HANDSHAKE) {
        // By turns as well: the deadlines of those that came at once pass at once.
        connection->is_late = true;
        http_handshake_queue(connection);
    } else if (is_late_head) {
        connection->scan = (struct head_scan){0};
        refuse(connection, &TOO_SLOW);
    } else if (is_body_awaited(connection)) {
        struct refusal refusal = TOO_SLOW;
        stop_body(connection, &refusal);
    } else {
        connection->phase = PHASE_GONE;
    }
    settle(connection);
}

void http_connection_open(struct loop *loop, int fd, const char *address)
{
    struct connection *connection = NEW(struct connection);
    connection->loop = loop;
    connection->file_fd = -1;
    transport_init(&connection->transport, fd, loop->server->tls);
    (void)snprintf(connection->address, sizeof connection->address, "%s", address);
    connection->readable = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable = event_new(loop->base, fd, EV_WRITE, on_writable, connection);
    connection->timer = event_new(loop->base, -1, 0, on_timer, connection);
    assert(connection->readable && connection->writable && connection->timer);
    connection->next = loop->connections;
    if (loop->connections) {
        loop->connections->previous = connection;
    }
    loop->connections = connection;
    connection->phase = loop->server->tls ? PHASE_HANDSHAKE : PHASE_HEAD;
    if (loop->is_draining) {
        connection->phase = PHASE_GONE;
    }
    settle(connection);
}

void http_connection_resume(struct connection *connection, bool may_read)
{
    if (may_read) {
        read_on(connection);
    }
    // It may have come while the connection waited for its turn.
    if (connection->phase != PHASE_GONE && connection->deadline_kind != DEADLINE_NONE &&
        connection->timer_at_us == 0) {
        arm_timer(connection, clock_steady_us());
    }
    settle(connection);
}

void http_connection_deliver(struct connection *connection, struct answer *answer)
{
    http_connection_take(connection, answer);
    advance_with_input(connection);
    settle(connection);
}

void http_connection_drain(struct connection *connection)
{
    if (connection->phase == PHASE_HANDSHAKE || connection->phase == PHASE_HEAD ||
        connection->phase == PHASE_LINGERING) {
        connection->must_close = true;
        connection->phase = http_connection_has_unsent(connection) ? PHASE_CLOSING : PHASE_GONE;
        settle(connection);
    }
}

void http_connection_drop(struct connection *connection)
{
    connection->phase = PHASE_GONE;
    settle(connection);
}
