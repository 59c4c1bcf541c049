#include "cli/options.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

enum { WORD_MAX = 64 };

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

unsigned word_distance(struct text a, struct text b)
{
    a = text_slice(a, 0, WORD_MAX);
    b = text_slice(b, 0, WORD_MAX);
    unsigned rows[3][WORD_MAX + 1];
    for (unsigned j = 0; j <= b.length; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.length; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *before = rows[(i + 2) % 3];
        const unsigned *two_before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.length; j++) {
            unsigned change = a.bytes[i - 1] == b.bytes[j - 1] ? 0 : 1;
            now[j] = smallest(before[j] + 1, now[j - 1] + 1, before[j - 1] + change);
            if (i > 1 && j > 1 && a.bytes[i - 1] == b.bytes[j - 2] &&
                a.bytes[i - 2] == b.bytes[j - 1] && two_before[j - 2] + 1 < now[j]) {
                now[j] = two_before[j - 2] + 1;
            }
        }
    }
    return rows[a.length % 3][b.length];
}

bool word_is_near(unsigned distance, size_t length)
{
    return distance <= 1 || (length >= 5 && distance <= length / 3);
}

const struct command_option *options_find(const struct options *options, struct text name)
{
    for (size_t t = 0; t < OPTION_TABLES_MAX; t++) {
        for (size_t i = 0; i < options->tables[t].count; i++) {
            if (text_equal(text_of(options->tables[t].items[i].name), name)) {
                return &options->tables[t].items[i];
            }
        }
    }
    return NULL;
}

static const struct command_option *find_letter(const struct options *options, char letter)
{
    for (size_t t = 0; t < OPTION_TABLES_MAX; t++) {
        for (size_t i = 0; i < options->tables[t].count; i++) {
            if (options->tables[t].items[i].letter == letter) {
                return &options->tables[t].items[i];
            }
        }
    }
    return NULL;
}

static enum status refuse_unknown(const struct options *options, struct text name,
                                  struct error *error)
{
    const char *nearest = NULL;
    unsigned least = WORD_MAX;
    for (size_t t = 0; t < OPTION_TABLES_MAX; t++) {
        for (size_t i = 0; i < options->tables[t].count; i++) {
            const char *known = options->tables[t].items[i].name;
            unsigned distance = word_distance(name, text_of(known));
            if (distance < least) {
                least = distance;
                nearest = known;
            }
        }
    }
    (void)error_set(error, INVALID, "unknown option --%.*s", TEXT_ARGS(text_slice(name, 0, 100)));
    if (nearest && word_is_near(least, name.length)) {
        error_fix(error, "did you mean --%s? --help lists all", nearest);
    } else {
        error_fix(error, "--help lists the options");
    }
    return INVALID;
}

static bool is_choice(const char *choices, const char *value)
{
    struct text rest = text_of(choices);
    struct text choice;
    while (text_next_part(&rest, '|', &choice)) {
        if (text_equal(choice, text_of(value))) {
            return true;
        }
    }
    return false;
}

// A decimal number above 0 and nothing else.
static bool read_number(const char *text, double *out)
{
    char *end = NULL;
    double number = strtod(text, &end);
    if (end == text || *end || !(number > 0) || number > 1e15) {
        return false;
    }
    *out = number;
    return true;
}

static bool is_of_kind(const struct command_option *option, const char *value, const char **wanted)
{
    int64_t integer = 0;
    double number = 0;
    switch (option->kind) {
    case OPTION_COUNT:
        *wanted = "a whole number from 0";
        return text_to_int64(text_of(value), &integer) && integer >= 0;
    case OPTION_POSITIVE:
        *wanted = "a whole number from 1";
        return text_to_int64(text_of(value), &integer) && integer >= 1;
    case OPTION_INTEGER:
        *wanted = "a whole number";
        return text_to_int64(text_of(value), &integer);
    case OPTION_NUMBER:
        *wanted = "a number above 0, such as 2 or 0.5";
        return read_number(value, &number);
    case OPTION_BYTES:
        *wanted = "a size such as 512M or 2G";
        return text_to_bytes(text_of(value), &integer);
    case OPTION_DURATION:
        *wanted = "a duration such as 90s, 15m or 1h30m";
        return text_to_duration_us(text_of(value), &integer);
    case OPTION_FLAG:
    case OPTION_TEXT:
    case OPTION_LIST:
    default:
        *wanted = option->choices;
        return !option->choices || is_choice(option->choices, value);
    }
}

static enum status add_given(struct options *options, const struct command_option *option,
                             const char *value, struct error *error)
{
    const char *wanted = NULL;
    if (value && !is_of_kind(option, value, &wanted)) {
        (void)error_set(error, INVALID, "--%s: \"%.100s\" is not valid", option->name, value);
        error_fix(error, option->choices ? "it is one of %s" : "it takes %s", wanted);
        return INVALID;
    }
    options->given =
        memory_resize(options->given, options->given_count + 1, sizeof(*options->given));
    options->given[options->given_count++] = (struct option_given){option, value};
    return OK;
}

