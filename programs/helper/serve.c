#include "helper/serve.h"

#include "base/memory.h"
#include "helper/callers.h"
#include "helper/channel.h"
#include "helper/kept_worker.h"
#include "os/clock.h"
#include "os/log.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS_MAX = 8, MACHINE_NAME_SIZE = 256, WHO_SIZE = 160 };
#define SECOND_US INT64_C(1000000)
#define HANDSHAKE_US (10 * SECOND_US)
#define FIRST_LINE_US (10 * SECOND_US)
#define LATER_LINE_US (60 * SECOND_US)
#define WRITE_US (10 * SECOND_US)
#define GOODBYE_US (2 * SECOND_US)
#define ADMITTED_PATH "/usr/local/bin:/usr/bin:/bin"

// A conversation.
struct talk {
    struct channel channel;
    struct account account;
    char machine[MACHINE_NAME_SIZE];
    char from[PEER_ADDRESS_SIZE];
    char who[WHO_SIZE]; // The key, or name, that lets it in; empty: it needs none.
    const char *path;   // The PATH of workers.
};

void peer_address(int fd, char out[PEER_ADDRESS_SIZE])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &length) < 0 ||
        getnameinfo((struct sockaddr *)&address, length, out, PEER_ADDRESS_SIZE, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        (void)snprintf(out, PEER_ADDRESS_SIZE, "unknown");
    }
}

// What `lode worker --listen` finds in its environment belongs to root, not to the caller.
static void change_environment(const struct account *account)
{
    environ = account_environment(account, ADMITTED_PATH);
}

// The account behind a name of the file of callers, which this process becomes, or is already.
static enum status take_account(const struct helper_settings *settings, const char *name,
                                struct account *out, struct error *error)
{
    AUTO_ACCOUNT struct account account = {0};
    if (geteuid() != 0) {
        TRY(account_own(&account, error));
        if (strcmp(account.name, name) != 0) {
            (void)error_set(error, DENIED, "this helper runs as %.64s, and cannot become %.64s",
                            account.name, name);
            error_fix(error, "have root run it, or allow the caller as %.64s", account.name);
            return DENIED;
        }
    } else {
        TRY(account_find(name, &account, error));
        if (account.uid == 0 && !settings->may_become_root) {
            (void)error_set(error, DENIED, "this helper starts no workers of root");
            error_fix(error, "allow the caller as another account; --allow-root lifts this");
            return DENIED;
        }
        TRY(account_become(&account, error));
        change_environment(&account);
    }
    *out = account;
    account = (struct account){0};
    return OK;
}

// Who shows that key, or that certificate of an authority, may have workers as whom?
static enum status admit(const struct helper_settings *settings, const struct tls_stream *stream,
                         struct talk *talk, struct error *error)
{
    AUTO_BUFFER struct buffer callers = {0};
    struct fingerprint key = {""};
    char name[TLS_NAME_SIZE] = "";
    char account[CALLER_ACCOUNT_MAX + 1];
    int64_t until_us = 0;
    if (!tls_stream_peer_key(stream, &key)) {
        (void)error_set(error, DENIED, "the caller shows no key");
        error_fix(error, "call with \"lode pool\", or show a certificate");
        return DENIED;
    }
    (void)snprintf(talk->who, sizeof talk->who, "%s", key.text);
    (void)tls_stream_peer_name(stream, name, &until_us);
    TRY(callers_read(settings->folder, &callers, error));
    if (!callers_look(buffer_text(&callers), &key, text_of(name), account)) {
        (void)error_set(error, DENIED, "the key %s is not allowed on %.100s", key.text,
                        talk->machine);
        error_fix(error, "there: lode worker allow %s --account NAME", key.text);
        return DENIED;
    }
    return take_account(settings, account, &talk->account, error);
}

static void log_outcome(const struct talk *talk, const struct helper_request *request,
                        const struct helper_answer *answer)
{
    const char *account = talk->account.name ? talk->account.name : "-";
    const char *verb = request ? helper_verb_name(request->verb) : "-";
    if (answer->problem.status != OK) {
        log_line(
            LOG_LEVEL_WARNING,
            "event=helper-refused from=%s key=%s account=%s request=%s status=%s detail=\"%s\"",
            talk->from, talk->who[0] ? talk->who : "-", account, verb,
            status_name(answer->problem.status), answer->problem.detail);
        return;
    }
    log_line(LOG_LEVEL_INFO,
             "event=helper-request from=%s key=%s account=%s request=%s site=%s state=%.*s "
             "pid=%lld worker=%.*s",
             talk->from, talk->who[0] ? talk->who : "-", account, verb, request->fingerprint.text,
             TEXT_ARGS(answer->state), (long long)answer->pid, TEXT_ARGS(answer->worker));
}

