// The commands of `lode` that are programs of their own.
#ifndef LODE_PROGRAMS_COMMANDS_H
#define LODE_PROGRAMS_COMMANDS_H

#include "cli/command.h"

// `lode site`: serves a site until SIGTERM. Returns the exit status.
int command_site(const struct command *command, const struct options *options);

// `lode worker`: runs tasks for a site until SIGTERM. Returns the exit status.
int command_worker(const struct command *command, const struct options *given);

// `lode worker enroll`: has a site accept this machine's worker by an invitation. Returns the exit status.
int command_worker_enroll(const struct command *command, const struct options *given);

// `lode link`: takes jobs to other sites until SIGTERM. Returns the exit status.
int command_link(const struct command *command, const struct options *given);

// `lode unpack`: unpacks a bundle or an image. Returns the exit status.
int command_unpack(const struct command *command, const struct options *given);

#endif
