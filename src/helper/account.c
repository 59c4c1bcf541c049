#include "helper/account.h"

#include "base/memory.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRY_SIZE = 65536, VARIABLES = 6, PRIVATE = 077 };

void account_done(struct account *account)
{
    free(TAKE(account->name));
    free(TAKE(account->home));
    free(TAKE(account->shell));
}

static void take_entry(const struct passwd *entry, struct account *out)
{
    *out = (struct account){
        .name = memory_copy_string(entry->pw_name),
        .home = memory_copy_string(entry->pw_dir),
        .shell = memory_copy_string(entry->pw_shell[0] ? entry->pw_shell : "/bin/sh"),
        .uid = entry->pw_uid,
        .gid = entry->pw_gid,
    };
}

enum status account_find(const char *name, struct account *out, struct error *error)
{
    struct passwd entry;
    struct passwd *found = NULL;
    AUTO_FREE char *room = memory_new(1, ENTRY_SIZE);
    int failure = getpwnam_r(name, &entry, room, ENTRY_SIZE, &found);
    if (failure != 0) {
        return error_set_errno(error, failure, "cannot look up the account \"%.64s\"", name);
    }
    if (!found) {
        return error_set(error, NOT_FOUND, "there is no account \"%.64s\" on this machine", name);
    }
    take_entry(found, out);
    return OK;
}

enum status account_own(struct account *out, struct error *error)
{
    struct passwd entry;
    struct passwd *found = NULL;
    const char *home = getenv("HOME");
    AUTO_FREE char *room = memory_new(1, ENTRY_SIZE);
    int failure = getpwuid_r(geteuid(), &entry, room, ENTRY_SIZE, &found);
    if (failure != 0 && failure != ENOENT) {
        return error_set_errno(error, failure, "cannot look up the account %u", geteuid());
    }
    if (found) {
        take_entry(found, out);
    } else {
        *out = (struct account){.name = memory_format("%u", geteuid()),
                                .home = memory_copy_string("/"),
                                .shell = memory_copy_string("/bin/sh"),
                                .uid = geteuid(),
                                .gid = getegid()};
    }
    if (home && home[0] == '/') {
        free(out->home);
        out->home = memory_copy_string(home);
    }
    return OK;
}

enum status account_become(const struct account *account, struct error *error)
{
    bool is_done = initgroups(account->name, account->gid) == 0 &&
                   setresgid(account->gid, account->gid, account->gid) == 0 &&
                   setresuid(account->uid, account->uid, account->uid) == 0;
    if (!is_done) {
        return error_set(error, INTERNAL, "cannot become the account %.64s: %s", account->name,
                         strerror(errno));
    }
    bool is_for_good = account->uid == 0 || (setuid(0) < 0 && seteuid(0) < 0);
    if (!is_for_good || geteuid() != account->uid || getegid() != account->gid) {
        return error_set(error, INTERNAL, "the system does not let go of root");
    }
    // The key of the helper is in this memory: other processes of the account are not to read it.
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)umask(PRIVATE);
    if (chdir(account->home) < 0 && chdir("/") < 0) {
        return error_set_errno(error, errno, "cannot enter the root folder");
    }
    return OK;
}

char **account_environment(const struct account *account, const char *path)
{
    char **environment = memory_new(VARIABLES + 1, sizeof *environment);
    environment[0] = memory_format("PATH=%s", path);
    environment[1] = memory_format("HOME=%s", account->home);
    environment[2] = memory_format("USER=%s", account->name);
    environment[3] = memory_format("LOGNAME=%s", account->name);
    environment[4] = memory_format("SHELL=%s", account->shell);
    environment[5] = memory_copy_string("LANG=C.UTF-8");
    return environment;
}

void environment_free(char **environment)
{
    for (char **each = environment; each && *each; each++) {
        free(*each);
    }
    free(environment);
}
