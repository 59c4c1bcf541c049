// Why attempts come to nothing: each cause is counted by itself, and how often a task may end so and run again is said for each.
#ifndef LODE_JOBS_RETRIES_H
#define LODE_JOBS_RETRIES_H

#include "base/json.h"

enum task_cause {
    CAUSE_FAIL,   // By itself: an exit status, a signal.
    CAUSE_LIMIT,  // It reached its walltime, or its limit of memory, disk or processes.
    CAUSE_LOST,   // The worker was lost that ran it.
    CAUSE_INPUT,  // An input is missing or was changed.
    CAUSE_WORKER, // The worker could not run it: its sandbox, its disk.
};
enum {
    CAUSE_COUNT = CAUSE_WORKER + 1,
    RETRIES_MAX = 100,  // Of one cause.
    RETRIES_BLAMED = 2, // The default where it is not the task's doing: the third time is the last.
};

// "fail", "limit", "lost", "input", "worker"; static strings.
const char *cause_name(enum task_cause cause);
bool cause_from_text(struct text text, enum task_cause *out);

// How often a task may end for each cause and run again.
struct retries {
    int64_t times[CAUSE_COUNT];
};

// A task that fails, reaches a limit or misses an input is not run again; one whose worker was lost or at fault is, RETRIES_BLAMED times.
struct retries retries_default(void);

// A number is that of CAUSE_FAIL; an object has numbers by the causes' names. NULL, and what is not named: the defaults.
// INVALID, naming field and cause.
enum status retries_parse(const json_t *value, struct retries *out, struct error *error);
// The same form: a number where only that of CAUSE_FAIL is no default.
json_t *retries_to_json(const struct retries *retries);
// That form from "3" or "fail=2,limit=1,lost=5", as options of commands have it. *out is a new reference.
enum status retries_from_text(struct text text, json_t **out, struct error *error);

#endif