// Reads "name" or "name=value" (without dashes) at argv[*at]; takes the next argument as the value where one is needed.
static enum status parse_long(struct options *options, int argc, char **argv, int *at,
                              struct error *error)
{
    const char *word = argv[*at] + 2;
    struct text name = text_slice(text_of(word), 0, text_find_byte(text_of(word), 0, '='));
    const char *value = word[name.length] == '=' ? word + name.length + 1 : NULL;
    if (text_equal(name, TEXT("help"))) {
        options->has_help = true;
        return OK;
    }
    const struct command_option *option = options_find(options, name);
    if (!option) {
        return refuse_unknown(options, name, error);
    }
    if (option->kind == OPTION_FLAG && value) {
        return error_set(error, INVALID, "--%s takes no value", option->name);
    }
    if (option->kind != OPTION_FLAG && !value) {
        if (*at + 1 >= argc) {
            return error_set(error, INVALID, "--%s needs a value: --%s %s", option->name,
                             option->name, option->value);
        }
        value = argv[++*at];
    }
    return add_given(options, option, value, error);
}

// Reads a cluster of letters: flags, of which the last may be an option with a value.
static enum status parse_letters(struct options *options, int argc, char **argv, int *at,
                                 struct error *error)
{
    for (const char *letter = argv[*at] + 1; *letter; letter++) {
        if (*letter == 'h') {
            options->has_help = true;
            return OK;
        }
        const struct command_option *option = find_letter(options, *letter);
        if (!option) {
            (void)error_set(error, INVALID, "unknown option -%c", *letter);
            error_fix(error, "--help lists the options");
            return INVALID;
        }
        if (option->kind == OPTION_FLAG) {
            TRY(add_given(options, option, NULL, error));
            continue;
        }
        if (letter[1]) {
            return add_given(options, option, letter + 1, error);
        }
        if (*at + 1 >= argc) {
            return error_set(error, INVALID, "-%c needs a value: -%c %s", *letter, *letter,
                             option->value);
        }
        return add_given(options, option, argv[++*at], error);
    }
    return OK;
}

enum status options_parse(struct options *options, int argc, char **argv, bool stops_at_operand,
                          struct error *error)
{
    options->operands = memory_new((size_t)argc + 1, sizeof(char *));
    bool is_over = false;
    for (int at = 0; at < argc && !options->has_help; at++) {
        char *word = argv[at];
        if (is_over || word[0] != '-' || !word[1]) {
            options->operands[options->operand_count++] = word;
            is_over = is_over || stops_at_operand;
        } else if (strcmp(word, "--") == 0) {
            is_over = true;
        } else if (word[1] == '-') {
            TRY(parse_long(options, argc, argv, &at, error));
        } else {
            TRY(parse_letters(options, argc, argv, &at, error));
        }
    }
    return OK;
}

void options_done(struct options *options)
{
    free(options->given);
    free(options->operands);
    options->given = NULL;
    options->operands = NULL;
}

static const struct option_given *find_given(const struct options *options, const char *name)
{
    assert(options_find(options, text_of(name)));
    for (size_t i = options->given_count; i-- > 0;) {
        if (strcmp(options->given[i].option->name, name) == 0) {
            return &options->given[i];
        }
    }
    return NULL;
}

bool options_has(const struct options *options, const char *name)
{
    return find_given(options, name) != NULL;
}

const char *options_text(const struct options *options, const char *name, const char *otherwise)
{
    const struct option_given *given = find_given(options, name);
    return given ? given->text : otherwise;
}

int64_t options_int64(const struct options *options, const char *name, int64_t otherwise)
{
    const struct option_given *given = find_given(options, name);
    if (!given) {
        return otherwise;
    }
    int64_t value = otherwise;
    struct text text = text_of(given->text);
    bool is_read = given->option->kind == OPTION_BYTES      ? text_to_bytes(text, &value)
                   : given->option->kind == OPTION_DURATION ? text_to_duration_us(text, &value)
                                                            : text_to_int64(text, &value);
    assert(is_read);
    return value;
}

double options_number(const struct options *options, const char *name, double otherwise)
{
    const struct option_given *given = find_given(options, name);
    double value = otherwise;
    if (given) {
        bool is_read = read_number(given->text, &value);
        assert(is_read);
    }
    return value;
}

const char *options_next(const struct options *options, const char *name, size_t *at)
{
    assert(options_find(options, text_of(name)));
    while (*at < options->given_count) {
        const struct option_given *given = &options->given[(*at)++];
        if (strcmp(given->option->name, name) == 0) {
            return given->text;
        }
    }
    return NULL;
}
