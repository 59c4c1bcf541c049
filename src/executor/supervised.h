// A process that a thread watches over: started, started again when it ends, with back-off, and ended in the end.
#ifndef LODE_EXECUTOR_SUPERVISED_H
#define LODE_EXECUTOR_SUPERVISED_H

#include "executor/executor.h"

// What the process means by this exit status; false: nothing that is known. It is started again only after half a minute then.
typedef bool supervised_explain_fn(int exit_status, const char **problem, const char **change);

// All strings are copied. The functions are as in executor_options.
struct supervised_options {
    const char *const *arguments; // The program first; NULL-terminated.
    const char
        *directory;   // Its folder, where it holds the file `lock` with its process number in it.
    const char *name; // In messages: "this machine's worker".
    supervised_explain_fn *explain; // NULL: it explains nothing.
    void (*report)(void *context, const char *problem, const char *change);
    void (*ended)(void *context, int64_t process, const char *how);
    void *context;
};
enum status supervised_start(const struct supervised_options *options, struct executor **out,
                             struct error *error);

// Lets it end in order, for up to `grace_us`, and frees. NULL is allowed.
void supervised_stop(struct executor *executor, int64_t grace_us);

#endif
