// `lode plan`: where a job would run, and why there.
#include "cli/output.h"
#include "cli/submission.h"

#include "base/calendar.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct table_column CANDIDATE_COLUMNS[] = {
    {"SITE", false, true},  {"OFFER", false, false},  {"START", true, false},
    {"RUN", true, false},   {"STAGING", true, false}, {"CORE-HOURS", true, false},
    {"UNTIL", true, false}, {"HAS", false, true},
};

static void add_data(struct table *table, const json_t *candidate)
{
    AUTO_BUFFER struct buffer words = {0};
    const json_t *data = json_object_get(candidate, "data");
    for (size_t i = 0; i < json_array_size(data); i++) {
        buffer_append_string(&words, i > 0 ? ", " : "");
        buffer_append_text(&words, json_text(json_array_get(data, i)));
    }
    table_add(table, words.length > 0 ? buffer_text(&words) : TEXT("-"));
}

static void add_site(struct table *table, const json_t *candidate)
{
    AUTO_BUFFER struct buffer words = {0};
    buffer_append_text(&words, field_text(candidate, "name"));
    buffer_append_string(&words, field_bool(candidate, "is_home") ? " (here)" : "");
    table_add(table, buffer_text(&words));
}

// "0 s" where table_add_duration says "-".
static void add_seconds(struct table *table, const json_t *candidate, const char *name)
{
    AUTO_BUFFER struct buffer words = {0};
    display_duration(&words, field_seconds_us(candidate, name));
    table_add(table, buffer_text(&words));
}

// What would have to be brought there first: "5.2 MiB in 0.5 s".
static void add_staging(struct table *table, const json_t *candidate)
{
    AUTO_BUFFER struct buffer words = {0};
    int64_t bytes = field_int64(candidate, "stage_bytes");
    display_bytes(&words, bytes);
    if (bytes > 0) {
        buffer_append_string(&words, " in ");
        display_duration(&words, field_seconds_us(candidate, "stage_seconds"));
    }
    table_add(table, buffer_text(&words));
}

// The time of day until which the offer stands, by the clock of the site that made it: "10:05:00Z".
static void add_expiry(struct table *table, const json_t *candidate)
{
    char time[CALENDAR_TEXT_SIZE];
    int64_t time_us = 0;
    if (!calendar_parse(field_text(candidate, "expires_at"), &time_us)) {
        table_add(table, TEXT("-"));
        return;
    }
    (void)calendar_format(time_us - time_us % 1000000, time);
    table_add(table, text_of(time + sizeof "2026-11-21T" - 1));
}

static void add_candidate(struct table *table, const json_t *candidate)
{
    add_site(table, candidate);
    if (field_bool(candidate, "has_offer")) {
        AUTO_BUFFER struct buffer hours = {0};
        append_core_hours(&hours, json_object_get(candidate, "price"), "core_hours");
        table_add(table, TEXT("yes"));
        add_seconds(table, candidate, "start_seconds");
        add_seconds(table, candidate, "run_seconds");
        add_staging(table, candidate);
        table_add(table, buffer_text(&hours));
        add_expiry(table, candidate);
    } else {
        table_add(table, TEXT("no"));
        for (size_t i = 0; i < 5; i++) {
            table_add(table, TEXT("-"));
        }
    }
    add_data(table, candidate);
}

// Reasons are too long for a table.
static void say_refusals(const json_t *candidates, struct buffer *out)
{
    for (size_t i = 0; i < json_array_size(candidates); i++) {
        const json_t *candidate = json_array_get(candidates, i);
        struct text refusal = field_text(candidate, "refusal");
        if (!field_bool(candidate, "has_offer")) {
            display_text(out, field_text(candidate, "name"));
            buffer_append_string(out, " makes no offer: ");
            display_text(out, refusal.length > 0 ? refusal : TEXT("it gave no reason"));
            buffer_append_byte(out, '\n');
        }
    }
}

// "move doi:b from ice to ocean", "run at ocean", "merge at desk"
static void say_step(const json_t *step, struct buffer *out)
{
    static const char *const WORDS[][2] = {{"data", " "}, {"from", " from "}};
    bool is_move = text_equal(field_text(step, "do"), TEXT("move"));
    display_text(out, field_text(step, "do"));
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        struct text value = field_text(step, WORDS[i][0]);
        if (value.length > 0) {
            buffer_append_string(out, i == 0 && !is_move ? " over " : WORDS[i][1]);
            display_text(out, value);
        }
    }
    buffer_append_string(out, is_move ? " to " : " at ");
    display_text(out, field_text(step, "at"));
}

