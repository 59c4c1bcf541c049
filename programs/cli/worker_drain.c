// `lode worker drain`: has a worker leave, now or at a time, or calls that off.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/worker_name.h"

#include "base/calendar.h"
#include "base/memory.h"

#include <stdio.h>

static enum status make_order(const struct options *options, json_t **body, struct error *error)
{
    const char *at = options_text(options, "at", NULL);
    int64_t at_us = 0;
    int times =
        options_has(options, "at") + options_has(options, "in") + options_has(options, "cancel");
    if (times > 1) {
        return error_set(error, INVALID, "--at, --in and --cancel exclude each other");
    }
    if (at && !calendar_parse(text_of(at), &at_us)) {
        (void)error_set(error, INVALID, "--at \"%.60s\" is no time", at);
        error_fix(error, "write it like 2026-11-21T18:00:00+01:00, or say how long it is "
                         "until then: --in 30m");
        return INVALID;
    }
    if (options_has(options, "cancel")) {
        return OK;
    }
    *body = at ? json_pack("{s:s}", "at", at)
               : json_pack("{s:f}", "in_seconds", (double)options_int64(options, "in", 0) / 1e6);
    return OK;
}

static void say(const void *context, const json_t *worker, struct buffer *out)
{
    (void)context;
    struct text at = field_text(worker, "leaves_at");
    buffer_printf(out, "worker %lld (", (long long)field_int64(worker, "id"));
    display_text(out, field_text(worker, "name"));
    if (text_equal(field_text(worker, "state"), TEXT("gone"))) {
        buffer_append_string(out, ") is gone\n");
        return;
    }
    buffer_append_string(out, at.length > 0 ? ") leaves at " : ") stays");
    display_text(out, at);
    buffer_append_byte(out, '\n');
}

static int run_drain(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *body = NULL;
    AUTO_JSON json_t *worker = NULL;
    int64_t number = 0;
    if (make_order(options, &body, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK ||
        worker_named(&contact, options->operands[0], &number, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    AUTO_FREE char *path = memory_format("/v1/workers/%lld/drain", (long long)number);
    if (contact_json(&contact, body ? "POST" : "DELETE", path, body, &worker, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    return print_answer(options, worker, say, NULL);
}

static const struct command_option DRAIN_OPTIONS[] = {
    {"at", 0, OPTION_TEXT, "TIME", "it is to be gone then (2026-11-21T18:00:00Z)", NULL},
    {"in", 0, OPTION_DURATION, "TIME", "it is to be gone after this time (default: now)", NULL},
    {"cancel", 0, OPTION_FLAG, NULL, "it stays after all", NULL},
};

static const struct command_example DRAIN_EXAMPLES[] = {
    {"lode worker drain desk-12 --in 30m",
     "has it begin nothing that would not end within half an hour, and leave then"},
    {"lode worker drain 4", "has worker 4 leave now: what it runs goes on elsewhere"},
    {"lode worker drain desk-12 --cancel", "calls that off"},
};

const struct command COMMAND_WORKER_DRAIN = {
    .name = "worker drain",
    .usage = "WORKER",
    .purpose = "has a worker leave in an orderly manner",
    .description =
        "From now on the worker begins nothing that is not expected to end before it leaves. What "
        "still runs then is warned, its checkpoint is stored where the job has one, and it goes on "
        "on another worker; that counts neither as failed nor as lost. WORKER is its number or its "
        "name; one that has left already is said to be gone.\n\nThe worker that a site starts on "
        "its own machine is started anew after a moment; "
        "`lode site --workers 0` has none.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(DRAIN_OPTIONS),
    .examples = EXAMPLES(DRAIN_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_drain,
};
