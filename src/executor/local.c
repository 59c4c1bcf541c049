// This machine's worker: one `lode worker` for all its cores.
#include "executor/supervised.h"

#include <stdio.h>

// How `lode worker` ends when it cannot work.
enum {
    WORKER_EXIT_SANDBOX = 3, // It cannot make sandboxes here.
    WORKER_EXIT_RUNNER = 4,  // The program that starts tasks is not there.
};

static bool explain(int exit_status, const char **problem, const char **change)
{
    if (exit_status == WORKER_EXIT_RUNNER) {
        *problem = "this machine's worker does not run: the program lode-runner, which starts "
                   "tasks, is not beside the program lode";
        *change = "put lode-runner beside lode, or into libexec/lode beside its folder; the worker "
                  "is started again within half a minute";
        return true;
    }
    *problem = "this machine's worker does not run: bubblewrap (bwrap) is missing or may not make "
               "namespaces here";
    *change = "install bubblewrap or allow user namespaces, or start the site with --sandbox none "
              "if its users are to be trusted";
    return exit_status == WORKER_EXIT_SANDBOX;
}

static enum status local_start(const struct executor_options *options, struct executor **out,
                               struct error *error)
{
    char cpus[24];
    (void)snprintf(cpus, sizeof cpus, "%lld", (long long)options->cpus);
    const char *arguments[] = {
        options->program,
        "worker",
        "--site-file",
        options->site_file,
        "--token-file",
        options->token_file,
        "--directory",
        options->directory,
        "--cpus",
        cpus,
        "--name",
        options->name,
        "--sandbox",
        options->sandbox,
        NULL,
    };
    const struct supervised_options supervised = {
        .arguments = arguments,
        .directory = options->directory,
        .name = "this machine's worker",
        .explain = explain,
        .report = options->report,
        .ended = options->ended,
        .context = options->context,
    };
    return supervised_start(&supervised, out, error);
}

const struct executor_ops EXECUTOR_LOCAL = {
    .name = "local",
    .start = local_start,
    .stop = supervised_stop,
};
