#include "policy/runner.h"

#include <assert.h>
#include <string.h>

enum leases { ALL_JOBS, OF_GROUP, OF_USER, OF_USER_SINCE, ONE_JOB, SPARE_JOBS };
enum reuse { FOR_ALL, FOR_GROUP, FOR_USER, FOR_JOB, FOR_SPARE };

static const struct {
    const char *name;
    enum leases leases;
    enum reuse reuse;
    bool shares_inputs;
} CLASSES[RUNNER_CLASS_COUNT] = {
    [RUNNER_SITE] = {"site", ALL_JOBS, FOR_ALL, true},
    [RUNNER_GROUP] = {"group", OF_GROUP, FOR_GROUP, false},
    [RUNNER_USER] = {"user", OF_USER, FOR_USER, false},
    [RUNNER_SESSION] = {"session", OF_USER_SINCE, FOR_USER, false},
    [RUNNER_JOB] = {"job", ONE_JOB, FOR_USER, false},
    [RUNNER_JOB_TOKEN] = {"job-token", ONE_JOB, FOR_JOB, false},
    [RUNNER_SPARE] = {"spare", SPARE_JOBS, FOR_SPARE, false},
};

const char *runner_class_name(enum runner_class kind)
{
    assert((unsigned)kind < RUNNER_CLASS_COUNT);
    return CLASSES[kind].name;
}

bool runner_class_from_text(struct text text, enum runner_class *out)
{
    for (int kind = 0; kind < RUNNER_CLASS_COUNT; kind++) {
        if (text_equal(text, text_of(CLASSES[kind].name))) {
            *out = (enum runner_class)kind;
            return true;
        }
    }
    return false;
}

static bool needs_user(enum runner_class kind)
{
    return kind == RUNNER_USER || kind == RUNNER_SESSION || runner_is_of_job(kind);
}

static enum status check_member(enum runner_class kind, const char *member, bool is_there,
                                bool is_needed, struct error *error)
{
    if (is_there == is_needed) {
        return OK;
    }
    (void)error_set(error, INVALID, "a runner of class %s %s \"%s\"", runner_class_name(kind),
                    is_needed ? "needs" : "has no", member);
    if (is_needed) {
        error_fix(error, "say \"%s\" too (--%s)", member,
                  strcmp(member, "groups") == 0 ? "group" : member);
    } else {
        error_fix(error, "leave out \"%s\"", member);
    }
    return INVALID;
}

enum status runner_check(const struct runner *runner, struct error *error)
{
    TRY(check_member(runner->kind, "user", runner->user[0] != '\0', needs_user(runner->kind),
                     error));
    TRY(check_member(runner->kind, "groups", runner->groups[0] != '\0',
                     runner->kind == RUNNER_GROUP, error));
    return check_member(runner->kind, "job", runner->job != 0, runner_is_of_job(runner->kind),
                        error);
}

bool runner_equal(const struct runner *a, const struct runner *b)
{
    return a->kind == b->kind && a->job == b->job && a->since_us == b->since_us &&
           strcmp(a->user, b->user) == 0 && strcmp(a->groups, b->groups) == 0;
}

// An empty name is nobody's: two missing names are not the same one.
static bool is_same(struct text a, struct text b)
{
    return a.length > 0 && text_equal(a, b);
}

bool runner_has_group(const struct runner *runner, struct text group)
{
    struct text rest = text_of(runner->groups);
    struct text each;
    while (rest.length > 0 && text_next_part(&rest, ',', &each)) {
        if (is_same(each, group)) {
            return true;
        }
    }
    return runner->kind != RUNNER_GROUP;
}

bool runner_may_lease(const struct runner *runner, const struct runner_job *job)
{
    bool is_own = is_same(text_of(runner->user), job->owner);
    switch (CLASSES[runner->kind].leases) {
    case ALL_JOBS:
        return true;
    case OF_GROUP:
        return runner_has_group(runner, job->group);
    case OF_USER:
        return is_own;
    case OF_USER_SINCE:
        return is_own && job->submitted_us >= runner->since_us;
    case ONE_JOB:
        return is_own && job->id == runner->job;
    case SPARE_JOBS:
        return job->is_spare;
    }
    return false;
}

bool runner_shares_inputs(enum runner_class kind)
{
    return CLASSES[kind].shares_inputs;
}

bool runner_is_for_users(enum runner_class kind)
{
    return needs_user(kind);
}

bool runner_is_of_job(enum runner_class kind)
{
    return CLASSES[kind].leases == ONE_JOB;
}

bool runner_may_reuse(enum runner_class kind, const struct runner_job *made,
                      const struct runner_job *asks)
{
    switch (CLASSES[kind].reuse) {
    case FOR_ALL:
        return true;
    case FOR_GROUP:
        return is_same(made->group, asks->group);
    case FOR_USER:
        return is_same(made->owner, asks->owner);
    case FOR_JOB:
        return made->id == asks->id;
    case FOR_SPARE:
        return asks->is_spare;
    }
    return false;
}

enum runner_class runner_of_both(enum runner_class a, enum runner_class b)
{
    if (a == RUNNER_SITE || CLASSES[a].reuse == CLASSES[b].reuse) {
        return b;
    }
    return b == RUNNER_SITE ? a : RUNNER_JOB_TOKEN;
}

enum runner_class runner_of_elsewhere(struct text name)
{
    enum runner_class kind = RUNNER_SITE;
    if (name.length > 0 && !runner_class_from_text(name, &kind)) {
        return RUNNER_JOB_TOKEN;
    }
    switch (CLASSES[kind].reuse) {
    case FOR_ALL:
        return RUNNER_SITE;
    case FOR_GROUP:
    case FOR_USER:
        return RUNNER_USER;
    case FOR_JOB:
    case FOR_SPARE:
        return RUNNER_JOB_TOKEN;
    }
    return RUNNER_JOB_TOKEN;
}

void runner_scope(enum runner_class kind, const struct runner_job *made, struct buffer *out)
{
    switch (CLASSES[kind].reuse) {
    case FOR_ALL:
        buffer_append_string(out, "site");
        break;
    case FOR_GROUP:
        buffer_printf(out, "group:%.*s", TEXT_ARGS(made->group));
        break;
    case FOR_USER:
        buffer_printf(out, "user:%.*s", TEXT_ARGS(made->owner));
        break;
    case FOR_JOB:
        buffer_printf(out, "job:%lld", (long long)made->id);
        break;
    case FOR_SPARE:
        buffer_append_string(out, "spare");
        break;
    }
}
