// lode: one program for clients, sites and workers. Finds the command, reads its options and calls it.
#include "cli/help.h"

#include "base/status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int print_help(const struct command *command, const char *family)
{
    AUTO_BUFFER struct buffer text = {0};
    if (command) {
        help_command(command, &text);
    } else {
        help_overview(family, &text);
    }
    (void)fwrite(text.bytes, 1, text.length, stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILED;
}

static enum status check_operands(const struct command *command, const struct options *options,
                                  struct error *error)
{
    size_t count = options->operand_count;
    if (count >= command->operands_min && count <= command->operands_max) {
        return OK;
    }
    if (count < command->operands_min) {
        (void)error_set(error, INVALID, "lode %s: an argument is missing", command->name);
    } else {
        (void)error_set(error, INVALID, "lode %s: \"%.100s\" is one argument too many",
                        command->name, options->operands[command->operands_max]);
    }
    error_fix(error, "lode %s [OPTION]...%s%s", command->name, command->usage[0] ? " " : "",
              command->usage);
    return INVALID;
}

static bool is_help_word(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

// `argv` starts behind the command's words.
static int run_command(const struct command *command, int argc, char **argv)
{
    struct options options = {.tables = {command->options}};
    if (!command->is_offline) {
        options.tables[1] = COMMON_OPTIONS;
    }
    struct error error;
    int exit_status = EXIT_SUCCESS;
    if (options_parse(&options, argc, argv, command->stops_at_operand, &error) != OK) {
        exit_status = command_fail(&error, EXIT_USAGE);
    } else if (options.has_help) {
        exit_status = print_help(command, NULL);
    } else if (check_operands(command, &options, &error) != OK) {
        exit_status = command_fail(&error, EXIT_USAGE);
    } else {
        exit_status = command->run(command, &options);
    }
    options_done(&options);
    return exit_status;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        return print_help(NULL, NULL) == EXIT_SUCCESS ? EXIT_USAGE : EXIT_FAILED;
    }
    if (is_help_word(argv[1])) {
        return print_help(NULL, NULL);
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("lode " LODE_VERSION);
        return EXIT_SUCCESS;
    }
    int words = 0;
    const struct command *command = command_find(argc - 1, argv + 1, &words);
    if (!command) {
        if (command_is_family(argv[1]) && (argc == 2 || is_help_word(argv[2]))) {
            int status = print_help(NULL, argv[1]);
            return argc == 2 ? EXIT_USAGE : status;
        }
        return command_refuse_words(argv[1], argc > 2 ? argv[2] : NULL);
    }
    return run_command(command, argc - 1 - words, argv + 1 + words);
}
