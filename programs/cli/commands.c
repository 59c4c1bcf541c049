// The table of all commands, and finding one in it.
#include "cli/command.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdio.h>

static const struct command_option COMMON[] = {
    {"site", 0, OPTION_TEXT, "URL",
     "talk to this site (default: $LODE_SITE, the last login, this machine's)", NULL},
    {"json", 0, OPTION_FLAG, NULL, "write JSON for programs to standard output", NULL},
};
const struct option_table COMMON_OPTIONS = {COMMON, sizeof(COMMON) / sizeof(COMMON[0])};

// Of commands that begin alike, the longer ones come first: "transfers cancel" before "transfers".
const struct command *const COMMANDS[] = {
    &COMMAND_RUN,
    &COMMAND_SUBMIT,
    &COMMAND_PLAN,
    &COMMAND_JOBS,
    &COMMAND_JOB_SHOW,
    &COMMAND_LOGS,
    &COMMAND_OUTPUTS,
    &COMMAND_WAIT,
    &COMMAND_CANCEL,
    &COMMAND_RETRY,
    &COMMAND_WHY,
    &COMMAND_DATA_ADD,
    &COMMAND_DATA_LIST,
    &COMMAND_DATA_SHOW,
    &COMMAND_DATA_VERIFY,
    &COMMAND_DATA_REPLICATE,
    &COMMAND_DATA_REMOVE,
    &COMMAND_TRANSFERS_CANCEL,
    &COMMAND_TRANSFERS,
    &COMMAND_RESOLVE,
    &COMMAND_SITE,
    &COMMAND_WORKER_ACCEPT,
    &COMMAND_WORKER_REFUSE,
    &COMMAND_WORKER_FORGET,
    &COMMAND_WORKER_INVITE,
    &COMMAND_WORKER_ENROLL,
    &COMMAND_WORKER_MOVE,
    &COMMAND_WORKER_DRAIN,
    &COMMAND_WORKER_ALLOW,
    &COMMAND_WORKER_DISALLOW,
    &COMMAND_WORKER,
    &COMMAND_POOL_START,
    &COMMAND_POOL_STATUS,
    &COMMAND_POOL_STOP,
    &COMMAND_POOL_KEY,
    &COMMAND_POOL_CONNECT,
    &COMMAND_LINK,
    &COMMAND_UNPACK,
    &COMMAND_DISCOVER,
    &COMMAND_LOGIN,
    &COMMAND_STATUS,
    &COMMAND_WORKERS,
    &COMMAND_TOKEN_CREATE,
    &COMMAND_TOKEN_LIST,
    &COMMAND_TOKEN_REVOKE,
    &COMMAND_GROUP_CREATE,
    &COMMAND_GROUP_ADD,
    &COMMAND_GROUP_REMOVE,
    &COMMAND_GROUP_WEIGHT,
    &COMMAND_GROUP_DELETE,
    &COMMAND_GROUP_LIST,
    &COMMAND_HUB_ADD,
    &COMMAND_HUB_LIST,
    &COMMAND_HUB_REMOVE,
    &COMMAND_SITES_ACCEPT,
    &COMMAND_SITES_DENY,
    &COMMAND_SITES,
    &COMMAND_HELP,
    &COMMAND_COMPLETION,
    NULL, // The end.
};

const struct command *command_find(int argc, char *const *argv, int *words)
{
    for (const struct command *const *each = COMMANDS; *each; each++) {
        struct text name = text_of((*each)->name);
        size_t space = text_find_byte(name, 0, ' ');
        bool is_pair = space < name.length;
        if (argc < (is_pair ? 2 : 1) || !text_equal(text_slice(name, 0, space), text_of(argv[0]))) {
            continue;
        }
        if (!is_pair || strcmp((*each)->name + space + 1, argv[1]) == 0) {
            *words = is_pair ? 2 : 1;
            return *each;
        }
    }
    return NULL;
}

bool command_is_family(const char *word)
{
    size_t length = strlen(word);
    for (const struct command *const *each = COMMANDS; *each; each++) {
        if (strncmp((*each)->name, word, length) == 0 && (*each)->name[length] == ' ') {
            return true;
        }
    }
    return false;
}

const char *command_nearest(const char *word)
{
    const char *nearest = NULL;
    unsigned least = 100;
    for (const struct command *const *each = COMMANDS; *each; each++) {
        unsigned distance = word_distance(text_of(word), text_of((*each)->name));
        if (distance < least) {
            least = distance;
            nearest = (*each)->name;
        }
    }
    return word_is_near(least, strlen(word)) ? nearest : NULL;
}

int command_fail(const struct error *error, int exit_status)
{
    (void)fprintf(stderr, "lode: %s\n", error->detail);
    if (error->fix[0]) {
        (void)fprintf(stderr, "      %s\n", error->fix);
    }
    return exit_status;
}

int command_refuse_words(const char *word, const char *second)
{
    struct error error;
    bool is_pair = second && command_is_family(word);
    AUTO_FREE char *both = is_pair ? memory_format("%s %.100s", word, second) : NULL;
    const char *nearest = command_nearest(is_pair ? both : word);
    (void)error_set(&error, INVALID, "%s \"%.100s\"",
                    word[0] == '-' ? "unknown option" : "there is no command",
                    is_pair ? both : word);
    if (nearest) {
        error_fix(&error, "did you mean \"lode %s\"? \"lode --help\" lists all", nearest);
    } else {
        error_fix(&error, "\"lode --help\" lists all commands");
    }
    return command_fail(&error, EXIT_USAGE);
}
