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

// Prints one output of a task ("stdout", "stderr") from byte *offset on to the stream of that name, and moves *offset.
enum status follow_copy_output(struct contact *contact, int64_t job, int64_t task,
                               const char *which, int64_t *offset, struct error *error);

#endif
