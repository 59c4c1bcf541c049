// Other sites: the hubs of this one, and who is known and who is in.
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/output.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

// The address of a hub as it was typed: "host", "host:port" or a URL.
static enum status hub_url(const char *typed, char **out, struct error *error)
{
    struct site_address address;
    TRY(site_address_from_url(text_of(typed), &address, error));
    *out = memory_format("https://%s", address.text);
    return OK;
}

// The key that the hub shows now: the one that was asked for, or one that the operator confirms.
static enum status meet_hub(const struct options *options, const char *url,
                            char fingerprint[FINGERPRINT_SIZE], struct error *error)
{
    const char *wanted = options_text(options, "pin", NULL);
    TRY(http_client_fingerprint(url, fingerprint, error));
    if (wanted && strcmp(wanted, fingerprint) != 0 &&
        strcmp(wanted, fingerprint + strlen("sha256:")) != 0) {
        (void)error_set(error, DENIED, "%s has the key %s, not the one of --pin", url, fingerprint);
        error_fix(error, "ask its operator for the fingerprint (\"lode status\" there shows it)");
        return DENIED;
    }
    if (!wanted && !options_has(options, "yes")) {
        return ask_leap_of_faith("hub", url, fingerprint, "--pin", error);
    }
    return OK;
}

static void say_added(const json_t *hub, const char *url, const char *fingerprint,
                      struct buffer *out)
{
    struct text problem = field_text(hub, "problem");
    buffer_append_string(out, "Hub ");
    display_text(out, field_text(hub, "name"));
    buffer_printf(out, "%s%s (%s) is added\n", field_text(hub, "name").length > 0 ? " at " : "",
                  url, fingerprint);
    if (problem.length > 0) {
        buffer_append_string(out, "It does not answer yet, and is tried again: ");
        display_text(out, problem);
        buffer_append_byte(out, '\n');
    }
    buffer_append_string(out, "lode hub list shows how far it is\n");
}

