// How many sites a second one client asks in turn, when it has no connection to them any more: each poll is a TCP connection, a
// TLS handshake with the client's own key, and a request.
#include "base/memory.h"
#include "http/client.h"
#include "http_bench.h"
#include "os/clock.h"

#include <stdio.h>
#include <time.h>

struct polls {
    struct http_client *client;
    const struct bench_server *server;
    size_t sites;
    size_t begun;
    size_t wanted;
    size_t done;
    size_t failed;
};

static void on_done(void *context, const struct http_answer *answer);

static void begin_one(struct polls *polls)
{
    if (polls->begun == polls->wanted) {
        return;
    }
    size_t site = polls->begun % polls->sites;
    AUTO_FREE char *url = memory_format("https://127.0.0.1:%d", polls->server->ports[site]);
    const struct http_peer peer = {url, polls->server->fingerprint.text, "secret"};
    const struct http_ask ask = {.peer = &peer,
                                 .method = "GET",
                                 .path = "/v1/resolve/sha256:0123456789abcdef",
                                 .timeout_us = 30000000,
                                 .answer_size_max = 1 << 20,
                                 .context = polls};
    if (!http_client_start(polls->client, &ask, on_done)) {
        bench_fail("the client takes no more calls");
    }
    polls->begun++;
}

static void on_done(void *context, const struct http_answer *answer)
{
    struct polls *polls = context;
    polls->done++;
    polls->failed += answer->status != OK;
    if (answer->status != OK && polls->failed == 1) {
        (void)fprintf(stderr, "http_bench: %s\n", answer->error.detail);
    }
    begin_one(polls);
}

int bench_polls(size_t polls_wanted, size_t at_once, size_t sites, unsigned loops)
{
    static struct bench_server server;
    if (sites > BENCH_PORTS_MAX) {
        bench_fail("that are too many sites");
    }
    bench_server_start(&server, loops, sites);
    AUTO_FREE char *key = memory_format("%s/key.pem", server.folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", server.folder);
    const struct http_client_options options = {
        .key_path = key,
        .certificate_path = certificate,
        .calls_max = (unsigned)at_once,
        .connections_kept = (unsigned)at_once,
    };
    struct error error;
    struct polls polls = {.server = &server, .sites = sites, .wanted = polls_wanted};
    if (http_client_new(&options, &polls.client, &error) != OK) {
        bench_fail(error.detail);
    }
    int64_t began_us = clock_steady_us();
    for (size_t i = 0; i < at_once; i++) {
        begin_one(&polls);
    }
    while (polls.done < polls_wanted) {
        (void)http_client_wait(polls.client, NULL, 0, 1000000);
    }
    double seconds = (double)(clock_steady_us() - began_us) / 1e6;
    double own = (double)clock() / CLOCKS_PER_SEC;
    (void)printf(
        "polls: %zu (%zu failed) of %zu sites, %zu at once, in %.2f s: %.0f a second; a poll "
        "takes %.0f us of the client's processor and %.0f us of the server's\n",
        polls.done, polls.failed, sites, at_once, seconds, (double)polls.done / seconds,
        own * 1e6 / (double)polls.done, (double)bench_server_cpu_us(&server) / (double)polls.done);
    http_client_free(polls.client);
    bench_server_stop(&server);
    return polls.failed > 0;
}
