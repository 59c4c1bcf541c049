#include "helper/run.h"

#include "base/json.h"
#include "base/memory.h"
#include "cli/command.h"
#include "helper/listen.h"
#include "helper/message.h"
#include "os/file.h"
#include "os/listening.h"
#include "os/log.h"
#include "site/service.h"
#include "worker/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { MACHINE_NAME_SIZE = 256, ADDRESS_TEXT_SIZE = 128, PORT_TEXT_SIZE = 8 };

// A helper's own key and what it serves with.
struct helper {
    char *folder;
    char *key_path;
    char *certificate_path;
    struct fingerprint key;
    struct helper_settings settings;
    struct helper_sockets sockets;
    bool is_json;
};

static void helper_done(struct helper *helper)
{
    SSL_CTX_free(helper->settings.tls);
    free(helper->key_path);
    free(helper->certificate_path);
    free(helper->folder);
    for (size_t i = 0; i < helper->sockets.count; i++) {
        (void)close(helper->sockets.fds[i]);
    }
}

enum status helper_folder(const struct options *given, char **out, struct error *error)
{
    const char *said = options_text(given, "directory", NULL);
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    if (said) {
        *out = memory_copy_string(said);
    } else if (geteuid() == 0) {
        *out = memory_copy_string("/var/lib/lode-helper");
    } else if (data && data[0] == '/') {
        *out = memory_format("%s/lode-helper", data);
    } else if (home && home[0] == '/') {
        *out = memory_format("%s/.local/share/lode-helper", home);
    } else {
        (void)error_set(error, INVALID, "there is no place for the helper's key and callers");
        error_fix(error, "give --directory DIR, or set HOME");
        return INVALID;
    }
    return OK;
}

// What the caller says of its worker cannot be said here as well.
static enum status check_options(const struct options *given, struct error *error)
{
    static const char *const ITS_OWN[] = {"stdio",     "listen", "address",   "directory",
                                          "caller-ca", "json",   "allow-root"};
    for (size_t i = 0; i < given->given_count; i++) {
        const char *name = given->given[i].option->name;
        bool is_its_own = false;
        for (size_t k = 0; k < sizeof ITS_OWN / sizeof ITS_OWN[0]; k++) {
            is_its_own = is_its_own || strcmp(name, ITS_OWN[k]) == 0;
        }
        if (!is_its_own) {
            (void)error_set(error, INVALID, "--%s belongs to a worker, and this starts workers",
                            name);
            error_fix(error, "who calls says it: \"lode pool start\"");
            return INVALID;
        }
    }
    if (options_has(given, "stdio") && options_has(given, "listen")) {
        return error_set(error, INVALID, "--stdio and --listen exclude each other");
    }
    return OK;
}

// What connections of the network need: a key of our own, and the callers'.
static enum status prepare(const struct options *given, struct helper *helper, struct error *error)
{
    char machine[MACHINE_NAME_SIZE] = "helper";
    (void)gethostname(machine, sizeof machine - 1);
    TRY(helper_folder(given, &helper->folder, error));
    TRY(file_make_folder(helper->folder, error));
    helper->key_path = memory_format("%s/helper.key", helper->folder);
    helper->certificate_path = memory_format("%s/helper.pem", helper->folder);
    TRY(key_ensure_files(helper->key_path, helper->certificate_path, machine, &helper->key, error));
    TRY(tls_context_new(helper->key_path, helper->certificate_path,
                        options_text(given, "caller-ca", NULL), &helper->settings.tls, error));
    helper->settings.folder = helper->folder;
    helper->settings.may_become_root = options_has(given, "allow-root");
    return OK;
}

static bool is_network_socket(int fd)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
           (domain == AF_INET || domain == AF_INET6);
}

// Is a socket of this machine at its other end somebody else's than root's or this account's? A service manager would hand over any.
static bool is_strangers(int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    bool is_socket = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    return is_socket && peer.uid != 0 && peer.uid != geteuid();
}

static int refuse_stranger(void)
{
    log_line(LOG_LEVEL_WARNING,
             "event=helper-refused from=local status=denied detail=\"who is at the "
             "other end of standard input is neither root nor this account\"");
    return EXIT_FAILED;
}

