// `lode worker allow` and `lode worker disallow`: who may have workers started on this machine, and as whom.
#include "cli/command.h"
#include "cli/output.h"

#include "base/memory.h"
#include "helper/account.h"
#include "helper/callers.h"
#include "helper/run.h"

#include <unistd.h>

// The account that a caller is to stand for: --account, or who runs this.
static enum status choose_account(const struct options *options, char **out, struct error *error)
{
    const char *said = options_text(options, "account", NULL);
    AUTO_ACCOUNT struct account account = {0};
    if (!said && geteuid() == 0) {
        (void)error_set(error, INVALID, "it was not said as whom");
        error_fix(error, "lode worker allow %.80s --account NAME", options->operands[0]);
        return INVALID;
    }
    TRY(said ? account_find(said, &account, error) : account_own(&account, error));
    if (strlen(account.name) > CALLER_ACCOUNT_MAX || strpbrk(account.name, " \t#")) {
        return error_set(error, INVALID, "the account's name cannot stand in the file of callers");
    }
    *out = TAKE(account.name);
    return OK;
}

static enum status change(const struct options *options, const char *account, struct error *error)
{
    AUTO_FREE char *folder = NULL;
    struct text caller = text_of(options->operands[0]);
    TRY(caller_check(caller, error));
    TRY(helper_folder(options, &folder, error));
    return callers_change(folder, caller, text_of(account), error);
}

static int finish(const struct options *options, const char *account)
{
    const char *caller = options->operands[0];
    if (options_has(options, "json")) {
        AUTO_JSON json_t *document = json_pack("{s:s, s:s?}", "caller", caller, "account", account);
        return print_json(document) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    AUTO_BUFFER struct buffer out = {0};
    display_text(&out, text_of(caller));
    if (account) {
        buffer_printf(&out, " may have workers here, as %s\n", account);
    } else {
        buffer_append_string(&out, " may not have workers started here any more\n");
    }
    return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
}

static int run_allow(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_FREE char *account = NULL;
    enum status status = caller_check(text_of(options->operands[0]), &error);
    status = status == OK ? choose_account(options, &account, &error) : status;
    status = status == OK ? change(options, account, &error) : status;
    if (status != OK) {
        return command_fail(&error, status == INVALID ? EXIT_USAGE : EXIT_FAILED);
    }
    return finish(options, account);
}

static int run_disallow(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    enum status status = change(options, NULL, &error);
    if (status != OK) {
        return command_fail(&error, status == INVALID ? EXIT_USAGE : EXIT_FAILED);
    }
    return finish(options, NULL);
}

#define FOLDER_HELP                                                                                \
    "the helper's folder (default: /var/lib/lode-helper of root, ~/.local/share/lode-helper)"

static const struct command_option ALLOW_OPTIONS[] = {
    {"account", 0, OPTION_TEXT, "NAME", "the account that its workers run as (default: this user)",
     NULL},
    {"directory", 0, OPTION_TEXT, "DIR", FOLDER_HELP, NULL},
    {"json", 0, OPTION_FLAG, NULL, "write JSON for programs to standard output", NULL},
};

static const struct command_example ALLOW_EXAMPLES[] = {
    {"lode worker allow sha256:4f5c... --account ada",
     "lets the holder of this key start workers here as ada"},
    {"lode worker allow 'cn:Ada Lovelace' --account ada",
     "the same for who shows a certificate with this common name (lode worker --listen "
     "--caller-ca)"},
};

const struct command COMMAND_WORKER_ALLOW = {
    .name = "worker allow",
    .usage = "CALLER",
    .purpose = "lets somebody start workers on this machine, by key",
    .description =
        "CALLER is the fingerprint that \"lode pool key\" prints for who calls. It goes into the "
        "file callers in the helper's folder, a line \"CALLER ACCOUNT\" each, which may be written "
        "by hand as well; it counts at once. \"lode worker --listen\" serves who stands there.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(ALLOW_OPTIONS),
    .examples = EXAMPLES(ALLOW_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .is_offline = true,
    .run = run_allow,
};

static const struct command_option DISALLOW_OPTIONS[] = {
    {"directory", 0, OPTION_TEXT, "DIR", FOLDER_HELP, NULL},
    {"json", 0, OPTION_FLAG, NULL, "write JSON for programs to standard output", NULL},
};

static const struct command_example DISALLOW_EXAMPLES[] = {
    {"lode worker disallow sha256:4f5c...", "lets the holder of this key start no more workers"},
};

const struct command COMMAND_WORKER_DISALLOW = {
    .name = "worker disallow",
    .usage = "CALLER",
    .purpose = "takes that back",
    .description = "Workers that run stay: \"lode pool stop\" ends them.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(DISALLOW_OPTIONS),
    .examples = EXAMPLES(DISALLOW_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .is_offline = true,
    .run = run_disallow,
};
