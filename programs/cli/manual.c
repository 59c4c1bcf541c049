// Manual pages in the man(7) language, for `man lode-run`; made while the program is built.
#include "cli/help.h"

#include <ctype.h>

#define MANUAL_DATE "2026-11-21" // Of the last change of what the pages say.

// Appends text with what roff would understand as its own made plain.
static void append_roff(struct buffer *out, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];
        bool is_line_start = i == 0 || text.bytes[i - 1] == '\n';
        if (is_line_start && (byte == '.' || byte == '\'')) {
            buffer_append_string(out, "\\&");
        }
        if (byte == '\\') {
            buffer_append_string(out, "\\e");
        } else if (byte == '-') {
            buffer_append_string(out, "\\-");
        } else {
            buffer_append_byte(out, byte);
        }
    }
}

static void append_upper(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        buffer_append_byte(out, *text == ' ' ? '-' : (char)toupper((unsigned char)*text));
    }
}

// "data add" as the name of a page: "data-add".
static void append_page_name(struct buffer *out, const char *name)
{
    for (; *name; name++) {
        buffer_append_string(out, *name == ' ' || *name == '-' ? "\\-" : (char[]){*name, 0});
    }
}

static void append_paragraphs(struct buffer *out, const char *text)
{
    struct text rest = text_of(text);
    struct text line;
    while (text_next_part(&rest, '\n', &line)) {
        if (line.length == 0) {
            buffer_append_string(out, ".PP\n");
        } else {
            append_roff(out, line);
            buffer_append_byte(out, '\n');
        }
    }
}

static void append_option(struct buffer *out, const struct command_option *option)
{
    buffer_append_string(out, ".TP\n");
    if (option->letter) {
        buffer_printf(out, "\\fB\\-%c\\fR, ", option->letter);
    }
    buffer_append_string(out, "\\fB\\-\\-");
    append_roff(out, text_of(option->name));
    buffer_append_string(out, "\\fR");
    if (option->value) {
        buffer_append_string(out, " \\fI");
        append_roff(out, text_of(option->choices ? option->choices : option->value));
        buffer_append_string(out, "\\fR");
    }
    buffer_append_byte(out, '\n');
    append_roff(out, text_of(option->help));
    buffer_append_string(out, ".\n");
}

static void append_title(struct buffer *out, const char *name, const char *purpose)
{
    buffer_append_string(out, ".TH \"LODE");
    buffer_append_string(out, name ? "-" : "");
    append_upper(out, name ? name : "");
    buffer_append_string(out, "\" \"1\" \"" MANUAL_DATE "\" \"Lode " LODE_VERSION
                              "\" \"Lode manual\"\n");
    buffer_append_string(out, ".SH NAME\nlode");
    buffer_append_string(out, name ? "\\-" : "");
    append_page_name(out, name ? name : "");
    buffer_append_string(out, " \\- ");
    append_roff(out, text_of(purpose));
    buffer_append_byte(out, '\n');
}

static void append_statuses(struct buffer *out, const char *statuses)
{
    struct text rest = text_of(statuses);
    struct text line;
    while (text_next_part(&rest, '\n', &line)) {
        size_t colon = text_find_byte(line, 0, ':');
        buffer_append_string(out, ".TP\n");
        append_roff(out, text_slice(line, 0, colon));
        buffer_append_byte(out, '\n');
        append_roff(out, text_trim(text_slice(line, colon + 1, line.length)));
        buffer_append_byte(out, '\n');
    }
}

static void append_examples(struct buffer *out, const struct command *command)
{
    buffer_append_string(out, ".SH EXAMPLES\n");
    for (size_t i = 0; i < command->examples.count; i++) {
        buffer_append_string(out, i > 0 ? ".PP\n" : "");
        AUTO_BUFFER struct buffer says = {0};
        buffer_printf(&says, "%s:", command->examples.items[i].says);
        says.bytes[0] = (char)toupper((unsigned char)says.bytes[0]);
        append_roff(out, buffer_text(&says));
        buffer_append_string(out, "\n.PP\n.RS 4\n.nf\n");
        append_roff(out, text_of(command->examples.items[i].line));
        buffer_append_string(out, "\n.fi\n.RE\n");
    }
}

void manual_command(const struct command *command, struct buffer *out)
{
    append_title(out, command->name, command->purpose);
    buffer_printf(out, ".SH SYNOPSIS\n\\fBlode %s\\fR [\\fIOPTION\\fR]...%s", command->name,
                  command->usage[0] ? " " : "");
    append_roff(out, text_of(command->usage));
    buffer_append_string(out, "\n.SH DESCRIPTION\n");
    AUTO_BUFFER struct buffer purpose = {0};
    buffer_printf(&purpose, "%s.", command->purpose);
    purpose.bytes[0] = (char)toupper((unsigned char)purpose.bytes[0]);
    append_roff(out, buffer_text(&purpose));
    buffer_append_byte(out, '\n');
    if (command->description) {
        buffer_append_string(out, ".PP\n");
        append_paragraphs(out, command->description);
    }
    buffer_append_string(out, ".SH OPTIONS\n");
    for (size_t i = 0; i < command->options.count; i++) {
        append_option(out, &command->options.items[i]);
    }
    for (size_t i = 0; i < COMMON_OPTIONS.count && !command->is_offline; i++) {
        append_option(out, &COMMON_OPTIONS.items[i]);
    }
    buffer_append_string(out, ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nShow the help.\n");
    buffer_append_string(out, ".SH EXIT STATUS\n");
    append_statuses(out, "0: Success.\n1: The site refused, or what was asked for is not there.\n"
                         "2: The command line is wrong.");
    append_statuses(out, command->statuses);
    if (command->examples.count > 0) {
        append_examples(out, command);
    }
    buffer_append_string(out, ".SH SEE ALSO\n.BR lode (1)\n");
}

void manual_program(struct buffer *out)
{
    append_title(out, NULL, "bring the analysis to the data");
    buffer_append_string(out, ".SH SYNOPSIS\n\\fBlode\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... "
                              "[\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\n");
    append_paragraphs(out, "Lode runs analyses beside the data that they read, isolated, durable,\n"
                           "cached and explained.\n\n\"lode site\" serves a site;\n"
                           "the other commands talk to one.");
    for (enum command_group group = 0; group < GROUP_COUNT; group++) {
        buffer_append_string(out, ".SS ");
        append_roff(out, text_of(group_title(group)));
        buffer_append_byte(out, '\n');
        for (const struct command *const *each = COMMANDS; *each; each++) {
            if ((*each)->group == group) {
                buffer_append_string(out, ".TP\n.BR lode\\-");
                append_page_name(out, (*each)->name);
                buffer_append_string(out, " (1)\n");
                append_roff(out, text_of((*each)->purpose));
                buffer_append_string(out, ".\n");
            }
        }
    }
    buffer_append_string(out, ".SH ENVIRONMENT\n");
    append_statuses(
        out,
        "LODE_SITE: The URL of the site to talk to, where --site is not given.\n"
        "XDG_CONFIG_HOME: Known sites and tokens are kept in its folder lode (~/.config/lode).\n"
        "XDG_DATA_HOME: A site of this machine is looked for in its folder lode "
        "(~/.local/share/lode).");
    buffer_append_string(out, ".SH FILES\n");
    append_statuses(out,
                    "~/.config/lode/known_sites: The keys of the sites that were met.\n"
                    "~/.config/lode/tokens: The tokens for them; readable by their owner only.");
}
