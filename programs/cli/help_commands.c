// `lode help` and `lode completion`, and what the help says of the commands that read their own arguments.
#include "cli/help.h"

#include "base/memory.h"
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

// The text as it is, or with --json as {"text": "..."}.
static int print(const struct options *options, struct buffer *text)
{
    if (options_has(options, "json")) {
        AUTO_FREE char *plain = buffer_take_string(text);
        buffer_append_string(text, "{\"text\":");
        buffer_append_json_string(text, text_of(plain));
        buffer_append_string(text, "}\n");
    }
    (void)fwrite(text->bytes, 1, text->length, stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILED;
}

static int run_help(const struct command *command, const struct options *options)
{
    (void)command;
    AUTO_BUFFER struct buffer text = {0};
    bool is_manual = options_has(options, "man");
    int words = 0;
    int argc = (int)options->operand_count;
    const struct command *found = command_find(argc, options->operands, &words);
    if (found && is_manual) {
        manual_command(found, &text);
    } else if (found) {
        help_command(found, &text);
    } else if (argc == 0 && is_manual) {
        manual_program(&text);
    } else if (argc == 0 || command_is_family(options->operands[0])) {
        help_overview(options->operands[0], &text);
    } else {
        return command_refuse_words(options->operands[0], options->operands[1]);
    }
    return print(options, &text);
}

static const struct command_option HELP_OPTIONS[] = {
    {"man", 0, OPTION_FLAG, NULL, "write the manual page instead (roff, for man -l -)", NULL},
    {"json", 0, OPTION_FLAG, NULL, "print one JSON document with the text", NULL},
};

static const struct command_option COMPLETION_OPTIONS[] = {
    {"json", 0, OPTION_FLAG, NULL, "print one JSON document with the script", NULL},
};

static const struct command_example HELP_EXAMPLES[] = {
    {"lode help run", "shows the options of lode run with examples"},
    {"lode help --man run | man -l -", "shows the manual page"},
};

const struct command COMMAND_HELP = {
    .name = "help",
    .usage = "[COMMAND]",
    .purpose = "shows the help of a command, or all commands",
    .group = GROUP_HELP,
    .options = OPTION_TABLE(HELP_OPTIONS),
    .examples = EXAMPLES(HELP_EXAMPLES),
    .operands_max = 2,
    .is_offline = true,
    .run = run_help,
};

static int run_completion(const struct command *command, const struct options *options)
{
    (void)command;
    AUTO_BUFFER struct buffer text = {0};
    const char *shell = options->operands[0];
    if (strcmp(shell, "bash") == 0) {
        completion_bash(&text);
    } else if (strcmp(shell, "zsh") == 0) {
        completion_zsh(&text);
    } else if (strcmp(shell, "fish") == 0) {
        completion_fish(&text);
    } else {
        struct error error;
        (void)error_set(&error, INVALID, "no completion for the shell \"%.100s\"", shell);
        error_fix(&error, "one of bash, zsh, fish");
        return command_fail(&error, EXIT_USAGE);
    }
    return print(options, &text);
}

static const struct command_example COMPLETION_EXAMPLES[] = {
    {"eval \"$(lode completion bash)\"", "completes lode's commands and options in this bash"},
    {"lode completion fish | source", "the same in fish"},
    {"lode completion zsh > \"${fpath[1]}/_lode\"", "the same in zsh, from the next start on"},
};

const struct command COMMAND_COMPLETION = {
    .name = "completion",
    .usage = "bash|zsh|fish",
    .purpose = "writes the completion script of a shell",
    .group = GROUP_HELP,
    .options = OPTION_TABLE(COMPLETION_OPTIONS),
    .examples = EXAMPLES(COMPLETION_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .is_offline = true,
    .run = run_completion,
};
