#include "pool/talk.h"

#include "base/memory.h"
#include "cli/output.h"
#include "cli/runner_class.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

enum {
    COMPLAINTS_MAX = 4096,
    SAID_MAX = 65536, // What shells say before the helper is started is let pass.
    READ_SIZE = 4096,
    ARGUMENTS_MAX = 2 * POOL_WORDS_MAX + 8,
    INVITATION_SECONDS = 600,
    PORT_SIZE = 24,
};
#define LAST_WORDS_US INT64_C(2000000) // After the end of its standard output.

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(file_take_fd(fd));
    }
}

static void end(struct talk *talk)
{
    int status = 0;
    close_fd(&talk->in_fd);
    close_fd(&talk->out_fd);
    close_fd(&talk->err_fd);
    if (talk->process > 0) {
        (void)kill(-talk->process, SIGKILL); // What it has started for itself, too.
        (void)process_has_ended(talk->process, true, &status);
        talk->process = 0;
    }
    talk->has_ended = true;
}

void talk_done(struct talk *talk)
{
    end(talk);
    buffer_done(&talk->said);
    buffer_done(&talk->complaints);
    json_decref(TAKE(talk->document));
}

static void fail(struct talk *talk, const struct error *problem)
{
    talk->answer.problem = *problem;
    end(talk);
}

// What is typed to get to a helper.
static void write_command(const struct pool *pool, const struct host *host, char port[PORT_SIZE],
                          const char **out)
{
    size_t count = 0;
    (void)snprintf(port, PORT_SIZE, "%lld", (long long)host->port);
    if (host->way == HOST_WAY_LISTEN) {
        out[count++] = pool->program;
        out[count++] = "pool";
        out[count++] = "connect";
        if (host->pin.text[0]) {
            out[count++] = "--pin";
            out[count++] = host->pin.text;
        } else if (options_has(pool->given, "trust")) {
            out[count++] = "--trust";
        }
        out[count++] = host->said;
        return;
    }
    for (size_t i = 0; i < pool->ssh.count; i++) {
        out[count++] = pool->ssh.items[i];
    }
    if (host->port > 0) {
        out[count++] = "-p";
        out[count++] = port;
    }
    out[count++] = host->name;
    for (size_t i = 0; i < pool->lode.count; i++) {
        out[count++] = pool->lode.items[i];
    }
    out[count++] = "worker";
    out[count++] = "--stdio";
}

// A program without a path is looked up as a shell does it.
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    struct text rest = text_of(path ? path : "/usr/bin:/bin");
    struct text folder;
    if (strchr(name, '/')) {
        return memory_copy_string(name);
    }
    while (text_next_part(&rest, ':', &folder)) {
        AUTO_FREE char *file = memory_format("%.*s/%s", TEXT_ARGS(folder), name);
        if (folder.length > 0 && access(file, X_OK) == 0) {
            return TAKE(file);
        }
    }
    return memory_copy_string(name);
}

