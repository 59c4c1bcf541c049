// Measures src/http by itself, over loopback and TLS 1.3.
//
//     http_bench serve [LOOPS [FOLDER]]                 a server for other programs; says its port; ends with its input
//     http_bench storm [CONNECTIONS [LOOPS]]            that many TLS connections at once, and how long others wait
//     http_bench polls [POLLS [AT_ONCE [SITES [LOOPS]]]]  requests to many sites through one client, each site anew
#include "http_bench.h"

#include "base/memory.h"
#include "http/server.h"
#include "os/file.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_SIZE = 2560 }; // As large as the answer to a resolution with three replicas.

void bench_fail(const char *text)
{
    (void)fprintf(stderr, "http_bench: %s\n", text);
    exit(1);
}

static void handle_answer(struct http_request *request, void *context)
{
    struct http_response response = {
        .code = 200, .content_type = "application/json", .body = {context, ANSWER_SIZE}};
    http_reply(request->exchange, &response);
}

static const struct http_route ROUTES[] = {
    {.method = "GET", .pattern = "/v1/resolve/{id...}", .handle = handle_answer},
};

static struct http_server *start(const char *folder, unsigned loops, const int *fds,
                                 size_t fd_count)
{
    static char answer[ANSWER_SIZE];
    AUTO_FREE char *key = memory_format("%s/key.pem", folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", folder);
    const struct http_server_options options = {
        .address = fd_count == 0 ? "127.0.0.1:0" : NULL,
        .fds = fds,
        .fd_count = fd_count,
        .key_path = key,
        .certificate_path = certificate,
        .loops = loops,
        .routes = ROUTES,
        .route_count = 1,
        .context = answer,
    };
    struct http_server *server = NULL;
    struct error error;
    memset(answer, 'x', ANSWER_SIZE);
    if (http_server_start(&options, &server, &error) != OK) {
        bench_fail(error.detail);
    }
    return server;
}

static int listen_anywhere(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        bench_fail("cannot listen");
    }
    *port = ntohs(address.sin_port);
    return fd;
}

void bench_server_start(struct bench_server *server, unsigned loops, size_t port_count)
{
    struct error error;
    int fds[BENCH_PORTS_MAX];
    int ready[2];
    char byte = 0;
    *server = (struct bench_server){.folder = "/tmp/lode-bench-XXXXXX"};
    if (!mkdtemp(server->folder) ||
        key_ensure(server->folder, "bench", &server->fingerprint, &error) != OK ||
        pipe(ready) != 0) {
        bench_fail("cannot make a folder with a key");
    }
    for (size_t i = 0; i < port_count; i++) {
        fds[i] = listen_anywhere(&server->ports[i]);
    }
    server->process = fork();
    if (server->process == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)start(server->folder, loops, fds, port_count);
        (void)!write(ready[1], &byte, 1);
        for (;;) {
            (void)pause();
        }
    }
    for (size_t i = 0; i < port_count; i++) {
        (void)close(fds[i]);
    }
    (void)close(ready[1]);
    if (server->process < 0 || read(ready[0], &byte, 1) != 1) {
        bench_fail("the server did not start");
    }
    (void)close(ready[0]);
}

void bench_server_stop(const struct bench_server *server)
{
    struct error error;
    (void)kill(server->process, SIGKILL);
    (void)waitpid(server->process, NULL, 0);
    (void)file_remove_tree(server->folder, &error);
}

int64_t bench_server_memory(const struct bench_server *server, const char *field)
{
    AUTO_FREE char *path = memory_format("/proc/%d/status", (int)server->process);
    FILE *file = fopen(path, "re");
    char line[128];
    int64_t value = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, field, strlen(field)) == 0) {
            value = strtoll(line + strlen(field), NULL, 10);
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return value;
}

int64_t bench_server_cpu_us(const struct bench_server *server)
{
    struct timespec used = {0};
    clockid_t clock = 0;
    if (clock_getcpuclockid(server->process, &clock) == 0) {
        (void)clock_gettime(clock, &used);
    }
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

int64_t bench_percentile(int64_t *values, size_t count, double share)
{
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof *values, compare);
    size_t at = (size_t)((double)count * share);
    return values[at < count ? at : count - 1];
}

static int serve_others(unsigned loops, const char *folder)
{
    struct fingerprint fingerprint;
    struct error error;
    if (key_ensure(folder, "bench", &fingerprint, &error) != OK) {
        bench_fail(error.detail);
    }
    struct http_server *server = start(folder, loops, NULL, 0);
    (void)printf("%d\n", http_server_port(server));
    (void)fflush(stdout);
    (void)getchar();
    http_server_stop(server, 0);
    http_server_free(server);
    return 0;
}

static unsigned number(int count, char **arguments, int at, unsigned fallback)
{
    return at < count ? (unsigned)strtoul(arguments[at], NULL, 10) : fallback;
}

int main(int count, char **arguments)
{
    const char *name = count > 1 ? arguments[1] : "";
    struct rlimit files;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)signal(SIGPIPE, SIG_IGN);
    if (strcmp(name, "serve") == 0) {
        return serve_others(number(count, arguments, 2, 0), count > 3 ? arguments[3] : ".");
    }
    if (strcmp(name, "storm") == 0) {
        return bench_storm(number(count, arguments, 2, 9000), number(count, arguments, 3, 0));
    }
    if (strcmp(name, "polls") == 0) {
        return bench_polls(number(count, arguments, 2, 3000), number(count, arguments, 3, 64),
                           number(count, arguments, 4, 1000), number(count, arguments, 5, 0));
    }
    bench_fail("usage: http_bench serve | storm | polls");
}
