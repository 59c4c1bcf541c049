// What workers of each class may do: whose tasks they lease, what they read, and who may reuse what they compute. Pure, and the one place
// where it is decided. A class comes with the credential of a worker (its token or its key), never from the worker itself.
//
//   class      made by           leases tasks of                     reads                              its results are for
//   site       operator          all jobs                            inputs of these, also from and     everyone
//                                                                    for other workers; site.read
//   group      operator          jobs of its groups                  inputs of these                    jobs of the same group
//   user       that user, or     jobs of its user                    inputs of these                    jobs of that user
//              the operator
//   session    as user           jobs of its user, submitted since   inputs of these                    jobs of that user
//                                the token was made
//   job        as user           one job                             inputs of this                     jobs of that user
//   job-token  as user           one job, and ends with it           inputs of this                     that job only
//   spare      operator          jobs that say `spare`               inputs of these that are not       jobs that say `spare`
//                                                                    kept back
//
// Kept back from spare runners is all data that is registered at the site: a job that names any cannot say `spare` (jobs/spec.h), so what is left is what a
// job brings itself, and outputs of its owner's other jobs.
//
// What another site says of who computed something there is taken in its weaker sense: its groups are not those here, its user is. So `group`, `user`,
// `session` and `job` are `user` here, and `job-token`, `spare` and what is not known here `job-token`. The result is of both, that and the class
// of who brings it home.
//
// What comes of both, as when a checkpoint of one is the beginning of the other's work, is for those alone that both are for.
#ifndef LODE_POLICY_RUNNER_H
#define LODE_POLICY_RUNNER_H

#include "base/buffer.h"
#include "base/status.h"
#include "base/text.h"

enum runner_class {
    RUNNER_SITE, // Of everything without a class: what the operator runs himself.
    RUNNER_GROUP,
    RUNNER_USER,
    RUNNER_SESSION,
    RUNNER_JOB,
    RUNNER_JOB_TOKEN,
    RUNNER_SPARE,
};
enum {
    RUNNER_CLASS_COUNT = RUNNER_SPARE + 1,
    RUNNER_USER_MAX = 64,
    RUNNER_GROUPS_MAX = 16,
    RUNNER_GROUPS_SIZE_MAX = 255, // Bytes of their names with commas between.
    RUNNER_SCOPE_MAX = 80,        // Bytes of what runner_scope writes.
};

// "job-token"; a static string.
const char *runner_class_name(enum runner_class kind);
// Reads that form; false for anything else.
bool runner_class_from_text(struct text text, enum runner_class *out);

// A class with whom or what it is for. All zero: of the site.
struct runner {
    enum runner_class kind;
    char user[RUNNER_USER_MAX + 1];          // Of user, session, job, job-token; else empty.
    char groups[RUNNER_GROUPS_SIZE_MAX + 1]; // Of group: "physics,chemistry", in order; else empty.
    int64_t job;                             // Of job, job-token; else 0.
    int64_t since_us;                        // Of session: when its token was made; else 0.
    int64_t until_us;                        // When its credential ends; 0: it does not.
};

// Has it what its class needs, and nothing else? INVALID says what is missing or too much, by the names of the members of the API.
enum status runner_check(const struct runner *runner, struct error *error);
// Are both of the same class, for the same? When they end is not compared.
bool runner_equal(const struct runner *a, const struct runner *b);

// What the rules look at of a job. The texts are borrowed.
struct runner_job {
    int64_t id;
    struct text owner;
    struct text group;
    int64_t submitted_us;
    bool is_spare; // It says `spare`.
};

bool runner_may_lease(const struct runner *runner, const struct runner_job *job);
// Does it work for the group, as far as its class says? Of a class without groups: yes.
bool runner_has_group(const struct runner *runner, struct text group);

// May a user make it, for his own jobs? Else operators only.
bool runner_is_for_users(enum runner_class kind);

// May the inputs of what it leases come from other workers, and go from it to them? Else the site alone sends them.
bool runner_shares_inputs(enum runner_class kind);
// Is it for one job?
bool runner_is_of_job(enum runner_class kind);

// May `asks` take what a worker of this class computed for `made`?
bool runner_may_reuse(enum runner_class kind, const struct runner_job *made,
                      const struct runner_job *asks);
// What comes of the work of both.
enum runner_class runner_of_both(enum runner_class a, enum runner_class b);
// The class here of what another site says that a worker of the named class computed; an empty name is that of an older one, which does not say it: `site`.
enum runner_class runner_of_elsewhere(struct text name);
// Whom the results are for that a worker of this class computed for the job: "site", "group:physics", "user:ada", "job:17", "spare".
void runner_scope(enum runner_class kind, const struct runner_job *made, struct buffer *out);

#endif
