// `lode pool start`, `status` and `stop` in the table of commands, and what their options say.
#include "pool/pool.h"

#include "base/memory.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/runner_class.h"
#include "os/address.h"
#include "os/process.h"
#include "pool/report.h"
#include "pool/talks.h"

#include <stdio.h>
#include <unistd.h>

enum { PARALLEL_DEFAULT = 16 };
#define TIMEOUT_DEFAULT_US INT64_C(60000000)

static enum status read_labels(const struct options *given, struct helper_worker *out,
                               struct error *error)
{
    size_t at = 0;
    for (const char *label; (label = options_next(given, "label", &at)) != NULL;) {
        if (out->label_count == HELPER_LABELS_MAX) {
            return error_set(error, INVALID, "more than %d labels", HELPER_LABELS_MAX);
        }
        out->labels[out->label_count++] = text_of(label);
    }
    return OK;
}

static double seconds_of(const struct options *given, const char *name)
{
    int64_t us = options_int64(given, name, -1);
    return us < 0 ? -1 : (double)us / 1e6;
}

// The worker that is to be started everywhere.
static enum status read_worker(const struct options *given, struct helper_worker *out,
                               struct error *error)
{
    out->name = text_of(options_text(given, "name", NULL));
    out->groups = text_of(options_text(given, "groups", NULL));
    out->sandbox = text_of(options_text(given, "sandbox", NULL));
    out->serve = text_of(options_text(given, "serve", NULL));
    out->cpus = options_number(given, "cpus", -1);
    out->memory_bytes = options_int64(given, "memory", -1);
    out->gpus = options_int64(given, "gpus", -1);
    out->cache_bytes = options_int64(given, "cache-size", -1);
    out->lifetime_seconds = seconds_of(given, "lifetime");
    out->notice_seconds = seconds_of(given, "notice");
    return read_labels(given, out, error);
}

static bool all_are_here(const struct pool *pool)
{
    for (size_t i = 0; i < pool->host_count; i++) {
        const char *at = strchr(pool->hosts[i].name, '@');
        if (!address_is_own(text_of(at ? at + 1 : pool->hosts[i].name))) {
            return false;
        }
    }
    return true;
}

// The site's address as the machines reach it: --reach, else the one that is used here, else the one that the site has for others.
static enum status choose_reach(struct pool *pool, const json_t *status, struct error *error)
{
    struct site_address address;
    const char *said = options_text(pool->given, "reach", NULL);
    AUTO_FREE char *chosen = said                 ? memory_copy_string(said)
                             : all_are_here(pool) ? memory_copy_string(pool->contact.site.url)
                                                  : contact_reach(&pool->contact, status);
    if (!said && address_is_own(text_of(chosen)) && !all_are_here(pool)) {
        (void)error_set(error, CONFLICT, "%s is an address of the site for this machine alone",
                        chosen);
        error_fix(error, "say by which address others reach it: --reach URL; for that it must "
                         "listen on the network (lode site --address)");
        return CONFLICT;
    }
    TRY(site_address_from_url(text_of(chosen), &address, error));
    (void)snprintf(pool->reach, sizeof pool->reach, "https://%s", address.text);
    pool->request.site = text_of(pool->reach);
    return OK;
}

// What the site says of itself: an open one needs no invitations.
static enum status prepare_start(struct pool *pool, struct error *error)
{
    AUTO_JSON json_t *status = NULL;
    TRY(read_worker(pool->given, &pool->request.worker, error));
    TRY(contact_json(&pool->contact, "GET", "/v1/status", NULL, &status, error));
    const json_t *keys = json_object_get(status, "worker_keys");
    bool has_class = options_has(pool->given, "class");
    bool is_silent = options_has(pool->given, "no-invite");
    if (has_class && is_silent) {
        (void)error_set(error, INVALID,
                        "a class comes with an invitation, and --no-invite makes none");
        error_fix(error, "lode worker accept WORKER --class CLASS gives it one as well");
        return INVALID;
    }
    pool->makes_invitations = !is_silent && (has_class || !field_bool(keys, "open"));
    return choose_reach(pool, status, error);
}

static bool has_listeners(const struct pool *pool)
{
    for (size_t i = 0; i < pool->host_count; i++) {
        if (pool->hosts[i].way == HOST_WAY_LISTEN) {
            return true;
        }
    }
    return false;
}

