#include "policy/policy.h"

#include <assert.h>

enum rule { NO, YES, OWN, INPUT };

static const struct {
    const char *name;
    const char *words;           // "NAME may not ...".
    enum rule rules[ROLE_COUNT]; // nobody, user, worker, admin, task, peer.
} ACTIONS[ACTION_COUNT] = {
    [ACTION_SITE_READ] = {"site.read", "see the site's state", {NO, YES, YES, YES, NO, NO}},
    [ACTION_SITE_CHANGE] = {"site.change", "change the site", {NO, NO, NO, YES, NO, NO}},
    [ACTION_DATA_READ] = {"data.read", "read data", {NO, YES, NO, YES, INPUT, YES}},
    [ACTION_DATA_CHANGE] = {"data.change", "register or change data", {NO, NO, NO, YES, NO, NO}},
    [ACTION_TRANSFER_ORDER] = {"transfer.order",
                               "have data copied to this site",
                               {NO, YES, NO, YES, NO, YES}},
    [ACTION_JOB_SUBMIT] = {"job.submit", "submit jobs", {NO, YES, NO, YES, NO, YES}},
    [ACTION_JOB_LIST] = {"job.list", "list jobs", {NO, YES, NO, YES, OWN, OWN}},
    [ACTION_JOB_CONTENT] = {"job.content",
                            "read what this job has written",
                            {NO, OWN, NO, YES, NO, OWN}},
    [ACTION_JOB_CHANGE] = {"job.change", "change this job", {NO, OWN, NO, YES, NO, OWN}},
    [ACTION_BLOB_READ] = {"blob.read", "fetch files", {NO, YES, YES, YES, INPUT, YES}},
    [ACTION_BLOB_WRITE] = {"blob.write", "send files", {NO, YES, YES, YES, YES, YES}},
    [ACTION_WORKER_POLL] = {"worker.poll", "take tasks as a worker", {NO, NO, YES, YES, NO, NO}},
    [ACTION_GROUP_USE] = {"group.use", "submit jobs for this group", {NO, OWN, NO, YES, NO, NO}},
    [ACTION_GROUP_LIST] = {"group.list", "list groups", {NO, YES, NO, YES, NO, NO}},
    [ACTION_GROUP_CHANGE] = {"group.change", "change groups", {NO, NO, NO, YES, NO, NO}},
    [ACTION_TOKEN_OWN] = {"token.own", "see or revoke this token", {NO, OWN, NO, YES, NO, NO}},
    [ACTION_TOKEN_CHANGE] = {"token.change",
                             "make, list or revoke tokens",
                             {NO, NO, NO, YES, NO, NO}},
    [ACTION_AUDIT_READ] = {"audit.read", "read the audit log", {NO, NO, NO, YES, NO, NO}},
};

static const struct {
    const char *name;
    const char *allowed;
    const char *refused;
    const char *not_own;
} ROLES[ROLE_COUNT] = {
    [ROLE_NOBODY] = {"nobody", "everyone may do this", "this needs a token: lode login gets one",
                     ""},
    [ROLE_USER] = {"user", "users may do this", "this is for the site's administrators",
                   "this belongs to another user"},
    [ROLE_WORKER] = {"worker", "workers may do this",
                     "a worker may lease tasks and move their files, nothing else", ""},
    [ROLE_ADMIN] = {"admin", "administrators may do everything", "", ""},
    [ROLE_TASK] = {"task", "a task may do this for its own job",
                   "a task's token is for its own job's inputs and record, and to send files",
                   "this belongs to another job than the task's own"},
    [ROLE_PEER] = {"peer", "the site's guests may do this",
                   "another site may run jobs and read data here, nothing else",
                   "this belongs to another site or user"},
};

const char *role_name(enum role role)
{
    assert((unsigned)role < ROLE_COUNT);
    return ROLES[role].name;
}

bool role_from_text(struct text text, enum role *out)
{
    for (int role = 0; role < ROLE_COUNT; role++) {
        if (text_equal(text, text_of(ROLES[role].name))) {
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
    switch (ACTIONS[action].rules[role]) {
    case YES:
        return (struct policy_answer){true, ROLES[role].allowed};
    case OWN:
        if (is_own(principal, object)) {
            return (struct policy_answer){true, "it is the principal's own"};
        }
        return (struct policy_answer){false, ROLES[role].not_own};
    case INPUT:
        if (object->is_input) {
            return (struct policy_answer){true, "it is an input of the task's job"};
        }
        return (struct policy_answer){false, "this is no input of the task's job"};
    case NO:
        break;
    }
    return (struct policy_answer){false, ROLES[role].refused};
}