// Answers, and says so in the log; false when nobody hears it.
static bool reply(struct talk *talk, const struct helper_request *request,
                  struct helper_answer *answer)
{
    AUTO_BUFFER struct buffer line = {0};
    answer->host = text_of(talk->machine);
    answer->account = text_of(talk->account.name);
    helper_answer_write(answer, &line);
    log_outcome(talk, request, answer);
    return channel_write(&talk->channel, buffer_text(&line), clock_steady_us() + WRITE_US, NULL) ==
           OK;
}

static enum status check_account(const struct talk *talk, const struct helper_request *request,
                                 struct error *error)
{
    if (request->account.length > 0 && !text_equal(request->account, text_of(talk->account.name))) {
        return error_set(error, DENIED, "the account here is %.64s, and not %.*s",
                         talk->account.name, TEXT_ARGS(text_slice(request->account, 0, 64)));
    }
    return OK;
}

static bool obey(struct talk *talk, const struct helper_request *request)
{
    struct kept_worker worker = {0};
    struct helper_answer answer = {0};
    enum status status = check_account(talk, request, &answer.problem);
    if (status == OK) {
        status = kept_worker_do(request, &talk->account, talk->path, &worker, &answer.problem);
    }
    if (status == OK) {
        answer.problem = (struct error){0};
        answer.state = text_of(worker.state);
        answer.pid = worker.pid;
    }
    answer.name = text_of(worker.name);
    answer.directory = text_of(worker.directory);
    answer.worker = text_of(worker.key.text);
    bool is_heard = reply(talk, request, &answer);
    kept_worker_done(&worker);
    return is_heard;
}

// Reads one request and answers it; false when there is nothing more to do.
static bool take_request(struct talk *talk, int64_t time_us)
{
    AUTO_BUFFER struct buffer line = {0};
    AUTO_JSON json_t *document = NULL;
    struct helper_request request;
    struct helper_answer answer = {0};
    bool is_end = false;
    enum status status =
        channel_read_line(&talk->channel, HELPER_LINE_MAX, clock_steady_us() + time_us, &line,
                          &is_end, &answer.problem);
    if (is_end) {
        return false;
    }
    if (status == OK) {
        status = helper_request_read(buffer_text(&line), &document, &request, &answer.problem);
    }
    bool goes_on = status == OK && obey(talk, &request);
    if (status != OK) {
        (void)reply(talk, NULL, &answer);
    }
    // An invitation may have been in it.
    explicit_bzero(line.bytes, line.length);
    return goes_on;
}

static void converse(struct talk *talk)
{
    int64_t time_us = FIRST_LINE_US;
    for (int i = 0; i < REQUESTS_MAX && take_request(talk, time_us); i++) {
        time_us = LATER_LINE_US;
    }
}

static void talk_done(struct talk *talk)
{
    channel_done(&talk->channel);
    account_done(&talk->account);
}

int serve_socket(const struct helper_settings *settings, int fd)
{
    struct talk talk = {.path = ADMITTED_PATH};
    struct tls_stream *stream = NULL;
    struct helper_answer answer = {0};
    (void)alarm(SERVE_SECONDS_MAX);
    (void)gethostname(talk.machine, sizeof talk.machine - 1);
    peer_address(fd, talk.from);
    enum status status = tls_stream_accept(fd, settings->tls, clock_steady_us() + HANDSHAKE_US,
                                           &stream, &answer.problem);
    if (status != OK) {
        log_outcome(&talk, NULL, &answer);
        return EXIT_FAILURE;
    }
    talk.channel.tls = stream;
    status = admit(settings, stream, &talk, &answer.problem);
    if (status == OK) {
        converse(&talk);
    } else {
        (void)reply(&talk, NULL, &answer);
    }
    tls_stream_close(stream, clock_steady_us() + GOODBYE_US);
    talk_done(&talk);
    return status == OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int serve_pipe(void)
{
    struct talk talk = {.from = "pipe",
                        .channel = {.in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO}};
    struct error error;
    const char *path = getenv("PATH");
    talk.path = path ? path : ADMITTED_PATH;
    (void)alarm(SERVE_SECONDS_MAX);
    (void)gethostname(talk.machine, sizeof talk.machine - 1);
    if (account_own(&talk.account, &error) != OK) {
        log_line(LOG_LEVEL_ERROR, "event=helper-failed detail=\"%s\"", error.detail);
        return EXIT_FAILURE;
    }
    converse(&talk);
    talk_done(&talk);
    return EXIT_SUCCESS;
}
