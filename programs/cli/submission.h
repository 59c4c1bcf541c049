// From the options of `lode run`, `lode submit` and `lode plan` to a job of the site: the document, the blobs, the request.
#ifndef LODE_PROGRAMS_CLI_SUBMISSION_H
#define LODE_PROGRAMS_CLI_SUBMISSION_H

#include "cli/command.h"
#include "cli/contact.h"
#include "crypto/digest.h"

// The options that describe a job; all three commands have them.
#define SUBMISSION_OPTIONS                                                                           \
    {"data",                                                                                         \
     'd',                                                                                            \
     OPTION_LIST,                                                                                    \
     "ID[@DIGEST][=NAME]",                                                                           \
     "bind a dataset read-only at /data/NAME (default: the last part of its id); with a digest, "    \
     "only if that is its content",                                                                  \
     NULL},                                                                                          \
        {"over",                                                                                     \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "ID[@DIGEST]",                                                                              \
         "one task for each file of a dataset: {file} in the command",                               \
         NULL},                                                                                      \
        {"count", 'n', OPTION_POSITIVE, "N", "N tasks: {index} in the command, from 0", NULL},       \
        {"items",                                                                                    \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "FILE",                                                                                     \
         "one task for each line of a local file (-: standard input): {} in the command",            \
         NULL},                                                                                      \
        {"file",                                                                                     \
         'f',                                                                                        \
         OPTION_LIST,                                                                                \
         "LOCAL[=NAME]",                                                                             \
         "put a local file into the working folder of each task",                                    \
         NULL},                                                                                      \
        {"bundle",                                                                                   \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "FOLDER|FILE|DIGEST",                                                                       \
         "give tasks this software in place of, or beside, the machine's: a folder, which is "       \
         "packed, a tar archive, or what was uploaded before",                                       \
         NULL},                                                                                      \
        {"image",                                                                                    \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "FILE|NAME|DIGEST",                                                                         \
         "run in this image of a container: a saved one, or one that podman has here",               \
         NULL},                                                                                      \
        {"output", 'o', OPTION_LIST, "GLOB", "keep these files of the working folder", NULL},        \
        {"checkpoint",                                                                               \
         0,                                                                                          \
         OPTION_LIST,                                                                                \
         "GLOB",                                                                                     \
         "files of the working folder, replaced by rename, from which an interrupted task goes "     \
         "on",                                                                                       \
         NULL},                                                                                      \
        {"checkpoint-every", 0, OPTION_DURATION, "TIME", "store them so often (default: 1m)", NULL}, \
        {"checkpoint-signal",                                                                        \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "NAME",                                                                                     \
         "ask programs that catch this signal to write them, then and when the worker leaves",       \
         "HUP|INT|QUIT|USR1|USR2"},                                                                  \
        {"env",                                                                                      \
         'e',                                                                                        \
         OPTION_LIST,                                                                                \
         "NAME=VALUE",                                                                               \
         "set a variable; NAME alone takes its value from here",                                     \
         NULL},                                                                                      \
        {"cpus", 'c', OPTION_NUMBER, "N", "cores of each task (default: 1)", NULL},                  \
        {"memory", 'm', OPTION_BYTES, "SIZE", "memory of each task (default: 1G)", NULL},            \
        {"disk", 0, OPTION_BYTES, "SIZE", "disk space of each task (default: 1G)", NULL},            \
        {"gpus", 0, OPTION_COUNT, "N", "graphics processors of one task (default: none)", NULL},     \
        {"require",                                                                                  \
         0,                                                                                          \
         OPTION_LIST,                                                                                \
         "NAME[=VALUE]",                                                                             \
         "only on workers with this label (lode worker --label)",                                    \
         NULL},                                                                                      \
        {"walltime", 't', OPTION_DURATION, "TIME", "the longest a task may take (default: 1d)",      \
         NULL},                                                                                      \
        {"retries",                                                                                  \
         'r',                                                                                        \
         OPTION_TEXT,                                                                                \
         "N|CAUSE=N,...",                                                                            \
         "run a failed task again up to N times (default: 0), or so often for each cause: fail, "    \
         "limit, lost, input, worker (default: lost=2,worker=2, else 0)",                            \
         NULL},                                                                                      \
        {"when-lost",                                                                                \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "WHAT",                                                                                     \
         "hold a task once too many workers were lost while they ran it (the default), or fail "     \
         "it",                                                                                       \
         "hold|fail"},                                                                               \
        {"group",                                                                                    \
         'g',                                                                                        \
         OPTION_TEXT,                                                                                \
         "GROUP",                                                                                    \
         "whom it is for: a group that you belong to (default: your own)",                           \
         NULL},                                                                                      \
        {"priority",                                                                                 \
         0,                                                                                          \
         OPTION_INTEGER,                                                                             \
         "N",                                                                                        \
         "from -100 to 100, before your other jobs (default: 0)",                                    \
         NULL},                                                                                      \
        {"network", 0, OPTION_FLAG, NULL, "give tasks the network of the machine", NULL},            \
        {"api",                                                                                      \
         0,                                                                                          \
         OPTION_FLAG,                                                                                \
         NULL,                                                                                       \
         "give tasks the network and a token ($LODE_TOKEN) for their site ($LODE_SITE), good for "   \
         "their own inputs while they run",                                                          \
         NULL},                                                                                      \
        {"spare",                                                                                    \
         0,                                                                                          \
         OPTION_FLAG,                                                                                \
         NULL,                                                                                       \
         "let it run on computers that others have to spare, too; not with data that is "            \
         "registered at the site, and what these compute answers only jobs that say so, too",        \
         NULL},                                                                                      \
        {"after", 0, OPTION_LIST, "JOB", "start when this job has succeeded", NULL},                 \
        {"input-from",                                                                               \
         0,                                                                                          \
         OPTION_LIST,                                                                                \
         "JOB",                                                                                      \
         "start when this job has succeeded, with its output files below inputs/0/ (of the next "    \
         "one inputs/1/, ...)",                                                                      \
         NULL},                                                                                      \
        {"cache",                                                                                    \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "HOW",                                                                                      \
         "use what was computed before, compute it again (refresh), or neither read nor keep "       \
         "(off)",                                                                                    \
         "use|refresh|off"},                                                                         \
        {"stream",                                                                                   \
         0,                                                                                          \
         OPTION_FLAG,                                                                                \
         NULL,                                                                                       \
         "start the command once per core; it reads one item a line and answers with one line "      \
         "(null: the item failed)",                                                                  \
         NULL},                                                                                      \
        {"at",                                                                                       \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "SITE",                                                                                     \
         "run at this site, by its name or fingerprint (default: wherever is best)",                 \
         NULL},                                                                                      \
        {"merge",                                                                                    \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "COMMAND",                                                                                  \
         "allow to run beside each dataset where it lies, and run this over the outputs of the "     \
         "parts, which are in inputs/0, inputs/1 ... (inputs/0 alone when one site has all); one "   \
         "argument, read into words as by a shell, without its * | > $",                             \
         NULL},                                                                                      \
        {"stage",                                                                                    \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "HOW",                                                                                      \
         "move data to where the job runs when that is quicker (auto, the default), or never",       \
         "auto|never"},                                                                              \
    {                                                                                                \
        "name", 0, OPTION_TEXT, "NAME", "a name for lists of jobs", NULL                             \
    }

// A file on its way to the site's blobs.
struct upload {
    const char *label;
    int fd;
    char digest[DIGEST_TEXT_SIZE];
    int64_t size;
};

// Brings the bytes to the site unless it has them; fills in digest and size.
enum status send_blob(struct contact *contact, struct upload *upload, bool is_quiet,
                      struct error *error);

// Can the options be read at all? Needs no site.
enum status submission_check(const struct options *options, struct error *error);

// The job's document, whose local files the site has from then on (a new reference).
enum status submission_document(struct contact *contact, const struct options *options,
                                bool is_quiet, json_t **out, struct error *error);

// The same, and creates the job; *job is its document (a new reference). On a patient contact the request is
// repeated, under the same key, until the site has answered.
enum status submission_make(struct contact *contact, const struct options *options, bool is_quiet,
                            json_t **job, struct error *error);

// Sets the members to what ID[@DIGEST] says: the identifier and, when there is one, the content that is meant. An id may have "@" itself.
void submission_set_id(json_t *object, const char *member, const char *digest_member,
                       struct text said);

#endif
