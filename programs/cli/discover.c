// `lode discover`: which sites are on the local network, and whether they are who they say.
#include "cli/command.h"
#include "cli/discovery.h"
#include "cli/output.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MAX_US INT64_C(600000000)

static const struct table_column COLUMNS[] = {
    {"SITE", false, true},     {"URL", false, false},         {"KEY", false, false},
    {"VERSION", false, false}, {"FINGERPRINT", false, false},
};

static json_t *site_document(const struct discovered_site *each)
{
    const struct announcement *said = &each->site.said;
    bool is_told = each->key == KEY_KNOWN || each->key == KEY_NEW;
    json_t *document =
        json_pack("{s:o, s:s, s:s, s:o, s:s, s:b}", "name", json_from_text(text_of(said->name)),
                  "url", each->site.url, "fingerprint", said->fingerprint.text, "version",
                  json_from_text(text_of(said->version)), "key", discovered_key_word(each->key),
                  "known", each->key == KEY_KNOWN);
    if (!is_told) {
        (void)json_object_set_new(document, "problem",
                                  json_from_text(text_of(each->problem.detail)));
    }
    return document;
}

static bool print_document(const struct discovery *discovery)
{
    AUTO_JSON json_t *document =
        json_pack("{s:[], s:I, s:s}", "sites", "ignored", (json_int_t)discovery->ignored, "by",
                  responder_word(discovery->by));
    json_t *sites = json_object_get(document, "sites");
    for (size_t i = 0; i < discovery->count; i++) {
        (void)json_array_append_new(sites, site_document(&discovery->sites[i]));
    }
    return print_json(document);
}

static bool print_sites(const struct discovery *discovery)
{
    struct table *table = table_new(COLUMNS, sizeof COLUMNS / sizeof COLUMNS[0]);
    for (size_t i = 0; i < discovery->count; i++) {
        const struct discovered_site *each = &discovery->sites[i];
        table_add(table, text_of(each->site.said.name));
        table_add(table, text_of(each->site.url));
        table_add(table, text_of(discovered_key_word(each->key)));
        table_add(table, text_of(each->site.said.version));
        table_add(table, text_of(each->site.said.fingerprint.text));
    }
    bool is_read = print_table(table);
    for (size_t i = 0; i < discovery->count; i++) {
        if (!discovered_is_usable(&discovery->sites[i])) {
            (void)fprintf(stderr, "lode: %s\n", discovery->sites[i].problem.detail);
        }
    }
    return is_read;
}

static enum status discover(const struct options *options, struct discovery *out,
                            struct error *error)
{
    AUTO_FREE char *folder = NULL;
    bool is_told = options_has(options, "wait");
    int64_t wait_us = options_int64(options, "wait", BROWSE_WAIT_US);
    if (wait_us > WAIT_MAX_US) {
        return error_set(error, INVALID, "--wait must be at most 10m");
    }
    TRY(site_choice_folder(&folder, error));
    return discovery_make(folder, wait_us, is_told ? wait_us : BROWSE_PATIENCE_US, out, error);
}

static int run_discover(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error = {0};
    AUTO_FREE struct discovery *found = NEW(struct discovery);
    enum status status = discover(options, found, &error);
    if (status != OK) {
        return command_fail(&error, status == INVALID ? EXIT_USAGE : EXIT_FAILED);
    }
    bool is_json = options_has(options, "json");
    bool is_read = is_json ? print_document(found) : found->count == 0 || print_sites(found);
    if (found->count == 0) {
        (void)discovery_nobody(found, &error);
        return command_fail(&error, EXIT_FAILED);
    }
    return is_read ? EXIT_SUCCESS : EXIT_FAILED;
}

static const struct command_option DISCOVER_OPTIONS[] = {
    {"wait", 0, OPTION_DURATION, "TIME",
     "listen for so long (default: 2s, up to 12s while nobody is heard)", NULL},
    {"json", 0, OPTION_FLAG, NULL, "write JSON for programs to standard output", NULL},
};

static const struct command_example DISCOVER_EXAMPLES[] = {
    {"lode discover", "lists the sites on the local network"},
    {"lode discover --wait 10s --json", "listens for ten seconds and writes JSON"},
};

const struct command COMMAND_DISCOVER = {
    .name = "discover",
    .usage = "",
    .purpose = "lists the sites that announce themselves on the local network",
    .description =
        "Each is asked for its key. known: it has the key that it announces, and was met before. "
        "new: it has that key, and is met for the first time: compare the fingerprint with what "
        "its operator says. changed: another site was met at this address. false: it does not have "
        "the key that it announces. unreachable: nobody answers there. Where an avahi-daemon runs, "
        "it is asked who is there; without one Lode listens itself.",
    .statuses = "1: No site was heard, or this machine cannot listen.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(DISCOVER_OPTIONS),
    .examples = EXAMPLES(DISCOVER_EXAMPLES),
    .is_offline = true,
    .run = run_discover,
};
