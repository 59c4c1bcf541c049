// What the parts of http_bench share: a server in a process of its own that answers from memory, and percentiles.
#ifndef LODE_BENCH_HTTP_BENCH_H
#define LODE_BENCH_HTTP_BENCH_H

#include "crypto/key.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BENCH_PORTS_MAX = 4096 };

// A server process on free ports of 127.0.0.1, with a key made for it in `folder`.
struct bench_server {
    pid_t process;
    int ports[BENCH_PORTS_MAX]; // To its client each of them is a site.
    char folder[64];
    struct fingerprint fingerprint;
};

void bench_server_start(struct bench_server *server, unsigned loops, size_t port_count);
// Ends it and removes its folder.
void bench_server_stop(const struct bench_server *server);
// A field of its /proc/PID/status in KiB, such as "VmHWM:"; 0 when it is not there.
int64_t bench_server_memory(const struct bench_server *server, const char *field);

// The processor time that it has used.
int64_t bench_server_cpu_us(const struct bench_server *server);

// The value at this share (0.99) of `count` values, which are sorted in place.
int64_t bench_percentile(int64_t *values, size_t count, double share);

// Prints the text and ends the program.
void bench_fail(const char *text) __attribute__((noreturn));

int bench_storm(size_t connections, unsigned loops);
int bench_polls(size_t polls, size_t at_once, size_t sites, unsigned loops);

#endif
