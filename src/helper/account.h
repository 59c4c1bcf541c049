// Local accounts: looked up, and become for good.
#ifndef LODE_HELPER_ACCOUNT_H
#define LODE_HELPER_ACCOUNT_H

#include "base/status.h"

#include <stdbool.h>
#include <sys/types.h>

struct account {
    char *name; // Of one without a name: its number.
    char *home;
    char *shell;
    uid_t uid;
    gid_t gid;
};

#define AUTO_ACCOUNT __attribute__((cleanup(account_done)))
void account_done(struct account *account);

// By name; NOT_FOUND. *out is to be given to account_done.
enum status account_find(const char *name, struct account *out, struct error *error);

// That of this process; one that the system has no entry of has a number for a name, and the home of the environment.
enum status account_own(struct account *out, struct error *error);

// Of a process that is root and has one thread: gives it the account's groups, group and user, so that there is no way back, its home as the
// folder (the root folder where that cannot be entered), and no right of others to files that it makes. The process keeps its memory to itself.
// INTERNAL when any of it is refused; then the process must end.
enum status account_become(const struct account *account, struct error *error);

// What a worker of the account finds in its environment: PATH as given, HOME, USER, LOGNAME, SHELL, LANG. NULL-terminated; free it with
// environment_free.
char **account_environment(const struct account *account, const char *path);
void environment_free(char **environment);

#endif
