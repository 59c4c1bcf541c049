// lode link: takes the jobs of a site that are to run elsewhere there, until SIGTERM.
#include "commands.h"

#include "base/json.h"
#include "link/link.h"

#include <stdio.h>
#include <unistd.h>

enum { GRACE_SECONDS = 600 };

static enum status read_options(const struct options *given, struct link_options *out,
                                struct error *error)
{
    *out = (struct link_options){
        .site_file = options_text(given, "site-file", NULL),
        .token_file = options_text(given, "token-file", NULL),
        .directory = options_text(given, "directory", NULL),
        .key_path = options_text(given, "key", NULL),
        .certificate_path = options_text(given, "certificate", NULL),
        .grace_us = options_int64(given, "grace", INT64_C(1000000) * GRACE_SECONDS),
    };
    if (!out->site_file || !out->token_file || !out->directory || !out->key_path ||
        !out->certificate_path) {
        return error_set(error, INVALID,
                         "lode link: --site-file, --token-file, --directory, --key and "
                         "--certificate are needed");
    }
    return OK;
}

static void say_json(const struct link_options *options)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_JSON json_t *link = json_pack(
        "{s:o, s:o, s:I}", "site_file", json_from_text(text_of(options->site_file)), "directory",
        json_from_text(text_of(options->directory)), "pid", (json_int_t)getpid());
    json_write(link, false, &text);
    (void)printf("%s\n", text.bytes);
    (void)fflush(stdout);
}

int command_link(const struct command *command, const struct options *given)
{
    (void)command;
    struct error error = {0};
    struct link_options options;
    if (read_options(given, &options, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (options_has(given, "json")) {
        say_json(&options);
    }
    enum status status = link_run(&options, &error);
    if (status == CONFLICT) {
        (void)fprintf(stderr, "lode: %s\n", error.detail);
        return 0; // It does what this one was meant for.
    }
    return status == OK ? 0 : command_fail(&error, EXIT_FAILED);
}
