// The commands of `lode` that are programs of their own; each reads its own arguments (argv[0] is the command's name).
#ifndef LODE_PROGRAMS_COMMANDS_H
#define LODE_PROGRAMS_COMMANDS_H

// `lode site`: serves a site until SIGTERM. Returns the exit status.
int command_site(int argc, char **argv);

// `lode worker`: runs tasks for a site until SIGTERM. Returns the exit status.
int command_worker(int argc, char **argv);

#endif
