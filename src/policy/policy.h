// May this principal do that? A pure function, and the one place where it is decided.
//
//                   nobody   user    worker   admin   task    peer    runner
//   site.read        -        yes     yes      yes     -       -       -       status, figures, list of workers
//   site.change      -        -       -        yes     -       -       -       drain, stop, settings
//   data.read        -        yes     -        yes     input   yes     -       list, show, resolve; of an input: its files
//   data.change      -        -       -        yes     -       -       -       register, verify, remove: it exposes files of the site
//   transfer.order   -        yes     -        yes     -       yes     -       have a replica brought here, end that
//   job.submit       -        yes     -        yes     -       yes     -
//   job.list         -        yes     -        yes     own     own     -       list, record, why
//   job.content      -        own     -        yes     -       own     -       logs and outputs
//   job.change       -        own     -        yes     -       own     -       cancel, retry
//   blob.read        -        yes     yes      yes     input   yes     input   whoever knows the digest knew the bytes or was given it
//   blob.write       -        yes     yes      yes     yes     yes     yes     a task: counted against what its job may have on disk
//   worker.poll      -        -       yes      yes     -       -       yes     lease, report
//   worker.link      -        -       yes      yes     -       -       -       bring jobs to other sites
//   runner.make      -        own     -        yes     -       -       -       make tokens of runners; "own": those of classes for one's own jobs (runner.h)
//   group.use        -        own     -        yes     -       -       -       submit jobs for a group; "own": its members'
//   group.list       -        yes     -        yes     -       -       -       users: those that they belong to
//   group.change     -        -       -        yes     -       -       -       make groups, their members and weights
//   token.own        -        own     -        yes     -       -       -       list and revoke one's own tokens
//   token.change     -        -       -        yes     -       -       -       make tokens; those of others
//   audit.read       -        -       -        yes     -       -       -
//
// "own": for a user or peer, an object that it owns; for a task, its own job. "input": a file or dataset of the task's own job. A peer is another site that speaks for one of its
// users; all of its column holds only while this site takes it as a guest. A runner is a worker of another class than "site" (runner.h), whose "input" is what a job needs that it has to run. A site on a single machine gives its user an admin token.
#ifndef LODE_POLICY_POLICY_H
#define LODE_POLICY_POLICY_H

#include "base/text.h"
#include "policy/runner.h"

enum role {
    ROLE_NOBODY, // No credential.
    ROLE_USER,
    ROLE_WORKER, // By a token, or by its key.
    ROLE_ADMIN,
    ROLE_TASK, // What runs inside a task, with that task's token.
    ROLE_PEER, // Another site, by its client certificate, for one of its users.
};
enum { ROLE_COUNT = ROLE_PEER + 1 };

// "user"; a static string.
const char *role_name(enum role role);
// Reads that form; false for anything else.
bool role_from_text(struct text text, enum role *out);

enum action {
    ACTION_SITE_READ,
    ACTION_SITE_CHANGE,
    ACTION_DATA_READ,
    ACTION_DATA_CHANGE,
    ACTION_TRANSFER_ORDER,
    ACTION_JOB_SUBMIT,
    ACTION_JOB_LIST,
    ACTION_JOB_CONTENT,
    ACTION_JOB_CHANGE,
    ACTION_BLOB_READ,
    ACTION_BLOB_WRITE,
    ACTION_WORKER_POLL,
    ACTION_WORKER_LINK,
    ACTION_RUNNER_MAKE,
    ACTION_GROUP_USE,
    ACTION_GROUP_LIST,
    ACTION_GROUP_CHANGE,
    ACTION_TOKEN_OWN,
    ACTION_TOKEN_CHANGE,
    ACTION_AUDIT_READ,
};
enum { ACTION_COUNT = ACTION_AUDIT_READ + 1 };

// "job.submit", as in the table above and in the audit log; a static string.
const char *action_name(enum action action);

// The action for people, as it follows "may" in a sentence: "submit jobs"; a static string.
const char *action_words(enum action action);

// Who asks. The texts are borrowed.
struct principal {
    struct text name;
    enum role role;
    struct text job;          // The job of a task's token; empty for others.
    bool is_guest;            // Of a peer: this site's policy admits it as a guest.
    enum runner_class runner; // Of a worker.
};

// The site of a guest by its name: "@0123456789abcdef" of "alice@0123456789abcdef", from the last "@" on, as no site has one in its digits; borrowed. Empty for
// a name that says no site.
struct text guest_site(struct text name);

// What it is about; empty texts where that makes no sense.
struct policy_object {
    struct text owner; // The name of the principal that it belongs to.
    struct text job;   // The id of the job that it is or belongs to.
    bool
        is_input; // It is among the inputs of the job of the task that asks, or of one that the runner has.
};

struct policy_answer {
    bool allowed;
    const char *reason; // Why, in words; a static string.
};

struct policy_answer policy_decide(const struct principal *principal, enum action action,
                                   const struct policy_object *object);

#endif
