// What commands print: JSON for programs, and words about jobs for people.
#ifndef LODE_PROGRAMS_CLI_OUTPUT_H
#define LODE_PROGRAMS_CLI_OUTPUT_H

#include "base/json.h"
#include "cli/contact.h"
#include "cli/display.h"

// Writes the value and a line end to standard output at once; false when nobody reads any more.
bool print_json(const json_t *value);

// Writes text to standard output at once; false when nobody reads any more.
bool print_text(const struct buffer *text);

// Writes the table as wide as the terminal and frees it.
bool print_table(struct table *table);

// GETs a list and prints it: one document of all pages for programs, else a table whose rows `add_row` makes. Returns the
// exit status.
int print_list(const struct options *options, const char *path, const char *things,
               const struct table_column *columns, size_t column_count,
               enum status (*add_row)(void *table, json_t *item, struct error *error));

// Prints an answer: itself for programs, else what `say` writes of it. Returns the exit status.
typedef void say_answer(const void *context, const json_t *answer, struct buffer *out);
int print_answer(const struct options *options, const json_t *answer, say_answer *say,
                 const void *context);

// Sends one request to the site of the options and prints its answer so. Returns the exit status.
struct request {
    const char *method;
    const char *path;
    const json_t *body; // NULL: none.
};
int print_request(const struct options *options, const struct request *request, say_answer *say,
                  const void *context);

// Fields of answers, read leniently: an absent or foreign one is 0 or empty.
int64_t field_int64(const json_t *object, const char *name);
struct text field_text(const json_t *object, const char *name);
bool field_bool(const json_t *object, const char *name);
// A time in microseconds; 0 when it is absent.
int64_t field_time(const json_t *object, const char *name);
// A number of seconds in microseconds, cut to what a duration can be; 0 when it is absent or negative.
int64_t field_seconds_us(const json_t *object, const char *name);

// Adds a cell with a size, a duration, a time relative to now; "-" for a value of 0 (of the last two).
void table_add_bytes(struct table *table, int64_t bytes);
void table_add_duration(struct table *table, int64_t duration_us);
void table_add_time(struct table *table, int64_t time_us, int64_t now_us);

// Appends "Name:       text" to a list of properties; nothing when there is no text.
void append_property(struct buffer *out, const char *name, struct text text);
// Appends core-hours: "0.0003", "0.25", "12.0".
void append_core_hours(struct buffer *out, const json_t *object, const char *name);

// "JOB" or "JOB/TASK" as typed; *task is -1 without a task. INVALID otherwise.
enum status parse_job(const char *text, int64_t *job, int64_t *task, struct error *error);
// The same where only a job is meant.
enum status parse_job_only(const char *text, int64_t *job, struct error *error);

bool job_has_ended(const json_t *job);

// Is nothing left of the job but held tasks? It stays so until somebody does something about them.
bool job_is_held(const json_t *job);
// Says so on standard error, and what can be done.
void job_say_held(const json_t *job);
// How many tasks of the job have ended by themselves: those that were cancelled are not among them.
int64_t job_tasks_ended(const json_t *job);

// The exit status of `lode run` and `lode wait` for a job that ended: what the site says of its first failed task (the command's
// own, 128 and the signal, 124 for a walltime, 125 for what is not the command's doing), or 143 when it was cancelled; 125 for one that is held.
int job_exit_status(const json_t *job);
#define EXIT_RUN_STATUSES                                                                          \
    "N: The command's own exit status; of several tasks, that of the first that failed.\n"         \
    "124: The walltime was reached.\n"                                                             \
    "125: Lode could not run the command, or ended it at its memory, disk or process limit; "      \
    "standard error says which; or tasks are held, as workers were lost while running them.\n"     \
    "126, 127: The command cannot be executed, or was not found.\n"                                \
    "128+N: The command was ended by signal N.\n"                                                  \
    "130: Ctrl-C was typed here; the job goes on.\n"                                               \
    "143: The job was cancelled."

#endif
