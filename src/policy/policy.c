#include "policy/policy.h"

#include <assert.h>

enum rule { NO, YES, OWN, INPUT };
// A worker of another class than that of the site has a column of its own, behind those of the roles.
enum { COLUMN_RUNNER = ROLE_COUNT, COLUMN_COUNT };

static const struct {
    const char *name;
    const char *words;             // "NAME may not ...".
    enum rule rules[COLUMN_COUNT]; // nobody, user, worker, admin, task, peer, runner.
} ACTIONS[ACTION_COUNT] = {
    [ACTION_SITE_READ] = {"site.read", "see the site's state", {NO, YES, YES, YES, NO, NO, NO}},
    [ACTION_SITE_CHANGE] = {"site.change", "change the site", {NO, NO, NO, YES, NO, NO, NO}},
    [ACTION_DATA_READ] = {"data.read", "read data", {NO, YES, NO, YES, INPUT, YES, NO}},
    [ACTION_DATA_CHANGE] = {"data.change",
                            "register or change data",
                            {NO, NO, NO, YES, NO, NO, NO}},
    [ACTION_TRANSFER_ORDER] = {"transfer.order",
                               "have data copied to this site",
                               {NO, YES, NO, YES, NO, YES, NO}},
    [ACTION_JOB_SUBMIT] = {"job.submit", "submit jobs", {NO, YES, NO, YES, NO, YES, NO}},
    [ACTION_JOB_LIST] = {"job.list", "list jobs", {NO, YES, NO, YES, OWN, OWN, NO}},
    [ACTION_JOB_CONTENT] = {"job.content",
                            "read what this job has written",
                            {NO, OWN, NO, YES, NO, OWN, NO}},
    [ACTION_JOB_CHANGE] = {"job.change", "change this job", {NO, OWN, NO, YES, NO, OWN, NO}},
    [ACTION_BLOB_READ] = {"blob.read", "fetch files", {NO, YES, YES, YES, INPUT, YES, INPUT}},
    [ACTION_BLOB_WRITE] = {"blob.write", "send files", {NO, YES, YES, YES, YES, YES, YES}},
    [ACTION_WORKER_POLL] = {"worker.poll",
                            "take tasks as a worker",
                            {NO, NO, YES, YES, NO, NO, YES}},
    [ACTION_WORKER_LINK] = {"worker.link",
                            "bring jobs to other sites",
                            {NO, NO, YES, YES, NO, NO, NO}},
    [ACTION_RUNNER_MAKE] = {"runner.make",
                            "make runners for these jobs",
                            {NO, OWN, NO, YES, NO, NO, NO}},
    [ACTION_GROUP_USE] = {"group.use",
                          "submit jobs for this group",
                          {NO, OWN, NO, YES, NO, NO, NO}},
    [ACTION_GROUP_LIST] = {"group.list", "list groups", {NO, YES, NO, YES, NO, NO, NO}},
    [ACTION_GROUP_CHANGE] = {"group.change", "change groups", {NO, NO, NO, YES, NO, NO, NO}},
    [ACTION_TOKEN_OWN] = {"token.own", "see or revoke this token", {NO, OWN, NO, YES, NO, NO, NO}},
    [ACTION_TOKEN_CHANGE] = {"token.change",
                             "make, list or revoke tokens",
                             {NO, NO, NO, YES, NO, NO, NO}},
    [ACTION_AUDIT_READ] = {"audit.read", "read the audit log", {NO, NO, NO, YES, NO, NO, NO}},
};

static const struct {
    const char *name;
    const char *allowed;
    const char *refused;
    const char *not_own;
    const char *input; // Of those with such a cell.
    const char *no_input;
} COLUMNS[COLUMN_COUNT] = {
    [ROLE_NOBODY] = {.name = "nobody",
                     .allowed = "everyone may do this",
                     .refused = "this needs a token: lode login gets one"},
    [ROLE_USER] = {.name = "user",
                   .allowed = "users may do this",
                   .refused = "this is for the site's administrators",
                   .not_own = "this belongs to another user"},
    [ROLE_WORKER] = {.name = "worker",
                     .allowed = "workers may do this",
                     .refused = "a worker may lease tasks and move their files, nothing else"},
    [ROLE_ADMIN] = {.name = "admin", .allowed = "administrators may do everything"},
    [ROLE_TASK] = {.name = "task",
                   .allowed = "a task may do this for its own job",
                   .refused =
                       "a task's token is for its own job's inputs and record, and to send files",
                   .not_own = "this belongs to another job than the task's own",
                   .input = "it is an input of the task's job",
                   .no_input = "this is no input of the task's job"},
    [ROLE_PEER] = {.name = "peer",
                   .allowed = "the site's guests may do this",
                   .refused = "another site may run jobs and read data here, nothing else",
                   .not_own = "this belongs to another site or user"},
    [COLUMN_RUNNER] = {.name = "runner",
                       .allowed = "runners may do this for the jobs that they have",
                       .refused =
                           "a runner of this class may lease its tasks and move their files, "
                           "nothing else",
                       .input = "it is an input of a job that the runner has",
                       .no_input = "this is no input of a job that the runner has"},
};

const char *role_name(enum role role)
{
    assert((unsigned)role < ROLE_COUNT);
    return COLUMNS[role].name;
}

bool role_from_text(struct text text, enum role *out)
{
    for (int role = 0; role < ROLE_COUNT; role++) {
        if (text_equal(text, text_of(COLUMNS[role].name))) {
            *out = (enum role)role;
            return true;
        }
    }
    return false;
}

const char *action_name(enum action action)
{
    assert((unsigned)action < ACTION_COUNT);
    return ACTIONS[action].name;
}

const char *action_words(enum action action)
{
    assert((unsigned)action < ACTION_COUNT);
    return ACTIONS[action].words;
}

struct text guest_site(struct text name)
{
    size_t at = name.length;
    while (at > 0 && name.bytes[at - 1] != '@') {
        at--;
    }
    return at == 0 || at == name.length ? TEXT_NONE : text_slice(name, at - 1, name.length);
}

// An empty name owns nothing: two missing names are not the same one.
static bool is_same(struct text a, struct text b)
{
    return a.length > 0 && text_equal(a, b);
}

static bool is_own(const struct principal *principal, const struct policy_object *object)
{
    return principal->role == ROLE_TASK ? is_same(principal->job, object->job)
                                        : is_same(principal->name, object->owner);
}

struct policy_answer policy_decide(const struct principal *principal, enum action action,
                                   const struct policy_object *object)
{
    enum role role = principal->role;
    assert((unsigned)action < ACTION_COUNT && (unsigned)role < ROLE_COUNT);
    if (role == ROLE_PEER && !principal->is_guest) {
        return (struct policy_answer){false, "this site does not serve it as a guest"};
    }
    bool is_runner = role == ROLE_WORKER && principal->runner != RUNNER_SITE;
    int column = is_runner ? COLUMN_RUNNER : (int)role;
    switch (ACTIONS[action].rules[column]) {
    case YES:
        return (struct policy_answer){true, COLUMNS[column].allowed};
    case OWN:
        if (is_own(principal, object)) {
            return (struct policy_answer){true, "it is the principal's own"};
        }
        return (struct policy_answer){false, COLUMNS[column].not_own};
    case INPUT:
        return object->is_input ? (struct policy_answer){true, COLUMNS[column].input}
                                : (struct policy_answer){false, COLUMNS[column].no_input};
    case NO:
        break;
    }
    return (struct policy_answer){false, COLUMNS[column].refused};
}
