// Following a job to its end: its output as it comes, however often the site or the connection goes away in between.
#ifndef LODE_PROGRAMS_CLI_FOLLOW_H
#define LODE_PROGRAMS_CLI_FOLLOW_H

#include "cli/contact.h"

struct follow_options {
    int64_t job;
    int64_t task_count;  // Of the job; 0: not known yet.
    bool is_json;        // Events as NDJSON on standard output instead of the tasks' output.
    bool has_progress;   // A progress bar on standard error.
    bool has_said_place; // It was said at which other site it runs.
};

// Prints the output of tasks to standard output and standard error until the job has ended; *job gets it (a new reference).
// CONFLICT after Ctrl-C (contact->is_interrupted). UNSUPPORTED when nobody reads standard output any more.
enum status follow_job(struct contact *contact, const struct follow_options *options, json_t **job,
                       struct error *error);

// What was printed of a task.
struct printed {
    int64_t bytes[2]; // Of its outputs.
    int64_t attempt;  // That wrote them; 0: it is not known.
};
// Prints what is not printed yet of one output of a task, "stdout" (0) or "stderr" (1), to the stream of that name. What another attempt wrote
// is printed from its beginning, which is said.
enum status follow_copy_output(struct contact *contact, int64_t job, int64_t task, int which,
                               struct printed *printed, struct error *error);

#endif
