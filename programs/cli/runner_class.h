// The class of a worker's credential on command lines, and as it is shown.
#ifndef LODE_PROGRAMS_CLI_RUNNER_CLASS_H
#define LODE_PROGRAMS_CLI_RUNNER_CLASS_H

#include "cli/options.h"

#include "base/buffer.h"
#include "base/json.h"

// Elements of a table of options; `classes`: those that the command takes, "site|group".
#define RUNNER_CLASS_OPTIONS(classes)                                                               \
    {"class", 0, OPTION_TEXT, "CLASS", "what workers with it may do: see above", (classes)},        \
        {"group", 0, OPTION_LIST, "GROUP", "of class group: whose jobs; may be given again", NULL}, \
    {                                                                                               \
        "job", 0, OPTION_POSITIVE, "JOB", "of the classes for one job: which", NULL                 \
    }

// Those that a key can have.
#define RUNNER_KEY_CLASSES "site|group|user|job|spare"

// What they are, for descriptions.
#define RUNNER_CLASS_WORDS                                                                         \
    "A worker of class site, which is the default, runs all jobs, and what it computes answers "   \
    "everybody's. Of class group it runs jobs of its groups, and answers jobs of the same group; " \
    "of class user one user's jobs, and answers his; job: one job, and answers that user's; "      \
    "spare: jobs that were submitted with --spare, and answers none but such."

// Adds what of it was said to the document.
void runner_class_add(const struct options *options, json_t *document);
// "user: ada" of a document that describes a credential or a worker; "site" of one that says nothing of it, as older sites do.
void runner_class_show(const json_t *document, struct buffer *out);

#endif
