#include "helper/kept_worker.h"

#include "base/memory.h"
#include "helper/channel.h"
#include "helper/start_arguments.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "worker/enroll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

enum {
    SITE_DIGITS = 16, // Of the site's fingerprint, in the name of the folder.
    MACHINE_NAME_SIZE = 256,
    PROCESS_TEXT_MAX = 32,
    COMMAND_LINE_MAX = 1 << 20,
    CERTIFICATE_SIZE_MAX = 65536,
    SAID_LINE_MAX = 16384,
    LOG_SIZE_MAX = 1 << 20, // Begun anew by the start that finds it larger.
    STOP_WAIT_MS = 30000,
};
#define START_WAIT_US INT64_C(20000000)

void kept_worker_done(struct kept_worker *worker)
{
    free(TAKE(worker->directory));
    free(TAKE(worker->name));
}

static char *choose_directory(const struct helper_request *request, const struct account *account)
{
    char machine[MACHINE_NAME_SIZE] = "";
    const char *data = getenv("XDG_DATA_HOME");
    bool has_data = data && data[0] == '/';
    AUTO_BUFFER struct buffer path = {0};
    (void)gethostname(machine, sizeof machine - 1);
    if (request->directory.length > 0) {
        buffer_append_text(&path, request->directory);
    } else if (has_data) {
        buffer_printf(&path, "%s/lode-pool", data);
    } else {
        buffer_printf(&path, "%s/.local/share/lode-pool", account->home);
    }
    struct text digits = text_of(request->fingerprint.text + sizeof "sha256:" - 1);
    buffer_printf(&path, "/%.*s/%s", SITE_DIGITS, digits.bytes, machine);
    return buffer_take_string(&path);
}

// Is it a worker that serves in the folder? It was given that as an argument of its own.
static bool serves_in(int64_t pid, const char *directory)
{
    AUTO_BUFFER struct buffer line = {0};
    AUTO_FREE char *path = memory_format("/proc/%lld/cmdline", (long long)pid);
    struct text argument;
    if (file_read(path, COMMAND_LINE_MAX, &line, NULL) != OK) {
        return false;
    }
    struct text rest = buffer_text(&line);
    while (text_next_part(&rest, '\0', &argument)) {
        if (text_equal(argument, text_of(directory))) {
            return true;
        }
    }
    return false;
}

// The process that serves in the folder, as its lock says (src/worker/worker.c), opened so that it cannot be mistaken for a later one of the same number; -1: none. The lock
// itself is not tried: that would turn away a worker that starts meanwhile.
static int open_process(const char *directory, int64_t *pid)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_FREE char *path = memory_format("%s/lock", directory);
    int64_t number = 0;
    if (file_read(path, PROCESS_TEXT_MAX, &text, NULL) != OK ||
        !text_to_int64(text_trim(buffer_text(&text)), &number) || number < 1 ||
        number > INT32_MAX) {
        return -1;
    }
    AUTO_CLOSE int process = (int)syscall(SYS_pidfd_open, (pid_t)number, 0);
    if (process < 0 || !serves_in(number, directory)) {
        return -1;
    }
    *pid = number;
    return file_take_fd(&process);
}

// What it was called by the start that it follows from, kept beside its key; a file that is no name is none.
static char *read_name(const char *directory)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_FREE char *path = memory_format("%s/name", directory);
    if (file_read(path, HELPER_NAME_MAX + 1, &text, NULL) != OK) {
        return NULL;
    }
    struct text name = text_trim(buffer_text(&text));
    bool is_name = name.length > 0 && text_is_utf8(name) && !text_has_control(name);
    return is_name ? text_copy(name) : NULL;
}

static enum status keep_name(const struct kept_worker *worker, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/name", worker->directory);
    AUTO_FREE char *line = memory_format("%s\n", worker->name);
    return file_write_atomic(path, text_of(line), 0600, error);
}

