// What `lode` can do: one description of each command, from which come its help, its manual page and its completion.
#ifndef LODE_PROGRAMS_CLI_COMMAND_H
#define LODE_PROGRAMS_CLI_COMMAND_H

#include "cli/options.h"

// Exit statuses of every command; `lode run` and `lode wait` give those of the command that ran, see EXIT_RUN_STATUSES.
enum {
    EXIT_FAILED = 1,     // The site refused, or the thing asked for is not there.
    EXIT_USAGE = 2,      // The command line is wrong.
    EXIT_WALLTIME = 124, // As timeout(1).
    EXIT_LODE = 125,     // Of `run` and `wait`: lode failed, not the command.
    EXIT_SIGNAL = 128,   // Plus the signal's number.
};

enum command_group {
    GROUP_RUNNING,
    GROUP_JOBS,
    GROUP_DATA,
    GROUP_SITE,
    GROUP_FEDERATION,
    GROUP_HELP,
    GROUP_COUNT,
};

struct command_example {
    const char *line; // What is typed.
    const char *says; // What it does, one sentence without a full stop.
};

struct command {
    const char *name;    // "run", "data add".
    const char *usage;   // What follows the name and "[OPTION]...": "JOB [DIR]"; "" for nothing.
    const char *purpose; // One sentence with a small letter and without a full stop.
    const char *description; // Paragraphs, separated by an empty line; NULL: none.
    const char
        *statuses; // Exit statuses beyond the common ones, one "code: meaning" a line; NULL: none.
    enum command_group group;
    struct option_table options;
    struct {
        const struct command_example *items;
        size_t count;
    } examples;
    size_t operands_min;
    size_t operands_max;   // SIZE_MAX: any number.
    bool stops_at_operand; // What follows the first operand belongs to the operands.
    bool is_offline;       // Has no --site and no --json.
    int (*run)(const struct command *command,
               const struct options *options); // Returns the exit status.
};

#define EXAMPLES(array)                                                                            \
    {                                                                                              \
        (array), sizeof(array) / sizeof((array)[0])                                                \
    }

extern const struct command COMMAND_RUN;
extern const struct command COMMAND_SUBMIT;
extern const struct command COMMAND_PLAN;
extern const struct command COMMAND_JOBS;
extern const struct command COMMAND_JOB_SHOW;
extern const struct command COMMAND_LOGS;
extern const struct command COMMAND_OUTPUTS;
extern const struct command COMMAND_WAIT;
extern const struct command COMMAND_CANCEL;
extern const struct command COMMAND_RETRY;
extern const struct command COMMAND_WHY;
extern const struct command COMMAND_DATA_ADD;
extern const struct command COMMAND_DATA_LIST;
extern const struct command COMMAND_DATA_SHOW;
extern const struct command COMMAND_DATA_VERIFY;
extern const struct command COMMAND_DATA_REMOVE;
extern const struct command COMMAND_DATA_REPLICATE;
extern const struct command COMMAND_TRANSFERS;
extern const struct command COMMAND_TRANSFERS_CANCEL;
extern const struct command COMMAND_RESOLVE;
extern const struct command COMMAND_SITE;
extern const struct command COMMAND_WORKER;
extern const struct command COMMAND_WORKER_ACCEPT;
extern const struct command COMMAND_WORKER_ENROLL;
extern const struct command COMMAND_WORKER_FORGET;
extern const struct command COMMAND_WORKER_INVITE;
extern const struct command COMMAND_WORKER_REFUSE;
extern const struct command COMMAND_WORKER_MOVE;
extern const struct command COMMAND_WORKER_ALLOW;
extern const struct command COMMAND_WORKER_DISALLOW;
extern const struct command COMMAND_POOL_START;
extern const struct command COMMAND_POOL_STATUS;
extern const struct command COMMAND_POOL_STOP;
extern const struct command COMMAND_POOL_KEY;
extern const struct command COMMAND_POOL_CONNECT;
extern const struct command COMMAND_LINK;
extern const struct command COMMAND_UNPACK;
extern const struct command COMMAND_DISCOVER;
extern const struct command COMMAND_LOGIN;
extern const struct command COMMAND_STATUS;
extern const struct command COMMAND_WORKERS;
extern const struct command COMMAND_WORKER_DRAIN;
extern const struct command COMMAND_TOKEN_CREATE;
extern const struct command COMMAND_TOKEN_LIST;
extern const struct command COMMAND_TOKEN_REVOKE;
extern const struct command COMMAND_GROUP_CREATE;
extern const struct command COMMAND_GROUP_ADD;
extern const struct command COMMAND_GROUP_REMOVE;
extern const struct command COMMAND_GROUP_WEIGHT;
extern const struct command COMMAND_GROUP_DELETE;
extern const struct command COMMAND_GROUP_LIST;
extern const struct command COMMAND_HUB_ADD;
extern const struct command COMMAND_HUB_LIST;
extern const struct command COMMAND_HUB_REMOVE;
extern const struct command COMMAND_SITES;
extern const struct command COMMAND_SITES_ACCEPT;
extern const struct command COMMAND_SITES_DENY;
extern const struct command COMMAND_HELP;
extern const struct command COMMAND_COMPLETION;

// All commands, in the order in which the help shows them; NULL-terminated.
extern const struct command *const COMMANDS[];

// Options that every command has but those that are offline.
extern const struct option_table COMMON_OPTIONS;

// The command that argv[0] (or argv[0] and argv[1]) names; *words is how many. NULL when there is none.
const struct command *command_find(int argc, char *const *argv, int *words);

// Is it the first word of commands of two words ("data")?
bool command_is_family(const char *word);

// The name of a command that may have been meant, or NULL.
const char *command_nearest(const char *word);

// Says that there is no such command (or option before one) and which was meant; returns EXIT_USAGE. `second`: the word
// behind it, which belongs to the command where the first is that of a family; NULL: none.
int command_refuse_words(const char *word, const char *second);

// Says "lode: <detail>" and the fix on standard error; returns `exit_status`.
int command_fail(const struct error *error, int exit_status);

#endif
