// lode worker: runs tasks for a site until SIGTERM.
#include "commands.h"

#include "base/memory.h"
#include "os/file.h"
#include "worker/worker.h"

#include <getopt.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_NO_SANDBOX = 3, GRACE_SECONDS = 600, HOST_MAX = 256 };

enum option_key {
    KEY_SITE = 256,
    KEY_PIN,
    KEY_SITE_FILE,
    KEY_TOKEN_FILE,
    KEY_DIRECTORY,
    KEY_CPUS,
    KEY_MEMORY,
    KEY_NAME,
    KEY_SANDBOX,
    KEY_GRACE,
    KEY_RUNNER,
};

static const struct option long_options[] = {
    {"site", required_argument, NULL, KEY_SITE},
    {"pin", required_argument, NULL, KEY_PIN},
    {"site-file", required_argument, NULL, KEY_SITE_FILE},
    {"token-file", required_argument, NULL, KEY_TOKEN_FILE},
    {"directory", required_argument, NULL, KEY_DIRECTORY},
    {"cpus", required_argument, NULL, KEY_CPUS},
    {"memory", required_argument, NULL, KEY_MEMORY},
    {"name", required_argument, NULL, KEY_NAME},
    {"sandbox", required_argument, NULL, KEY_SANDBOX},
    {"grace", required_argument, NULL, KEY_GRACE},
    {"runner", required_argument, NULL, KEY_RUNNER},
    {NULL, 0, NULL, 0},
};

static bool read_cpus(const char *text, double *out)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0) || value > 1e6) {
        return false;
    }
    *out = value;
    return true;
}

static bool read_sandbox(const char *text, bool *out)
{
    *out = strcmp(text, "none") != 0;
    return !*out || strcmp(text, "bubblewrap") == 0;
}

static bool read_option(int key, const char *value, struct worker_options *options)
{
    switch (key) {
    case KEY_SITE:
        options->site = value;
        return true;
    case KEY_PIN:
        options->fingerprint = value;
        return true;
    case KEY_SITE_FILE:
        options->site_file = value;
        return true;
    case KEY_TOKEN_FILE:
        options->token_file = value;
        return true;
    case KEY_DIRECTORY:
        options->directory = value;
        return true;
    case KEY_NAME:
        options->name = value;
        return true;
    case KEY_RUNNER:
        options->runner = value;
        return true;
    case KEY_CPUS:
        return read_cpus(value, &options->cpus);
    case KEY_MEMORY:
        return text_to_bytes(text_of(value), &options->memory_bytes) && options->memory_bytes > 0;
    case KEY_GRACE:
        return text_to_duration_us(text_of(value), &options->grace_us) && options->grace_us >= 0;
    case KEY_SANDBOX:
        return read_sandbox(value, &options->has_sandbox);
    default:
        return false;
    }
}

static enum status read_options(int argc, char **argv, struct worker_options *options,
                                struct error *error)
{
    optind = 1;
    opterr = 0;
    for (int key = 0; (key = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (!read_option(key, optarg, options)) {
            const char *word = argv[optind - 1];
            return error_set(error, INVALID, "worker: cannot use \"%s\"; see lode help worker",
                             word);
        }
    }
    if (optind < argc) {
        return error_set(error, INVALID, "worker: \"%s\" is no option; see lode help worker",
                         argv[optind]);
    }
    if (!options->directory || !options->token_file) {
        return error_set(error, INVALID, "worker: --directory and --token-file are needed");
    }
    if (!options->site_file && !(options->site && options->fingerprint)) {
        return error_set(error, INVALID, "worker: --site-file, or --site with --pin, is needed");
    }
    return OK;
}

// lode-runner beside this program, in a build folder or installed.
static char *find_runner(void)
{
    static const char *const places[] = {"lode-runner", "runner/lode-runner",
                                         "../libexec/lode/lode-runner", "../lib/lode/lode-runner"};
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash) {
        return NULL;
    }
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        AUTO_FREE char *path = memory_format("%s/%s", program, places[i]);
        if (access(path, X_OK) == 0) {
            return TAKE(path);
        }
    }
    return NULL;
}

static int say_error(const struct error *error)
{
    (void)fprintf(stderr, "lode: %s\n", error->detail);
    if (error->fix[0] != '\0') {
        (void)fprintf(stderr, "lode: %s\n", error->fix);
    }
    return error->status == INVALID       ? EXIT_USAGE
           : error->status == UNSUPPORTED ? EXIT_NO_SANDBOX
                                          : 1;
}

int command_worker(int argc, char **argv)
{
    struct error error = {0};
    struct sysinfo machine = {0};
    char host[HOST_MAX] = "worker";
    (void)sysinfo(&machine);
    (void)gethostname(host, sizeof host - 1);
    AUTO_FREE char *runner = find_runner();
    struct worker_options options = {
        .name = host,
        .runner = runner,
        .cpus = (double)sysconf(_SC_NPROCESSORS_ONLN),
        .memory_bytes = (int64_t)machine.totalram * (int64_t)machine.mem_unit,
        .grace_us = INT64_C(1000000) * GRACE_SECONDS,
        .has_sandbox = true,
    };
    if (read_options(argc, argv, &options, &error) != OK) {
        return say_error(&error);
    }
    if (!options.runner) {
        (void)error_set(&error, NOT_FOUND,
                        "lode-runner is not beside the program lode; give --runner PATH");
        return say_error(&error);
    }
    AUTO_FREE char *directory = NULL;
    if (file_make_folder(options.directory, &error) != OK) {
        return say_error(&error);
    }
    directory = realpath(options.directory, NULL);
    options.directory = directory ? directory : options.directory;
    enum status status = worker_run(&options, &error);
    if (status == CONFLICT) {
        (void)fprintf(stderr, "lode: %s\n", error.detail);
        return 0; // It does what this one was meant for.
    }
    return status == OK ? 0 : say_error(&error);
}