static void look(struct kept_worker *out)
{
    free(out->name);
    out->name = read_name(out->directory);
    AUTO_BUFFER struct buffer pem = {0};
    AUTO_FREE char *path = memory_format("%s/worker.pem", out->directory);
    AUTO_CLOSE int process = open_process(out->directory, &out->pid);
    out->state = process >= 0 ? "running" : "absent";
    if (file_read(path, CERTIFICATE_SIZE_MAX, &pem, NULL) == OK) {
        (void)key_fingerprint(buffer_text(&pem), &out->key, NULL);
    }
}

// Ends it gracefully: it gives back what it runs.
static enum status stop(struct kept_worker *out, struct error *error)
{
    AUTO_CLOSE int process = open_process(out->directory, &out->pid);
    if (process < 0) {
        return OK;
    }
    struct pollfd end = {.fd = process, .events = POLLIN};
    if (syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0) < 0) {
        return error_set_errno(error, errno, "cannot end the worker %lld", (long long)out->pid);
    }
    out->state = poll(&end, 1, STOP_WAIT_MS) > 0 ? "stopped" : "stopping";
    return OK;
}

// The worker's key, made here at its first start, and the site's acceptance of it.
static enum status enroll(const struct helper_request *request, struct kept_worker *out,
                          struct error *error)
{
    char machine[MACHINE_NAME_SIZE] = "worker";
    struct worker_key key = {0};
    struct worker_site site = {.key = request->fingerprint};
    AUTO_JSON json_t *accepted = NULL;
    struct text name = TEXT_NONE;
    (void)gethostname(machine, sizeof machine - 1);
    free(out->name);
    out->name = request->worker.name.length > 0 ? text_copy(request->worker.name)
                                                : memory_copy_string(machine);
    if (request->site.length >= sizeof site.url) {
        return error_set(error, INVALID, "the site's address is too long");
    }
    (void)snprintf(site.url, sizeof site.url, "%.*s", TEXT_ARGS(request->site));
    TRY(worker_key_ensure(out->directory, out->name, &key, error));
    out->key = key.fingerprint;
    enum status status = OK;
    if (request->invitation.length > 0) {
        status = worker_enroll(&site, &key, request->invitation, out->name, &accepted, error);
    }
    worker_key_done(&key);
    TRY(status);
    if (accepted &&
        json_field_text(accepted, "name", JSON_REQUIRED, HELPER_NAME_MAX, &name, NULL) == OK) {
        free(out->name);
        out->name = text_copy(name);
    }
    return OK;
}

static enum status open_log(const char *directory, int *out, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/worker.log", directory);
    struct stat about;
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &about) < 0 || (about.st_size > LOG_SIZE_MAX && ftruncate(fd, 0) < 0)) {
        return error_set_errno(error, errno, "cannot write %s", path);
    }
    *out = file_take_fd(&fd);
    return OK;
}

// Starts the program; *said_fd is what it says of itself.
static enum status launch(const struct helper_request *request, const struct account *account,
                          const char *path, struct kept_worker *out, int *said_fd,
                          struct error *error)
{
    AUTO_CLOSE int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    AUTO_CLOSE int log = -1;
    int pipe_fds[2];
    pid_t pid = 0;
    AUTO_FREE char *program = process_program();
    TRY(open_log(out->directory, &log, error));
    if (!program || nothing < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return error_set_errno(error, errno, "cannot start a worker");
    }
    AUTO_CLOSE int said = pipe_fds[0];
    AUTO_CLOSE int says = pipe_fds[1];
    const int descriptors[] = {nothing, says, log};
    char **arguments = start_arguments(program, out->directory, request);
    char **environment = account_environment(account, path);
    const struct process_options options = {
        .program = program,
        .arguments = arguments,
        .environment = environment,
        .descriptors = descriptors,
        .descriptor_count = sizeof descriptors / sizeof descriptors[0],
        .has_own_session = true,
    };
    enum status status = process_start(&options, &pid, error);
    start_arguments_free(arguments);
    environment_free(environment);
    TRY(status);
    out->pid = pid;
    *said_fd = file_take_fd(&said);
    return OK;
}

