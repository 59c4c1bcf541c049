// `lode worker accept`, `refuse`, `forget`, `invite`, `enroll`: which workers a site trusts, by their keys.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/runner_class.h"

#include "base/memory.h"
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

static void add_class(const struct options *options, json_t *body)
{
    const char *user = options_text(options, "user", NULL);
    runner_class_add(options, body);
    if (user) {
        (void)json_object_set_new(body, "user", json_from_text(text_of(user)));
    }
}

static void say_key(const void *state, const json_t *key, struct buffer *out)
{
    struct text kind = field_text(key, "class");
    display_text(out, field_text(key, "name"));
    buffer_printf(out, " (%.*s) is %s", TEXT_ARGS(field_text(key, "fingerprint")),
                  (const char *)state);
    if (kind.length > 0 && !text_equal(kind, TEXT("site"))) {
        buffer_append_string(out, ", of class ");
        runner_class_show(key, out);
    }
    buffer_append_byte(out, '\n');
}

// Takes what is said beside the state.
static int set_state(const struct options *options, const char *state, json_t *said)
{
    AUTO_JSON json_t *body = said;
    (void)json_object_set_new(body, "state", json_string(state));
    AUTO_FREE char *path = contact_path("worker-keys", options->operands[0], "/state");
    return print_request(options, &(struct request){"POST", path, body}, say_key, state);
}

static int run_accept(const struct command *command, const struct options *options)
{
    (void)command;
    json_t *body = json_object();
    add_class(options, body);
    return set_state(options, "accepted", body);
}

static int run_refuse(const struct command *command, const struct options *options)
{
    (void)command;
    return set_state(options, "refused", json_object());
}

static void say_forgotten(const void *worker, const json_t *answer, struct buffer *out)
{
    (void)answer;
    buffer_printf(out, "%s is forgotten\n", (const char *)worker);
}

static int run_forget(const struct command *command, const struct options *options)
{
    (void)command;
    const char *worker = options->operands[0];
    AUTO_FREE char *path = contact_path("worker-keys", worker, "");
    return print_request(options, &(struct request){"DELETE", path, NULL}, say_forgotten, worker);
}