static enum status prepare(struct pool *pool, struct error *error)
{
    const struct options *given = pool->given;
    struct caller_key key = {0};
    int64_t parallel = options_int64(given, "parallel", PARALLEL_DEFAULT);
    pool->timeout_us = options_int64(given, "timeout", TIMEOUT_DEFAULT_US);
    if (parallel > POOL_PARALLEL_MAX) {
        return error_set(error, INVALID, "--parallel must be at most %d", POOL_PARALLEL_MAX);
    }
    pool->parallel = (size_t)parallel;
    TRY(pool_read_hosts(pool, error));
    TRY(pool_read_words(pool, error));
    pool->program = process_program();
    if (!pool->program) {
        return error_set(error, INTERNAL, "cannot find this program's own file");
    }
    if (has_listeners(pool)) {
        TRY(caller_key_ensure(&key, error));
        caller_key_done(&key);
    }
    TRY(contact_open(given, &pool->contact, error));
    pool->request.fingerprint = pool->contact.site.pin;
    pool->request.account = text_of(options_text(given, "account", NULL));
    pool->request.directory = text_of(options_text(given, "directory", NULL));
    if (pool->request.directory.length > 0 && pool->request.directory.bytes[0] != '/') {
        return error_set(error, INVALID, "--directory must be an absolute path");
    }
    return pool->request.verb == HELPER_START ? prepare_start(pool, error) : OK;
}

static int run_pool(const struct options *given, enum helper_verb verb)
{
    struct error error = {0};
    struct pool pool = {
        .given = given,
        .request = helper_request_none(verb),
        .contact = {.interrupt_fd = -1},
    };
    int exit_status = EXIT_FAILED;
    enum status status = prepare(&pool, &error);
    if (status == OK) {
        AUTO_FREE struct talk *talks = memory_new(pool.host_count, sizeof *talks);
        talks_hold(&pool, talks);
        exit_status = pool_report(&pool, talks);
        for (size_t i = 0; i < pool.host_count; i++) {
            talk_done(&talks[i]);
        }
    } else {
        exit_status = command_fail(&error, status == INVALID ? EXIT_USAGE : EXIT_FAILED);
    }
    contact_close(&pool.contact);
    pool_words_done(&pool.ssh);
    pool_words_done(&pool.lode);
    free(pool.program);
    free(pool.hosts);
    return exit_status;
}

static int run_start(const struct command *command, const struct options *given)
{
    (void)command;
    return run_pool(given, HELPER_START);
}

static int run_status(const struct command *command, const struct options *given)
{
    (void)command;
    return run_pool(given, HELPER_STATUS);
}

static int run_stop(const struct command *command, const struct options *given)
{
    (void)command;
    return run_pool(given, HELPER_STOP);
}

#define WAY_OPTIONS                                                                                 \
    {"hosts",                                                                                       \
     0,                                                                                             \
     OPTION_TEXT,                                                                                   \
     "FILE",                                                                                        \
     "the machines, one in a line, with the fingerprint of its helper's key where it listens; -: "  \
     "standard input",                                                                              \
     NULL},                                                                                         \
        {"via",                                                                                     \
         0,                                                                                         \
         OPTION_TEXT,                                                                               \
         "WAY",                                                                                     \
         "how to get there (default: to HOST by ssh, to HOST:PORT where a helper listens)",         \
         "ssh|listen"},                                                                             \
        {"ssh",                                                                                     \
         0,                                                                                         \
         OPTION_TEXT,                                                                               \
         "COMMAND",                                                                                 \
         "what to type before the machine's name (default: ssh -o BatchMode=yes -o "                \
         "ConnectTimeout=15)",                                                                      \
         NULL},                                                                                     \
        {"lode", 0, OPTION_TEXT, "PATH", "where lode is there (default: in the PATH there)", NULL}, \
        {"trust",                                                                                   \
         0,                                                                                         \
         OPTION_FLAG,                                                                               \
         NULL,                                                                                      \
         "of a helper that is met for the first time: take the key that it shows",                  \
         NULL},                                                                                     \
        {"account", 0, OPTION_TEXT, "NAME", "refuse to have any other account there", NULL},        \
        {"directory",                                                                               \
         0,                                                                                         \
         OPTION_TEXT,                                                                               \
         "DIR",                                                                                     \
         "keep workers below this folder there (default: ~/.local/share/lode-pool)",                \
         NULL},                                                                                     \
        {"parallel", 0, OPTION_POSITIVE, "N", "ask so many machines at once (default: 16)", NULL},  \
    {                                                                                               \
        "timeout", 0, OPTION_DURATION, "TIME", "give up on a machine after this (default: 60s)",    \
            NULL                                                                                    \
    }