static enum status start_program(struct talk *talk, const struct pool *pool, struct error *error)
{
    char port[PORT_SIZE];
    const char *arguments[ARGUMENTS_MAX] = {NULL};
    int in[2];
    int out[2];
    int err[2];
    write_command(pool, talk->host, port, arguments);
    AUTO_FREE char *program = find_program(arguments[0]);
    if (pipe2(in, O_CLOEXEC) < 0) {
        return error_set_errno(error, errno, "cannot make a pipe");
    }
    AUTO_CLOSE int its_in = in[0];
    talk->in_fd = in[1];
    if (pipe2(out, O_CLOEXEC) < 0) {
        return error_set_errno(error, errno, "cannot make a pipe");
    }
    AUTO_CLOSE int its_out = out[1];
    talk->out_fd = out[0];
    if (pipe2(err, O_CLOEXEC) < 0) {
        return error_set_errno(error, errno, "cannot make a pipe");
    }
    AUTO_CLOSE int its_err = err[1];
    talk->err_fd = err[0];
    (void)fcntl(talk->out_fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(talk->err_fd, F_SETFL, O_NONBLOCK);
    const int descriptors[] = {its_in, its_out, its_err};
    const struct process_options options = {
        .program = program,
        // execve does not change them.
        .arguments = (char *const *)(uintptr_t)arguments,
        .environment = environ,
        .descriptors = descriptors,
        .descriptor_count = sizeof descriptors / sizeof descriptors[0],
        .dies_with_parent = true,
        .has_own_session =
            true, // Without a terminal nothing can ask for a password, and wait for ever.
    };
    return process_start(&options, &talk->process, error);
}

// Pipes take a whole line at once.
static void send_request(struct talk *talk, const struct helper_request *request)
{
    AUTO_BUFFER struct buffer line = {0};
    struct error error = {0};
    helper_request_write(request, &line);
    if (file_write_all(talk->in_fd, buffer_text(&line), &error) != OK) {
        // Why it does not read stands in what it says.
        close_fd(&talk->in_fd);
    }
    explicit_bzero(line.bytes, line.length);
}

void talk_begin(struct talk *talk, struct pool *pool, const struct host *host)
{
    struct error error = {0};
    *talk = (struct talk){.host = host, .in_fd = -1, .out_fd = -1, .err_fd = -1};
    talk->until_us = clock_steady_us() + pool->timeout_us;
    if (start_program(talk, pool, &error) != OK) {
        fail(talk, &error);
        return;
    }
    struct helper_request request = pool->request;
    if (request.verb == HELPER_START) {
        // Is one there already? Then no invitation is needed.
        request = helper_request_none(HELPER_STATUS);
        request.fingerprint = pool->request.fingerprint;
        request.account = pool->request.account;
        request.directory = pool->request.directory;
    } else {
        talk->has_looked = true;
    }
    send_request(talk, &request);
}

// The machine's name in what it was written as.
static struct text bare_name(const struct host *host)
{
    struct text name = text_of(host->name);
    size_t at = text_find_byte(name, 0, '@');
    return at < name.length ? text_slice(name, at + 1, name.length) : name;
}

// "{host}-spare" to "node7-spare".
static void fill_in(struct text template, struct text name, struct buffer *out)
{
    static const struct text mark = {"{host}", sizeof "{host}" - 1};
    while (template.length > 0) {
        if (text_starts_with(template, mark)) {
            buffer_append_text(out, name);
            template = text_slice(template, mark.length, template.length);
        } else {
            buffer_append_byte(out, template.bytes[0]);
            template = text_slice(template, 1, template.length);
        }
    }
}

static enum status make_invitation(struct pool *pool, json_t **out, struct error *error)
{
    AUTO_JSON json_t *body = json_pack("{s:i}", "expires_seconds", INVITATION_SECONDS);
    const char *user = options_text(pool->given, "user", NULL);
    runner_class_add(pool->given, body);
    if (user) {
        (void)json_object_set_new(body, "user", json_from_text(text_of(user)));
    }
    return contact_json(&pool->contact, "POST", "/v1/worker-invitations", body, out, error);
}

static void ask_for_start(struct talk *talk, struct pool *pool)
{
    AUTO_BUFFER struct buffer name = {0};
    AUTO_JSON json_t *invitation = NULL;
    struct error error = {0};
    struct helper_request request = pool->request;
    if (pool->makes_invitations && make_invitation(pool, &invitation, &error) != OK) {
        fail(talk, &error);
        return;
    }
    fill_in(request.worker.name, bare_name(talk->host), &name);
    request.worker.name = buffer_text(&name);
    request.invitation = field_text(invitation, "token");
    talk->has_looked = true;
    send_request(talk, &request);
}

static void take_answer(struct talk *talk, struct pool *pool, struct text line)
{
    struct error error = {0};
    talk->answer = (struct helper_answer){0};
    json_decref(TAKE(talk->document));
    if (helper_answer_read(line, &talk->document, &talk->answer, &error) != OK) {
        (void)error_set(&talk->answer.problem, CORRUPT, "what answers is no helper: %.300s",
                        error.detail);
        end(talk);
        return;
    }
    bool is_to_start = !talk->has_looked && talk->answer.problem.status == OK &&
                       text_equal(talk->answer.state, TEXT("absent"));
    if (is_to_start) {
        ask_for_start(talk, pool);
    } else {
        end(talk);
    }
}

// Reads what there is; *is_end: that was all.
static void read_some(int fd, struct buffer *out, size_t size_max, bool *is_end)
{
    char block[READ_SIZE];
    ssize_t got = 0;
    while ((got = read(fd, block, sizeof block)) > 0) {
        size_t room = out->length < size_max ? size_max - out->length : 0;
        buffer_append(out, block, (size_t)got < room ? (size_t)got : room);
    }
    *is_end = got == 0 || (errno != EAGAIN && errno != EINTR);
}

// What ssh or the connection has complained of last: a line, and a fix in an indented one.
static void explain(struct talk *talk, const char *otherwise)
{
    struct error *problem = &talk->answer.problem;
    struct text rest = buffer_text(&talk->complaints);
    struct text line;
    AUTO_BUFFER struct buffer detail = {0};
    AUTO_BUFFER struct buffer fix = {0};
    while (text_next_part(&rest, '\n', &line)) {
        struct text trimmed = text_trim(line);
        if (trimmed.length == 0) {
            continue;
        }
        bool is_fix = line.bytes[0] == ' ' && detail.length > 0;
        buffer_clear(is_fix ? &fix : &detail);
        if (!is_fix) {
            buffer_clear(&fix);
        }
        bool is_ours = text_starts_with(trimmed, TEXT("lode: "));
        display_text(is_fix ? &fix : &detail, text_slice(trimmed, is_ours ? 6 : 0, trimmed.length));
    }
    (void)error_set(problem, UNAVAILABLE, "%s", detail.length > 0 ? detail.bytes : otherwise);
    if (fix.length > 0) {
        error_fix(problem, "%s", fix.bytes);
    } else if (talk->host->way == HOST_WAY_SSH && strstr(problem->detail, "not found")) {
        error_fix(problem, "is lode installed there? --lode PATH says where");
    }
}

static void take_lines(struct talk *talk, struct pool *pool)
{
    size_t end_at;
    while (!talk->has_ended &&
           (end_at = text_find_byte(buffer_text(&talk->said), 0, '\n')) < talk->said.length) {
        AUTO_FREE char *line = text_copy(text_slice(buffer_text(&talk->said), 0, end_at));
        buffer_consume(&talk->said, end_at + 1);
        // A shell may greet before the helper speaks.
        if (line[0] == '{') {
            take_answer(talk, pool, text_of(line));
        }
    }
    if (!talk->has_ended && talk->said.length >= SAID_MAX) {
        (void)error_set(&talk->answer.problem, CORRUPT, "what answers is no helper");
        end(talk);
    }
}

void talk_go_on(struct talk *talk, struct pool *pool)
{
    bool is_end = false;
    bool is_silent = true;
    if (talk->err_fd >= 0) {
        read_some(talk->err_fd, &talk->complaints, COMPLAINTS_MAX, &is_end);
        if (is_end) {
            close_fd(&talk->err_fd);
        }
    }
    if (talk->out_fd >= 0) {
        read_some(talk->out_fd, &talk->said, SAID_MAX, &is_silent);
        take_lines(talk, pool);
    }
    if (talk->has_ended) {
        return;
    }
    int64_t now_us = clock_steady_us();
    if (talk->out_fd >= 0 && is_silent) {
        close_fd(&talk->out_fd);
        talk->until_us =
            now_us +
            LAST_WORDS_US; // Of standard error; a program that it left behind may keep it open.
    }
    bool has_left = talk->out_fd < 0 && (talk->err_fd < 0 || now_us >= talk->until_us);
    if (has_left) {
        explain(talk, "it ended without an answer");
        end(talk);
    } else if (now_us >= talk->until_us) {
        explain(talk, "it has not answered in time");
        talk->answer.problem.status = TIMEOUT;
        end(talk);
    }
}
