// Command-line options: described by tables, read once, for every command the same way.
#ifndef LODE_PROGRAMS_CLI_OPTIONS_H
#define LODE_PROGRAMS_CLI_OPTIONS_H

#include "base/status.h"
#include "base/text.h"

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_LIST,     // May be given again; all values count.
    OPTION_COUNT,    // A whole number from 0.
    OPTION_POSITIVE, // A whole number from 1.
    OPTION_INTEGER,  // A whole number of either sign.
    OPTION_NUMBER,   // A decimal number above 0.
    OPTION_BYTES,    // "2G" (text_to_bytes).
    OPTION_DURATION, // "1h30m" (text_to_duration_us); its value is in microseconds.
};

struct command_option {
    const char *name; // Without the dashes.
    char letter;      // 0: none.
    enum option_kind kind;
    const char *value;   // What its value is called: "ID[=NAME]"; NULL for flags.
    const char *help;    // One sentence without a full stop.
    const char *choices; // "use|refresh|off": the values allowed, shown in the help; or NULL.
};

struct option_table {
    const struct command_option *items;
    size_t count;
};
#define OPTION_TABLE(array) ((struct option_table){(array), sizeof(array) / sizeof((array)[0])})

enum { OPTION_TABLES_MAX = 2 };

// What was given. Its texts are borrowed from argv.
struct options {
    struct option_table tables[OPTION_TABLES_MAX];
    struct option_given {
        const struct command_option *option;
        const char *text; // NULL for a flag.
    } * given;            // In order.
    size_t given_count;
    char **operands; // NULL-terminated.
    size_t operand_count;
    bool has_help; // "--help" or "-h" was met; reading ended there.
};

// Reads argv[0..argc) (without the program's and the command's name): "--name value", "--name=value", "-n value", "-nvalue",
// "-ab" for flags, "--" ends options; with `stops_at_operand` so does the first operand. INVALID, with the way out, for
// an unknown option (naming the nearest), a missing or unwanted value and a value of the wrong kind. `options` has its tables
// set and is otherwise zero; options_done frees it in every case.
enum status options_parse(struct options *options, int argc, char **argv, bool stops_at_operand,
                          struct error *error);
void options_done(struct options *options);

// Values by name, which must be in a table. The last one given counts.
bool options_has(const struct options *options, const char *name);
const char *options_text(const struct options *options, const char *name, const char *otherwise);
int64_t options_int64(const struct options *options, const char *name, int64_t otherwise);
double options_number(const struct options *options, const char *name, double otherwise);

// The values of a list in order: start with *at = 0; NULL at the end.
const char *options_next(const struct options *options, const char *name, size_t *at);

// The option of that name, or NULL.
const struct command_option *options_find(const struct options *options, struct text name);

// How many edits (insert, delete, change, swap of neighbours) turn one word into the other; words are cut at 64 bytes.
unsigned word_distance(struct text a, struct text b);

// Is `distance` small enough for a word of that length to be what was meant?
bool word_is_near(unsigned distance, size_t length);

#endif