static const struct command_option START_OPTIONS[] = {
    WAY_OPTIONS,
    {"reach", 0, OPTION_TEXT, "URL",
     "the site's address as the machines reach it (default: as this one does)", NULL},
    {"no-invite", 0, OPTION_FLAG, NULL,
     "make no invitations: the workers wait for lode worker accept", NULL},
    RUNNER_CLASS_OPTIONS(RUNNER_KEY_CLASSES),
    {"user", 0, OPTION_TEXT, "USER", "of class user: whose jobs (default: yours)", NULL},
    {"name", 0, OPTION_TEXT, "NAME",
     "the workers' names at the site, with {host} for the machine's (default: their machines')",
     NULL},
    {"cpus", 0, OPTION_NUMBER, "N", "cores to use on each (default: all)", NULL},
    {"memory", 0, OPTION_BYTES, "SIZE", "memory to use (default: what the machine has)", NULL},
    {"gpus", 0, OPTION_COUNT, "N", "graphics processors to use (default: all)", NULL},
    {"label", 0, OPTION_LIST, "NAME[=VALUE]", "what jobs may require of them", NULL},
    {"groups", 0, OPTION_TEXT, "GROUP,...", "work for these groups only (default: for all)", NULL},
    {"lifetime", 0, OPTION_DURATION, "TIME", "be gone after this time", NULL},
    {"notice", 0, OPTION_DURATION, "TIME", "how long running tasks are warned before", NULL},
    {"cache-size", 0, OPTION_BYTES, "SIZE", "room for inputs that they fetch", NULL},
    {"serve", 0, OPTION_TEXT, "auto[:PORT]|none",
     "give what they have fetched to all workers of the site, each at its address towards it, or "
     "to nobody (default: to those of their own zone or network)",
     NULL},
    {"sandbox", 0, OPTION_TEXT, "KIND", "how tasks are shut in (default: bubblewrap)",
     "bubblewrap|none"},
};

static const struct command_example START_EXAMPLES[] = {
    {"lode pool start node1 node2 ada@node3", "starts a worker on each, by ssh"},
    {"lode pool start --hosts cluster.txt --lifetime 8h --groups physics",
     "the same on all machines of a file, for eight hours, for one group"},
    {"lode pool start --trust node1:7730 node2:7730",
     "asks the helpers that listen there (lode worker --listen)"},
    {"lode pool start --ssh 'ssh -i key -o BatchMode=yes' --lode /opt/lode/bin/lode node1",
     "says how to get there, and where lode is"},
};

const struct command COMMAND_POOL_START = {
    .name = "pool start",
    .usage = "[HOST]...",
    .purpose = "starts workers of a site on many machines",
    .description =
        "On each machine it has `lode worker --stdio` (by ssh) or `lode worker --listen` "
        "(HOST:PORT) "
        "start a worker, which stays when this ends. Each makes a key of its own and is let in by "
        "an invitation that is made for it, which takes an administrator's token; an open site "
        "needs none. A machine that runs one of this site's workers already is said to, and keeps "
        "it as it is.\n\n"
        "A table says for each machine what came of it: started; pending (it waits for \"lode "
        "worker accept\"); running (it ran before); starting (it has not reached the site yet, and "
        "goes on trying); failed, and standard error says why.\n\n" RUNNER_CLASS_WORDS,
    .statuses = "1: Not all machines have a worker that the site knows; the table says which.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(START_OPTIONS),
    .examples = EXAMPLES(START_EXAMPLES),
    .operands_max = SIZE_MAX,
    .run = run_start,
};

static const struct command_option STATUS_OPTIONS[] = {WAY_OPTIONS};

static const struct command_example STATUS_EXAMPLES[] = {
    {"lode pool status --hosts cluster.txt", "shows on which machines a worker of the site runs"},
};

const struct command COMMAND_POOL_STATUS = {
    .name = "pool status",
    .usage = "[HOST]...",
    .purpose = "shows where workers run that lode pool has started",
    .description = "What the machines say; \"lode workers\" shows what the site says.",
    .statuses = "1: Not on all machines does one run.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(STATUS_OPTIONS),
    .examples = EXAMPLES(STATUS_EXAMPLES),
    .operands_max = SIZE_MAX,
    .run = run_status,
};

static const struct command_example STOP_EXAMPLES[] = {
    {"lode pool stop --hosts cluster.txt", "ends the site's workers on all of them"},
};

const struct command COMMAND_POOL_STOP = {
    .name = "pool stop",
    .usage = "[HOST]...",
    .purpose = "ends workers that lode pool has started",
    .description =
        "Each is sent SIGTERM: it warns what it runs, gives back what has not ended when its "
        "notice is over, and ends. Its key stays, so that it is known when it is started again.",
    .statuses = "1: Not on all machines has it ended.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(STATUS_OPTIONS),
    .examples = EXAMPLES(STOP_EXAMPLES),
    .operands_max = SIZE_MAX,
    .run = run_stop,
};