static int run_invite(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *answer = NULL;
    AUTO_JSON json_t *body = json_object();
    const char *name = options_text(options, "name", NULL);
    if (name) {
        (void)json_object_set_new(body, "name", json_from_text(text_of(name)));
    }
    if (options_has(options, "expires")) {
        int64_t seconds = options_int64(options, "expires", 0) / 1000000;
        (void)json_object_set_new(body, "expires_seconds", json_integer(seconds));
    }
    add_class(options, body);
    if (contact_open(options, &contact, &error) != OK ||
        contact_json(&contact, "POST", "/v1/worker-invitations", body, &answer, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        return print_json(answer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    // The token alone on standard output, so that it can go to a file or another command.
    struct text token = field_text(answer, "token");
    AUTO_JSON json_t *status = NULL;
    (void)printf("%.*s\n", TEXT_ARGS(token));
    (void)fflush(stdout);
    (void)contact_json(&contact, "GET", "/v1/status", NULL, &status, &error);
    AUTO_FREE char *reach = contact_reach(&contact, status);
    (void)fprintf(
        stderr,
        "lode: good once, until %.*s. On the worker's machine, with the address by which "
        "it reaches this site:\n      lode worker enroll --site %s --pin %s --token %.*s\n",
        TEXT_ARGS(field_text(answer, "expires_at")), reach, contact.site.pin.text,
        TEXT_ARGS(token));
    return EXIT_SUCCESS;
}

#define NAMING                                                                                     \
    "WORKER is its name, fingerprint, or the first 8 digits of that or more; \"lode workers\" "    \
    "lists "                                                                                       \
    "them."

static const char ACCEPTING[] =
    "From then on it is trusted as long as it shows the same key. Compare the fingerprint with "
    "what "
    "the worker says on its machine: a name can be claimed by anybody.\n\n" RUNNER_CLASS_WORDS
    " Who is accepted again keeps his class unless another one is said.\n\n" NAMING;
static const char REFUSING[] = "It gets no tasks any more, and what it runs goes to others. \"lode "
                               "worker accept\" takes it in "
                               "again.\n\n" NAMING;
static const char FORGETTING[] = "When it comes again it is a new one, and waits to be accepted. "
                                 "This is the way when a worker has "
                                 "a new key for a reason.\n\n" NAMING;

static const struct command_option ACCEPT_OPTIONS[] = {
    RUNNER_CLASS_OPTIONS(RUNNER_KEY_CLASSES),
    {"user", 0, OPTION_TEXT, "USER", "of class user: whose jobs (default: yours)", NULL},
};

static const struct command_example ACCEPT_EXAMPLES[] = {
    {"lode worker accept desk-2", "lets the worker that waits under this name take tasks"},
    {"lode worker accept 4f5c09ab", "the same by the first digits of its fingerprint"},
    {"lode worker accept desk-2 --class user --user alice", "lets it take tasks of alice alone"},
};

const struct command COMMAND_WORKER_ACCEPT = {
    .name = "worker accept",
    .usage = "WORKER",
    .purpose = "lets a worker take tasks of a site",
    .description = ACCEPTING,
    .group = GROUP_SITE,
    .options = OPTION_TABLE(ACCEPT_OPTIONS),
    .examples = EXAMPLES(ACCEPT_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_accept,
};

static const struct command_example REFUSE_EXAMPLES[] = {
    {"lode worker refuse desk-2", "refuses that worker everything, by its key"},
};

const struct command COMMAND_WORKER_REFUSE = {
    .name = "worker refuse",
    .usage = "WORKER",
    .purpose = "refuses a worker everything",
    .description = REFUSING,
    .group = GROUP_SITE,
    .examples = EXAMPLES(REFUSE_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_refuse,
};

static const struct command_example FORGET_EXAMPLES[] = {
    {"lode worker forget desk-2",
     "forgets its key; the next one of this name waits to be accepted"},
};

const struct command COMMAND_WORKER_FORGET = {
    .name = "worker forget",
    .usage = "WORKER",
    .purpose = "forgets the key of a worker",
    .description = FORGETTING,
    .group = GROUP_SITE,
    .examples = EXAMPLES(FORGET_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_forget,
};

static const struct command_option INVITE_OPTIONS[] = {
    {"name", 0, OPTION_TEXT, "NAME", "the worker's name (default: it says that itself)", NULL},
    {"expires", 0, OPTION_DURATION, "TIME", "how long it is good (default: 1h)", NULL},
    RUNNER_CLASS_OPTIONS(RUNNER_KEY_CLASSES),
    {"user", 0, OPTION_TEXT, "USER", "of class user: whose jobs (default: yours)", NULL},
};

static const struct command_example INVITE_EXAMPLES[] = {
    {"lode worker invite --name desk-2",
     "prints a token, good once within an hour, and the line to type on desk-2"},
    {"lode worker invite --class spare", "the same for a computer that somebody has to spare"},
};

const struct command COMMAND_WORKER_INVITE = {
    .name = "worker invite",
    .usage = "",
    .purpose = "makes a token with which one worker is accepted",
    .description = RUNNER_CLASS_WORDS,
    .group = GROUP_SITE,
    .options = OPTION_TABLE(INVITE_OPTIONS),
    .examples = EXAMPLES(INVITE_EXAMPLES),
    .run = run_invite,
};

static const struct command_option ENROLL_OPTIONS[] = {
    {"site", 0, OPTION_TEXT, "URL|NAME",
     "the site that made the token (default: the one on the local network)", NULL},
    {"pin", 0, OPTION_TEXT, "FINGERPRINT", "the site's key must have this fingerprint", NULL},
    {"trust", 0, OPTION_FLAG, NULL,
     "of a site that is met for the first time: take the key that it shows, without a question",
     NULL},
    {"token", 0, OPTION_TEXT, "TOKEN",
     "what \"lode worker invite\" printed (default: $LODE_TOKEN, or a line of standard input; -: "
     "that)",
     NULL},
    {"name", 0, OPTION_TEXT, "NAME",
     "its name at the site, unless the token has one (default: this machine's)", NULL},
    {"directory", 0, OPTION_TEXT, "DIR",
     "the worker's directory (default: ~/.local/share/lode-worker)", NULL},
    {"json", 0, OPTION_FLAG, NULL, "write JSON for programs to standard output", NULL},
};

static const struct command_example ENROLL_EXAMPLES[] = {
    {"lode worker enroll --site https://desk:7733 --pin sha256:... --token lode_join_...",
     "has the site desk accept this machine's worker"},
};

const struct command COMMAND_WORKER_ENROLL = {
    .name = "worker enroll",
    .usage = "",
    .purpose = "has a site accept this machine's worker, by a token made there",
    .description =
        "Makes the worker's key, unless it has one, and shows it to the site together with the "
        "token; from then on \"lode worker\" works without an operator's word.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(ENROLL_OPTIONS),
    .examples = EXAMPLES(ENROLL_EXAMPLES),
    .is_offline = true,
    .run = command_worker_enroll,
};