static int run_hub_add(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    char fingerprint[FINGERPRINT_SIZE] = "";
    AUTO_FREE char *url = NULL;
    AUTO_JSON json_t *answer = NULL;
    AUTO_BUFFER struct buffer out = {0};
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    if (hub_url(options->operands[0], &url, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK ||
        meet_hub(options, url, fingerprint, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    AUTO_JSON json_t *body = json_pack("{s:s, s:s, s:s}", "url", url, "fingerprint", fingerprint,
                                       "mode", options_text(options, "mode", "push"));
    if (contact_json(&contact, "POST", "/v1/hubs", body, &answer, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "json")) {
        return print_json(answer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    say_added(answer, url, fingerprint, &out);
    return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
}

static const struct command_option HUB_ADD_OPTIONS[] = {
    {"mode", 0, OPTION_TEXT, "MODE",
     "this site pushes its log, the hub polls it, or both (default: push)", "push|poll|both"},
    {"pin", 0, OPTION_TEXT, "FINGERPRINT",
     "the hub's key must have this fingerprint; no question is asked", NULL},
    {"yes", 0, OPTION_FLAG, NULL, "take the key that it shows, without a question", NULL},
};

static const struct command_example HUB_ADD_EXAMPLES[] = {
    {"lode hub add https://hub.example.org:7733",
     "shows the hub's fingerprint, asks, and announces this site there"},
    {"lode hub add https://hub.example.org:7733 --mode poll --pin sha256:9f86...",
     "asks nothing, and has the hub fetch the log"},
};

const struct command COMMAND_HUB_ADD = {
    .name = "hub add",
    .usage = "URL",
    .purpose = "has a hub keep a copy of this site's catalogue log",
    .description =
        "The site announces itself to the hub, and tells it from then on how it is and what data "
        "it "
        "has. The hub's operator takes it in with \"lode sites accept\". A hub that cannot be "
        "reached is tried again by itself.",
    .group = GROUP_FEDERATION,
    .options = OPTION_TABLE(HUB_ADD_OPTIONS),
    .examples = EXAMPLES(HUB_ADD_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_hub_add,
};

static void add_seconds_ago(struct table *table, const json_t *item, const char *field)
{
    AUTO_BUFFER struct buffer out = {0};
    if (!json_is_integer(json_object_get(item, field))) {
        table_add(table, TEXT("never"));
        return;
    }
    display_time(&out, -field_int64(item, field) * 1000000, 0);
    table_add(table, buffer_text(&out));
}

static const struct table_column HUB_COLUMNS[] = {
    {"HUB", false, true}, {"URL", false, true}, {"MODE", false, false},  {"STATE", false, false},
    {"IN", false, false}, {"LOG", true, false}, {"HEARD", false, false}, {"PROBLEM", false, true},
};

static enum status add_hub(void *table, json_t *hub, struct error *error)
{
    (void)error;
    table_add(table, field_text(hub, "name"));
    int64_t lacking = field_int64(hub, "catching_up");
    table_add(table, field_text(hub, "url"));
    table_add(table, field_text(hub, "mode"));
    table_addf(table, "%.*s%s", TEXT_ARGS(field_text(hub, "state")),
               lacking > 0 ? ", catching up" : "");
    table_add(table, field_text(hub, "standing_there"));
    table_addf(table, "%lld%s", (long long)field_int64(hub, "serial_there"),
               field_bool(hub, "is_current") ? "" : "...");
    add_seconds_ago(table, hub, "heard_seconds");
    table_add(table, field_text(hub, "problem"));
    return OK;
}

static int run_hub_list(const struct command *command, const struct options *options)
{
    (void)command;
    return print_list(options, "/v1/hubs", "hubs", HUB_COLUMNS,
                      sizeof(HUB_COLUMNS) / sizeof(HUB_COLUMNS[0]), add_hub);
}

static const struct command_example HUB_LIST_EXAMPLES[] = {
    {"lode hub list", "lists the hubs with whether they have taken this site in"},
};

const struct command COMMAND_HUB_LIST = {
    .name = "hub list",
    .usage = "",
    .purpose = "lists the hubs of a site",
    .description =
        "IN is what the hub's operator says of this site: pending, member or denied. LOG is how "
        "many entries of this site's log the hub has; \"...\" says that there are more. A hub "
        "whose "
        "STATE says that it is catching up lacked entries of some sites' logs when it was last "
        "heard: what it answers may be incomplete, and others are asked first.",
    .group = GROUP_FEDERATION,
    .examples = EXAMPLES(HUB_LIST_EXAMPLES),
    .run = run_hub_list,
};

static void say_removed(const void *hub, const json_t *answer, struct buffer *out)
{
    (void)answer;
    buffer_printf(out, "%s is no hub of this site any more\n", (const char *)hub);
}

static int run_hub_remove(const struct command *command, const struct options *options)
{
    (void)command;
    const char *hub = options->operands[0];
    AUTO_FREE char *path = contact_path("hubs", hub, "");
    return print_request(options, &(struct request){"DELETE", path, NULL}, say_removed, hub);
}

static const struct command_example HUB_REMOVE_EXAMPLES[] = {
    {"lode hub remove https://hub.example.org:7733",
     "tells that hub nothing any more; what it has it keeps"},
};

const struct command COMMAND_HUB_REMOVE = {
    .name = "hub remove",
    .usage = "HUB",
    .purpose = "tells a hub nothing any more",
    .description = "HUB is its name, URL, fingerprint, or the first 8 digits of that or more.",
    .group = GROUP_FEDERATION,
    .examples = EXAMPLES(HUB_REMOVE_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_hub_remove,
};

static const struct table_column SITE_COLUMNS[] = {
    {"SITE", false, true},         {"STATE", false, false},  {"IN", false, false},
    {"LOAD", true, false},         {"CPUS", true, false},    {"HEARD", false, false},
    {"CLOCK", true, false},        {"BY", false, true},      {"VERSION", false, true},
    {"FINGERPRINT", false, false}, {"PROBLEM", false, true},
};

enum { DIGITS_SHOWN = 23 }; // "sha256:" and 16 digits, as in errors.

static void add_standing(struct table *table, const json_t *site)
{
    struct text standing = field_text(site, "standing");
    struct text there = field_text(site, "standing_by_hub");
    if (!text_equal(standing, TEXT("unknown"))) {
        table_add(table, standing);
    } else if (field_bool(site, "is_vouched")) {
        table_add(table, TEXT("by hub"));
    } else if (there.length > 0 && !text_equal(there, TEXT("unknown"))) {
        table_addf(table, "%.*s by hub", TEXT_ARGS(there));
    } else {
        table_add(table, standing);
    }
}

static void add_load(struct table *table, const json_t *site)
{
    const json_t *load = json_object_get(site, "load");
    if (!json_is_number(load)) {
        table_add(table, TEXT("-"));
        table_add(table, TEXT("-"));
        return;
    }
    table_addf(table, "%.0f%%", 100 * json_number_value(load));
    table_addf(table, "%lld", (long long)field_int64(site, "cpus"));
}

static void add_clock(struct table *table, const json_t *site)
{
    const json_t *offset = json_object_get(site, "clock_offset_seconds");
    if (json_is_number(offset)) {
        table_addf(table, "%+.1f s", json_number_value(offset));
    } else {
        table_add(table, TEXT("-"));
    }
}

static void add_site(struct table *table, const json_t *site)
{
    struct text by_hub = field_text(site, "by_hub");
    table_add(table, field_text(site, "name"));
    table_add(table, field_text(site, "state"));
    add_standing(table, site);
    add_load(table, site);
    add_seconds_ago(table, site, "heard_seconds");
    add_clock(table, site);
    table_add(table, by_hub.length > 0 ? by_hub : TEXT("-"));
    table_add(table, field_text(site, "version"));
    table_add(table, text_slice(field_text(site, "fingerprint"), 0, DIGITS_SHOWN));
    bool is_lacking = field_bool(site, "is_lacking") && field_text(site, "problem").length == 0;
    table_add(table,
              is_lacking ? TEXT("its log is not all here yet") : field_text(site, "problem"));
}

// To people, beside the list: what keeps it from being what the hubs see now.
static void say_overview(const json_t *overview)
{
    size_t at = 0;
    const json_t *problem = NULL;
    bool is_memory = text_equal(field_text(overview, "source"), TEXT("memory"));
    int64_t lacking = field_int64(overview, "catching_up");
    if (lacking > 0) {
        (void)fprintf(stderr,
                      "lode: this hub still lacks entries of the logs of %lld site%s: what it "
                      "answers about data may be incomplete\n",
                      (long long)lacking, lacking == 1 ? "" : "s");
    }
    json_array_foreach(json_object_get(overview, "problems"), at, problem)
    {
        AUTO_BUFFER struct buffer words = {0};
        display_text(&words, json_text(problem));
        (void)fprintf(stderr, "lode: %s\n", words.bytes ? words.bytes : "");
    }
    if (is_memory && json_is_integer(json_object_get(overview, "age_seconds"))) {
        (void)fprintf(
            stderr,
            "lode: no hub tells how the others are: this is what the site itself knows, and "
            "what a hub told %lld s ago\n",
            (long long)field_int64(overview, "age_seconds"));
    } else if (is_memory) {
        (void)fputs("lode: no hub tells how the others are: this is what the site itself knows\n",
                    stderr);
    } else if (overview && !field_bool(overview, "is_complete")) {
        (void)fputs("lode: the hub knows more sites than it told in the time: ask again\n", stderr);
    }
}

// All sites, and how the first page came about.
static enum status list_sites(struct contact *contact, json_t **out, struct error *error)
{
    AUTO_BUFFER struct buffer cursor = {0};
    AUTO_JSON json_t *all = json_array();
    AUTO_JSON json_t *overview = NULL;
    do {
        AUTO_JSON json_t *page = NULL;
        TRY(contact_page(contact, "/v1/sites", "sites", &cursor, &page, error));
        (void)json_array_extend(all, json_object_get(page, "sites"));
        if (!overview) {
            overview = json_incref(json_object_get(page, "overview"));
        }
    } while (cursor.length > 0);
    *out = json_pack("{s:O, s:O?}", "sites", all, "overview", overview);
    return OK;
}

static int run_sites(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    AUTO_JSON json_t *answer = NULL;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    if (contact_open(options, &contact, &error) != OK ||
        list_sites(&contact, &answer, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    say_overview(json_object_get(answer, "overview"));
    if (options_has(options, "json")) {
        return print_json(answer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    size_t at = 0;
    const json_t *site = NULL;
    struct table *table = table_new(SITE_COLUMNS, sizeof(SITE_COLUMNS) / sizeof(SITE_COLUMNS[0]));
    json_array_foreach(json_object_get(answer, "sites"), at, site)
    {
        add_site(table, site);
    }
    return print_table(table) ? EXIT_SUCCESS : EXIT_FAILED;
}

static const struct command_example SITES_EXAMPLES[] = {
    {"lode sites", "lists the other sites with their state, load and clock"},
    {"lode sites --json", "the same with everything that is known of them"},
};

const struct command COMMAND_SITES = {
    .name = "sites",
    .usage = "",
    .purpose = "lists the other sites, as the site and its hubs see them",
    .description =
        "At a hub these are the sites that it hears. Any other site asks its hubs, in turn and for "
        "3 s at most, and verifies what each site has signed of itself; when no hub tells "
        "anything, what the site itself knows is listed, with that said. STATE is up, stale or "
        "down by when the site was last heard; never: not yet. IN is what this site's operator "
        "says "
        "of it; where nothing, what the hub says (\"by hub\": it is a member there). CLOCK is by "
        "how much its "
        "clock is ahead, as the site or the hub measured it. BY is the hub by whose word STATE and "
        "HEARD are; \"-\": the site has heard it itself, or nobody has told of it.",
    .group = GROUP_FEDERATION,
    .examples = EXAMPLES(SITES_EXAMPLES),
    .run = run_sites,
};

static void say_standing(const void *standing, const json_t *answer, struct buffer *out)
{
    display_text(out, field_text(answer, "name"));
    buffer_printf(out, " (%.*s) is %s\n", TEXT_ARGS(field_text(answer, "fingerprint")),
                  (const char *)standing);
}

static int set_standing(const struct options *options, const char *standing)
{
    AUTO_JSON json_t *body = json_pack("{s:s}", "standing", standing);
    AUTO_FREE char *path = contact_path("sites", options->operands[0], "/standing");
    return print_request(options, &(struct request){"POST", path, body}, say_standing, standing);
}

static int run_accept(const struct command *command, const struct options *options)
{
    (void)command;
    return set_standing(options, "member");
}

static int run_deny(const struct command *command, const struct options *options)
{
    (void)command;
    return set_standing(options, "denied");
}

#define NAMING                                                                                     \
    "SITE is its name, fingerprint, or the first 8 digits of that or "                             \
    "more. Compare the fingerprint with what its "                                                 \
    "operator says: a name can be claimed by anybody."

static const char DENYING[] = NAMING;
static const char ACCEPTING[] =
    "A member's users may run jobs here, and at the sites that have added this hub.\n\n" NAMING;

static const struct command_example ACCEPT_EXAMPLES[] = {
    {"lode sites accept ocean", "takes the site ocean in as a member of this hub"},
};

const struct command COMMAND_SITES_ACCEPT = {
    .name = "sites accept",
    .usage = "SITE",
    .purpose = "takes a site in as a member",
    .description = ACCEPTING,
    .group = GROUP_FEDERATION,
    .examples = EXAMPLES(ACCEPT_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_accept,
};

static const struct command_example DENY_EXAMPLES[] = {
    {"lode sites deny 9f86d081", "refuses that site everything, by its key"},
};

const struct command COMMAND_SITES_DENY = {
    .name = "sites deny",
    .usage = "SITE",
    .purpose = "refuses a site everything",
    .description = DENYING,
    .group = GROUP_FEDERATION,
    .examples = EXAMPLES(DENY_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_deny,
};
