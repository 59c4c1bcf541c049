// Handshakes, by turns. One costs as much time as ten small requests, so when thousands of clients come back at once, a loop must
// not shake hands with all of them before it serves those that are there already. What is ready in one pass of the loop is
// served first; then the handshakes that wait longest are moved on for a share of time, and the rest waits for the next
// pass, which comes without delay. So neither side starves: a request waits for one share, and each pass has one.
#include "http/connection.h"
#include "http/server_parts.h"
#include "http/tls.h"
#include "os/clock.h"

enum { SHARE_US = 500 }; // Of one pass; its last step ends a little later.

static void wake_soon(struct loop *loop)
{
    const struct timeval now = {0};
    (void)event_add(loop->turn_event, &now);
}

void http_handshake_queue(struct connection *connection)
{
    struct loop *loop = connection->loop;
    if (connection->is_waiting) {
        return;
    }
    connection->is_waiting = true;
    connection->waiting_since_us = clock_steady_us();
    connection->turn_previous = loop->last_turn;
    if (loop->last_turn) {
        loop->last_turn->turn_next = connection;
    } else {
        loop->first_turn = connection;
        wake_soon(loop);
    }
    loop->last_turn = connection;
}

void http_handshake_leave(struct connection *connection)
{
    struct loop *loop = connection->loop;
    if (!connection->is_waiting) {
        return;
    }
    if (connection->turn_previous) {
        connection->turn_previous->turn_next = connection->turn_next;
    } else {
        loop->first_turn = connection->turn_next;
    }
    if (connection->turn_next) {
        connection->turn_next->turn_previous = connection->turn_previous;
    } else {
        loop->last_turn = connection->turn_previous;
    }
    connection->turn_previous = NULL;
    connection->turn_next = NULL;
    connection->is_waiting = false;
}

// The next step of the handshake; true when it is done.
static bool shake_hands(struct connection *connection)
{
    enum transport_result result = transport_handshake(&connection->transport);
    if (result == TRANSPORT_BLOCKED) {
        if (SSL_want_write(connection->transport.ssl)) {
            (void)event_add(connection->writable, NULL);
        }
        return false;
    }
    if (result != TRANSPORT_DONE) {
        connection->phase = PHASE_GONE;
        return false;
    }
    connection->phase = PHASE_HEAD;
    connection->has_peer_key =
        connection->transport.ssl && tls_peer_key(connection->transport.ssl, &connection->peer_key);
    if (connection->has_peer_key && !tls_peer_name(connection->transport.ssl, connection->peer_name,
                                                   &connection->peer_name_until_us)) {
        connection->peer_name[0] = '\0';
    }
    return true;
}

static void take_turn(struct connection *connection, int64_t now_us)
{
    // It waited for the loop, so that is not held against the client.
    connection->deadline_us += now_us - connection->waiting_since_us;
    http_handshake_leave(connection);
    if (connection->is_late) {
        connection->phase = PHASE_GONE;
        http_connection_resume(connection, false);
        return;
    }
    bool is_done = shake_hands(connection);
    // The first request may have been taken off the socket already.
    http_connection_resume(connection, is_done);
}

void http_handshake_turns(int fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct loop *loop = context;
    int64_t began_us = clock_steady_us();
    int64_t now_us = began_us;
    while (loop->first_turn && now_us - began_us < SHARE_US) {
        take_turn(loop->first_turn, now_us);
        now_us = clock_steady_us();
    }
    if (loop->first_turn) {
        wake_soon(loop);
    }
}
