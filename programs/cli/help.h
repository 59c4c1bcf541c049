// Help, manual pages and completion, all written from the table of commands.
#ifndef LODE_PROGRAMS_CLI_HELP_H
#define LODE_PROGRAMS_CLI_HELP_H

#include "base/buffer.h"
#include "cli/command.h"

// The overview of all commands; `family` ("data"): those of two words that begin with it; NULL: all.
void help_overview(const char *family, struct buffer *out);

// The help of one command.
void help_command(const struct command *command, struct buffer *out);

// Manual pages of section 1 as roff, of one command (lode-run(1)) and of the program (lode(1)).
void manual_command(const struct command *command, struct buffer *out);
void manual_program(struct buffer *out);

// The completion script of a shell ("bash", "zsh", "fish").
void completion_bash(struct buffer *out);
void completion_zsh(struct buffer *out);
void completion_fish(struct buffer *out);

// The title of a group of commands.
const char *group_title(enum command_group group);

#endif
