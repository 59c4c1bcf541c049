#include "cli/ask.h"

#include "base/memory.h"
#include "os/file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

// Reads a line; CONFLICT when `interrupt_fd` becomes readable first.
static enum status read_line(int terminal, int interrupt_fd, struct buffer *line,
                             struct error *error)
{
    char byte = 0;
    struct pollfd fds[] = {{.fd = terminal, .events = POLLIN},
                           {.fd = interrupt_fd, .events = POLLIN}};
    while (line->length < LINE_MAX_BYTES) {
        (void)poll(fds, 2, -1);
        if (fds[1].revents & POLLIN) {
            return error_set(error, CONFLICT, "interrupted; nothing was stored");
        }
        if (fds[0].revents && (read(terminal, &byte, 1) != 1 || byte == '\n')) {
            break;
        }
        if (fds[0].revents) {
            buffer_append_byte(line, byte);
        }
    }
    return OK;
}

enum status ask_terminal(const char *question, bool is_secret, struct buffer *answer,
                         struct error *error)
{
    AUTO_CLOSE int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios before;
    if (terminal < 0 || tcgetattr(terminal, &before) != 0) {
        return error_set(error, UNAVAILABLE, "there is no terminal to ask on");
    }
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    AUTO_CLOSE int interrupt_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    // Before the question, because it drops what was typed before.
    if (is_secret) {
        (void)tcsetattr(terminal, TCSAFLUSH, &silent);
    }
    (void)file_write_all(terminal, text_of(question), error);
    enum status status = read_line(terminal, interrupt_fd, answer, error);
    if (is_secret) {
        (void)tcsetattr(terminal, TCSAFLUSH, &before);
        (void)file_write_all(terminal, TEXT("\n"), NULL);
    }
    if (status == OK) {
        (void)sigprocmask(SIG_UNBLOCK, &signals, NULL);
    }
    return status;
}

enum status ask_leap_of_faith(const char *what, const char *url, const char *fingerprint,
                              const char *option, struct error *error)
{
    AUTO_BUFFER struct buffer answer = {0};
    AUTO_FREE char *question =
        memory_format("The %s %s is met for the first time. Its key has the fingerprint\n  %s\n"
                      "Is that what its operator says? [yes/no] ",
                      what, url, fingerprint);
    enum status status = ask_terminal(question, false, &answer, error);
    if (status == UNAVAILABLE) {
        (void)error_set(error, DENIED, "the %s %s is not known, and there is no terminal to ask on",
                        what, url);
        error_fix(error, "%s %s says that this is its key", option, fingerprint);
        return DENIED;
    }
    TRY(status);
    if (!text_equal_no_case(text_trim(buffer_text(&answer)), TEXT("yes"))) {
        return error_set(error, DENIED, "nothing was stored");
    }
    return OK;
}
