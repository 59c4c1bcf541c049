#include "cli/help.h"

#include <stdio.h>

enum { HELP_WIDTH = 88, OPTION_COLUMN = 30, COMMAND_COLUMN = 20 };

static void append_spaces(struct buffer *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_byte(out, ' ');
    }
}

// Appends words wrapped at HELP_WIDTH; the line is at `column` already, further lines are indented by `indent`. Line
// breaks of the text stay.
static void append_wrapped(struct buffer *out, struct text text, size_t column, size_t indent)
{
    struct text line;
    bool is_first_line = true;
    while (text_next_part(&text, '\n', &line)) {
        if (!is_first_line) {
            buffer_append_byte(out, '\n');
            column = 0;
        }
        is_first_line = false;
        bool is_first_word = true;
        struct text word;
        while (text_next_part(&line, ' ', &word)) {
            if (!is_first_word && column + 1 + word.length > HELP_WIDTH) {
                buffer_append_byte(out, '\n');
                column = 0;
                is_first_word = true;
            }
            if (column == 0) {
                append_spaces(out, indent);
                column = indent;
            }
            if (!is_first_word) {
                buffer_append_byte(out, ' ');
                column++;
            }
            buffer_append_text(out, word);
            column += word.length;
            is_first_word = false;
        }
    }
    buffer_append_byte(out, '\n');
}

// Appends "  head" and, from `column` on, the text.
static void append_entry(struct buffer *out, struct text head, const char *text, size_t column)
{
    append_spaces(out, 2);
    buffer_append_text(out, head);
    size_t at = 2 + head.length;
    if (at + 2 > column) {
        buffer_append_byte(out, '\n');
        at = 0;
    }
    append_spaces(out, column - at);
    append_wrapped(out, text_of(text), column, column);
}

static void append_option(struct buffer *out, const struct command_option *option)
{
    AUTO_BUFFER struct buffer head = {0};
    if (option->letter) {
        buffer_printf(&head, "-%c, --%s", option->letter, option->name);
    } else {
        buffer_printf(&head, "    --%s", option->name);
    }
    if (option->value) {
        buffer_printf(&head, " %s", option->choices ? option->choices : option->value);
    }
    append_entry(out, buffer_text(&head), option->help, OPTION_COLUMN);
}

static void append_options(struct buffer *out, const struct command *command)
{
    buffer_append_string(out, "\nOptions:\n");
    for (size_t i = 0; i < command->options.count; i++) {
        append_option(out, &command->options.items[i]);
    }
    for (size_t i = 0; i < COMMON_OPTIONS.count && !command->is_offline; i++) {
        append_option(out, &COMMON_OPTIONS.items[i]);
    }
    append_entry(out, TEXT("-h, --help"), "show this help", OPTION_COLUMN);
}

// The words of `text` with a capital first letter and a full stop.
static void append_sentence(struct buffer *out, const char *text)
{
    char first = text[0];
    buffer_append_byte(out, first >= 'a' && first <= 'z' ? (char)(first - 'a' + 'A') : first);
    buffer_append_string(out, text + 1);
    buffer_append_byte(out, '.');
}

void help_command(const struct command *command, struct buffer *out)
{
    buffer_printf(out, "Usage: lode %s [OPTION]...%s%s\n\n", command->name,
                  command->usage[0] ? " " : "", command->usage);
    append_sentence(out, command->purpose);
    buffer_append_byte(out, '\n');
    if (command->description) {
        buffer_append_byte(out, '\n');
        append_wrapped(out, text_of(command->description), 0, 0);
    }
    append_options(out, command);
    if (command->statuses) {
        buffer_append_string(out, "\nExit status:\n");
        append_wrapped(out, text_of(command->statuses), 0, 2);
    }
    if (command->examples.count > 0) {
        buffer_append_string(out, "\nExamples:\n");
    }
    for (size_t i = 0; i < command->examples.count; i++) {
        buffer_printf(out, "  %s\n      ", command->examples.items[i].line);
        append_wrapped(out, text_of(command->examples.items[i].says), 6, 6);
    }
}

const char *group_title(enum command_group group)
{
    static const char *const TITLES[GROUP_COUNT] = {
        [GROUP_RUNNING] = "Run an analysis",
        [GROUP_JOBS] = "Jobs",
        [GROUP_DATA] = "Data",
        [GROUP_SITE] = "Sites and access",
        [GROUP_FEDERATION] = "Other sites",
        [GROUP_HELP] = "Help",
    };
    return TITLES[group];
}

static bool is_in_family(const struct command *command, const char *family)
{
    size_t length = family ? strlen(family) : 0;
    return !family || (strncmp(command->name, family, length) == 0 && command->name[length] == ' ');
}

void help_overview(const char *family, struct buffer *out)
{
    buffer_printf(out, "Usage: lode %s%sCOMMAND [OPTION]... [ARGUMENT]...\n", family ? family : "",
                  family ? " " : "");
    if (!family) {
        buffer_append_string(out, "\nLode brings the analysis to the data.\n");
    }
    for (enum command_group group = 0; group < GROUP_COUNT; group++) {
        bool has_title = false;
        for (const struct command *const *each = COMMANDS; *each; each++) {
            if ((*each)->group != group || !is_in_family(*each, family)) {
                continue;
            }
            if (!has_title) {
                buffer_printf(out, "\n%s\n", group_title(group));
                has_title = true;
            }
            append_entry(out, text_of((*each)->name), (*each)->purpose, COMMAND_COLUMN);
        }
    }
    buffer_append_string(out, "\n`lode COMMAND --help` shows a command's options with examples.\n");
}
