// A server for a test, on a free port, with routes that show what it does; and a plain client with its finger on every
// byte.
#ifndef LODE_TESTS_HTTP_FIXTURE_H
#define LODE_TESTS_HTTP_FIXTURE_H

#include "base/buffer.h"
#include "crypto/key.h"
#include "http/server.h"

#include <pthread.h>
#include <stdatomic.h>

// What the routes count, and the exchange that waits.
struct seen {
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    struct http_exchange *waiting;
    int gone_count;
    int held_count; // Requests that hold, or have held, their loop;
    int let_go;     // and how many of them may go on.
    int sink_begun;
    int sink_ended;
    int sink_aborted;
    int64_t sink_bytes;
    char last_key[FINGERPRINT_SIZE];
    char last_authorization[64];
    int file_fd;
    int64_t file_size;
    struct http_server *server;
};

struct fixture {
    struct http_server *server;
    bool is_stopped;
    struct seen seen;
    char folder[64];
    struct fingerprint fingerprint;
    char url[64];
    int port;
};

// Starts it with these routes: GET /hello; POST /echo (up to 1024 bytes); PUT /sink/{name}; GET /wait, answered by
// fixture_answer; GET /hold, which holds its loop until fixture_let_go; GET /stream; GET /file; GET /offload; GET /things/{a}/{b...}. Bodies of requests with a field X-Stranger
// are not admitted. Options that are NULL or 0 are filled in.
void fixture_start(struct fixture *fixture, struct http_server_options options, bool has_tls);
void fixture_stop(struct fixture *fixture);
// Stops the server alone, before that.
void fixture_stop_server(struct fixture *fixture, int64_t grace_us);

// Waits until a request waits at /wait.
void fixture_await_waiter(struct fixture *fixture);
// Waits until the integer in `seen` has this value.
void fixture_await(struct fixture *fixture, const int *value, int wanted);
// Lets one more request at /hold go on.
void fixture_let_go(struct fixture *fixture);
// How many bytes the sinks have been given.
int64_t fixture_sink_bytes(struct fixture *fixture);
// The fingerprint of the last client at /hello.
void fixture_last_key(struct fixture *fixture, char out[FINGERPRINT_SIZE]);
// The Authorization field of the last client at /hello.
void fixture_last_authorization(struct fixture *fixture, char out[64]);
// Makes the file of zeros that /file serves; the fixture closes it.
int fixture_make_file(struct fixture *fixture, int64_t size);
// Answers the one that waits, from the calling thread.
void fixture_answer(struct fixture *fixture);

// A plain connection; ends the test when there is none.
int raw_connect(int port);
void raw_send(int fd, const char *bytes, size_t length);
// Reads until the peer closes.
void raw_read_all(int fd, struct buffer *out);
// Reads one answer with a Content-Length (or none) and no more.
void raw_read_answer(int fd, struct buffer *out);
// The status code of the answer that the text starts with; 0 when it starts with none.
int raw_code(struct text answer);

#endif