// Where inetd starts us, standard error is the caller's connection too: what is said there would break it.
static enum status move_log(const char *folder, struct error *error)
{
    if (!is_network_socket(STDERR_FILENO)) {
        return OK;
    }
    AUTO_FREE char *path = memory_format("%s/helper.log", folder);
    AUTO_CLOSE int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int taken = log < 0 ? -1 : dup2(log, STDERR_FILENO);
    return taken >= 0 ? OK : error_set_errno(error, errno, "cannot write %s", path);
}

static int serve_standard_input(const struct options *given, struct helper *helper)
{
    struct error error = {0};
    if (!is_network_socket(STDIN_FILENO)) {
        return is_strangers(STDIN_FILENO) ? refuse_stranger() : serve_pipe();
    }
    // Nothing is said to a network in plain: who called finds the reason in the log.
    if (helper_folder(given, &helper->folder, &error) != OK ||
        file_make_folder(helper->folder, &error) != OK || move_log(helper->folder, &error) != OK) {
        return EXIT_FAILED;
    }
    free(TAKE(helper->folder));
    if (prepare(given, helper, &error) != OK) {
        log_line(LOG_LEVEL_ERROR, "event=helper-failed detail=\"%s\"", error.detail);
        return EXIT_FAILED;
    }
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
        dup2(nothing, STDOUT_FILENO) < 0) {
        return EXIT_FAILED;
    }
    (void)close(nothing);
    return serve_socket(&helper->settings, fd);
}

static enum status open_sockets(const struct options *given, struct helper *helper,
                                struct error *error)
{
    struct helper_sockets *sockets = &helper->sockets;
    char address[ADDRESS_TEXT_SIZE];
    _Static_assert((int)HELPER_SOCKETS_MAX == (int)SERVICE_FDS_MAX, "all handed sockets have room");
    sockets->count = service_take_sockets(sockets->fds);
    for (size_t i = 0; i < sockets->count; i++) {
        int flags = fcntl(sockets->fds[i], F_GETFL);
        if (flags < 0 || fcntl(sockets->fds[i], F_SETFL, flags | O_NONBLOCK) < 0) {
            return error_set_errno(error, errno, "cannot use a socket that was handed over");
        }
    }
    if (sockets->count > 0) {
        return OK;
    }
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", HELPER_PORT_DEFAULT);
    TRY(listening_open(options_text(given, "address", address), &sockets->fds[0], error));
    sockets->count = 1;
    return OK;
}

// "127.0.0.1:7730" of the first socket.
static void write_address(const struct helper *helper, struct buffer *out)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[PEER_ADDRESS_SIZE] = "";
    char port[PORT_TEXT_SIZE] = "";
    (void)getsockname(helper->sockets.fds[0], (struct sockaddr *)&address, &length);
    (void)getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    bool is_ipv6 = address.ss_family == AF_INET6;
    buffer_printf(out, "%s%s%s:%s", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
}

static void say_where(void *context)
{
    const struct helper *helper = context;
    AUTO_BUFFER struct buffer address = {0};
    AUTO_BUFFER struct buffer text = {0};
    write_address(helper, &address);
    if (helper->is_json) {
        AUTO_JSON json_t *document =
            json_pack("{s:s, s:s, s:s, s:I}", "address", address.bytes, "fingerprint",
                      helper->key.text, "directory", helper->folder, "pid", (json_int_t)getpid());
        json_write(document, false, &text);
        buffer_append_byte(&text, '\n');
    } else {
        buffer_printf(&text, "lode worker --listen at %s\n  key        %s\n  directory  %s\n",
                      address.bytes, helper->key.text, helper->folder);
    }
    (void)fwrite(text.bytes, 1, text.length, stdout);
    (void)fflush(stdout);
    service_notify("READY=1");
}

static enum status serve_network(const struct options *given, struct helper *helper,
                                 struct error *error)
{
    helper->is_json = options_has(given, "json");
    TRY(prepare(given, helper, error));
    TRY(open_sockets(given, helper, error));
    TRY(helper_listen(&helper->settings, &helper->sockets, say_where, helper, error));
    service_notify("STOPPING=1");
    return OK;
}

int helper_run(const struct options *given)
{
    struct error error = {0};
    struct helper helper = {0};
    int exit_status = EXIT_SUCCESS;
    if (check_options(given, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (options_has(given, "stdio")) {
        exit_status = serve_standard_input(given, &helper);
    } else if (serve_network(given, &helper, &error) != OK) {
        exit_status = command_fail(&error, error.status == INVALID ? EXIT_USAGE : EXIT_FAILED);
    }
    helper_done(&helper);
    return exit_status;
}
