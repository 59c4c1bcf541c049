// `lode site`: reads what it was told, starts the parts, waits for a signal, stops the parts.
#include "commands.h"
#include "os/log.h"
#include "site/parts.h"
#include "site/service.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MALLOC_ARENAS = 2 };

// A thousand clients need more than the usual soft limit of 1,024 descriptors.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void block_signals(sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static int fail(const struct error *error, int exit_status)
{
    (void)fprintf(stderr, "lode site: %s\n", error->detail);
    if (*error->fix) {
        (void)fprintf(stderr, "           %s\n", error->fix);
    }
    return exit_status;
}

static void say_where(struct site_parts *parts)
{
    const struct site_settings *settings = parts->settings;
    AUTO_BUFFER struct buffer text = {0};
    if (settings->is_json) {
        parts_describe(parts, &text);
    } else {
        buffer_printf(&text, "lode site %s listens on %s\n  key        %s\n  directory  %s\n",
                      settings->name, parts->url, parts->fingerprint.text, settings->directory);
        reach_say(&parts->reach, parts->fingerprint.text, &text);
    }
    if (settings->is_open) {
        (void)fputs("lode site: OPEN: any worker that reaches this address joins at once, reads "
                    "the data of "
                    "the tasks that it gets, and reports what it likes\n",
                    stderr);
    }
    (void)fwrite(text.bytes, 1, text.length, stdout);
    (void)fflush(stdout);
}

static int serve(const struct site_settings *settings)
{
    struct site_parts parts = {0};
    struct error error = {0};
    sigset_t signals;
    // Before any thread starts, so that all inherit it and only sigwait sees them.
    block_signals(&signals);
    // Who reads the log may leave; the site stays. What it starts has its signals as they are by default.
    (void)signal(SIGPIPE, SIG_IGN);
    if (parts_start(&parts, settings, &error) != OK) {
        parts_stop(&parts);
        return fail(&error, EXIT_FAILED);
    }
    say_where(&parts);
    service_notify("READY=1");
    int signal_number = 0;
    (void)sigwait(&signals, &signal_number);
    log_line(LOG_LEVEL_INFO, "event=stopping signal=%d", signal_number);
    service_notify("STOPPING=1");
    // A second signal ends the program at once, as it is by default.
    (void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    parts_stop(&parts);
    return EXIT_SUCCESS;
}

int command_site(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error = {0};
    struct site_settings settings = {0};
    // Few arenas: the threads of a site are many and allocate little (mallopt(3)).
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
    raise_descriptor_limit();
    int exit_status = settings_read(options, &settings, &error) == OK ? serve(&settings)
                                                                      : fail(&error, EXIT_USAGE);
    settings_done(&settings);
    return exit_status;
}