static void say_alternative(const json_t *alternative, size_t rank, struct buffer *out)
{
    const json_t *steps = json_object_get(alternative, "steps");
    buffer_printf(out, "%2zu. ", rank);
    display_text(out, field_text(alternative, "kind"));
    for (size_t i = 0; i < json_array_size(steps); i++) {
        buffer_append_string(out, i == 0 ? ": " : ", then ");
        say_step(json_array_get(steps, i), out);
    }
    buffer_append_string(out, "\n    ");
    display_duration(out, field_seconds_us(alternative, "seconds"));
    buffer_append_string(out, ", ");
    append_core_hours(out, alternative, "core_hours");
    buffer_append_string(out, " core-hours, ");
    display_bytes(out, field_int64(alternative, "bytes_moved"));
    buffer_append_string(out, " moved\n");
    if (field_text(alternative, "reason").length > 0) {
        buffer_append_string(out, "    ");
        display_text(out, field_text(alternative, "reason"));
        buffer_append_byte(out, '\n');
    }
}

static void write_candidates(const json_t *candidates, struct buffer *out)
{
    size_t count = json_array_size(candidates);
    struct table *table =
        table_new(CANDIDATE_COLUMNS, sizeof(CANDIDATE_COLUMNS) / sizeof(CANDIDATE_COLUMNS[0]));
    for (size_t i = 0; i < count; i++) {
        add_candidate(table, json_array_get(candidates, i));
    }
    if (count > 0) {
        table_write(table, terminal_width(STDOUT_FILENO), out);
        say_refusals(candidates, out);
    }
    table_free(table);
}

static void write_plan(const json_t *plan, struct buffer *out)
{
    const json_t *alternatives = json_object_get(plan, "alternatives");
    write_candidates(json_object_get(plan, "candidates"), out);
    for (size_t i = 0; i < json_array_size(alternatives); i++) {
        buffer_append_string(out, i == 0 ? "\n" : "");
        say_alternative(json_array_get(alternatives, i), i + 1, out);
    }
    if (json_array_size(alternatives) > 0) {
        buffer_append_string(out, "\nChosen: ");
        display_text(out, field_text(plan, "chosen"));
        buffer_append_string(out, field_text(plan, "reason").length > 0 ? ": " : "");
        display_text(out, field_text(plan, "reason"));
        buffer_append_byte(out, '\n');
    }
}

static enum status ask_plan(struct contact *contact, const struct options *options, json_t **plan,
                            struct error *error)
{
    AUTO_JSON json_t *job = NULL;
    TRY(submission_document(contact, options, options_has(options, "json"), &job, error));
    AUTO_JSON json_t *body = json_pack("{s:O}", "job", job);
    return contact_json(contact, "POST", "/v1/plans", body, plan, error);
}

static int run_plan(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_BUFFER struct buffer out = {0};
    AUTO_JSON json_t *plan = NULL;
    if (submission_check(options, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK ||
        ask_plan(&contact, options, &plan, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    bool has_way = json_array_size(json_object_get(plan, "alternatives")) > 0;
    if (options_has(options, "json")) {
        return print_json(plan) && has_way ? EXIT_SUCCESS : EXIT_FAILED;
    }
    write_plan(plan, &out);
    if (!print_text(&out)) {
        return EXIT_FAILED;
    }
    if (!has_way) {
        (void)error_set(&error, CONFLICT, "no site takes the job");
        error_fix(&error, "the reasons of each stand above");
        return command_fail(&error, EXIT_FAILED);
    }
    return EXIT_SUCCESS;
}

static const struct command_option PLAN_OPTIONS[] = {SUBMISSION_OPTIONS};

static const struct command_example PLAN_EXAMPLES[] = {
    {"lode plan --data doi:10.5065/coads -- ncdump -h /data/coads/coads_climatology.cdf",
     "shows the sites that have the data, what each offers, and which one is best"},
    {"lode plan --data ferret:coads --data ferret:levitus --output mean.txt --merge \"sh -c 'sort "
     "inputs/*/mean.txt'\" -- sh -c 'ncks -H /data/*/*.cdf > mean.txt'",
     "compares running beside both datasets with moving the smaller one"},
    {"lode plan --at ocean --stage never --json -- make", "what the site ocean offers, as JSON"},
};

const struct command COMMAND_PLAN = {
    .name = "plan",
    .usage = "[--] COMMAND...",
    .purpose = "shows where a job would run, at what cost, and why there",
    .description =
        "Takes the options of \"lode run\", and runs nothing. The site asks all sites that have "
        "the "
        "data for offers, and compares: running at one of them, running beside each dataset and "
        "merging (--merge), moving data to where the rest is (unless --stage never). Alternatives "
        "are shown best first; \"lode run\" with the same options takes the first.\n\n"
        "What each site offers is an estimate: START, until a task can start; RUN, how long the "
        "job takes there; STAGING, what would have to be brought there first; the price in "
        "CORE-HOURS (and in the bytes of STAGING); UNTIL when it stands, by that site's clock.\n\n"
        "Local files that the job names are sent to the site, as \"lode run\" does.",
    .statuses = "1: There is no way to run it; the reasons are said.",
    .group = GROUP_RUNNING,
    .options = OPTION_TABLE(PLAN_OPTIONS),
    .examples = EXAMPLES(PLAN_EXAMPLES),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .stops_at_operand = true,
    .run = run_plan,
};