// What the worker itself says of why it does not serve.
static enum status read_failure(const json_t *said, struct error *error)
{
    struct text detail = TEXT("it does not say why");
    struct text fix = TEXT_NONE;
    struct text status = TEXT_NONE;
    (void)json_field_text(said, "detail", JSON_OPTIONAL, HELPER_TEXT_MAX, &detail, NULL);
    (void)json_field_text(said, "fix", JSON_OPTIONAL, HELPER_TEXT_MAX, &fix, NULL);
    (void)json_field_text(said, "status", JSON_OPTIONAL, PROCESS_TEXT_MAX, &status, NULL);
    bool is_taken = text_equal(status, text_of(status_name(CONFLICT)));
    enum status known = is_taken                                           ? CONFLICT
                        : text_equal(status, text_of(status_name(DENIED))) ? DENIED
                                                                           : UNAVAILABLE;
    (void)error_set(error, known, "the worker does not serve: %.*s", TEXT_ARGS(detail));
    error_fix(error, "%.*s", TEXT_ARGS(fix));
    return known;
}

// Follows what it says until it is known what has become of it.
static enum status follow(int said_fd, struct kept_worker *out, struct error *error)
{
    struct channel channel = {.in_fd = said_fd, .out_fd = -1};
    int64_t until_us = clock_steady_us() + START_WAIT_US;
    enum status status = OK;
    out->state = NULL;
    while (status == OK && !out->state) {
        AUTO_BUFFER struct buffer line = {0};
        AUTO_JSON json_t *said = NULL;
        struct text state = TEXT_NONE;
        bool is_end = false;
        status = channel_read_line(&channel, SAID_LINE_MAX, until_us, &line, &is_end, error);
        if (status == TIMEOUT) {
            status = OK;
            out->state = "starting";
        } else if (status == OK && is_end) {
            status = error_set(error, UNAVAILABLE,
                               "the worker has ended at once; see %s/worker.log", out->directory);
        } else if (status == OK && json_parse(buffer_text(&line), &said, error) == OK) {
            (void)json_field_text(said, "state", JSON_OPTIONAL, PROCESS_TEXT_MAX, &state, NULL);
        }
        if (text_equal(state, TEXT("failed"))) {
            status = read_failure(said, error);
        } else if (text_equal(state, TEXT("registered"))) {
            out->state = "started";
        } else if (text_equal(state, TEXT("pending"))) {
            out->state = "pending";
        }
    }
    channel_done(&channel);
    return status;
}

static enum status start(const struct helper_request *request, const struct account *account,
                         const char *path, struct kept_worker *out, struct error *error)
{
    AUTO_CLOSE int said = -1;
    int ended = 0;
    TRY(file_make_folder(out->directory, error));
    TRY(enroll(request, out, error));
    TRY(keep_name(out, error));
    TRY(launch(request, account, path, out, &said, error));
    enum status status = follow(said, out, error);
    if (status != OK) {
        (void)kill((pid_t)out->pid, SIGTERM); // Of one that is about to end anyway, as a rule.
        (void)process_has_ended((pid_t)out->pid, true, &ended);
        out->pid = 0;
    }
    if (status == CONFLICT) {
        look(out); // Another start of the same moment was faster.
        return text_equal(text_of(out->state), TEXT("running")) ? OK : CONFLICT;
    }
    return status;
}

enum status kept_worker_do(const struct helper_request *request, const struct account *account,
                           const char *path, struct kept_worker *out, struct error *error)
{
    *out = (struct kept_worker){.directory = choose_directory(request, account)};
    look(out);
    bool is_running = out->pid > 0;
    if (request->verb == HELPER_START && !is_running) {
        return start(request, account, path, out, error);
    }
    return request->verb == HELPER_STOP ? stop(out, error) : OK;
}
