// `lode resolve`: where a dataset is, as the sites that have it have signed it.
//
// The user's site is asked; when it is away, the hubs that it told of; when none of them answers, what was remembered counts, with its age. Whoever
// answers, every entry is verified here.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/remembered.h"

#include "base/hex.h"
#include "base/memory.h"
#include "catalog/identifier.h"
#include "ledger/statement.h"
#include "os/clock.h"
#include "resolve/claims.h"

#include <stdio.h>

enum {
    SITE_TIMEOUT_US = 15000000, // The site itself waits up to 3 s for its hubs.
    HUB_TIMEOUT_US = 5000000,
    SHORT_FINGERPRINT = 23, // "sha256:" and 16 digits. Of digests, too.
};

// One question on its way to an answer that holds.
struct finding {
    struct identifier name;
    const struct options *options;
    struct arena arena;
    json_t *answer; // With the locations that hold; NULL: none yet.
    struct location *locations;
    size_t count;
    struct location *before; // What is remembered.
    size_t before_count;
    json_t *remembered;
    int64_t remembered_us;
    struct fingerprint self; // Of the user's own site; empty: not known.
    json_t *problems;        // What did not hold, in words.
};

static void finding_done(struct finding *finding)
{
    arena_done(&finding->arena);
    json_decref(finding->answer);
    json_decref(finding->remembered);
    json_decref(finding->problems);
}

static void note_problem(struct finding *finding, const char *who, const struct error *problem)
{
    const char *words = arena_format(&finding->arena, "the answer of %s: %s", who, problem->detail);
    (void)json_array_append_new(finding->problems, json_from_text(text_of(words)));
}

// Leaves only those locations in the answer that were verified, which are in the same order.
static void keep_verified(struct finding *finding, json_t *answer)
{
    json_t *locations = json_object_get(answer, "locations");
    size_t at = 0;
    for (size_t i = 0; i < finding->count; i++) {
        bool is_found = false;
        while (!is_found && at < json_array_size(locations)) {
            AUTO_BUFFER struct buffer entry = {0};
            const json_t *said = json_object_get(json_array_get(locations, at), "entry");
            is_found = statement_write_canonical(said, &entry, NULL) == OK &&
                       text_equal(buffer_text(&entry), finding->locations[i].entry);
            if (is_found) {
                at++;
            } else {
                (void)json_array_remove(locations, at);
            }
        }
    }
    while (json_array_size(locations) > at) {
        (void)json_array_remove(locations, at);
    }
}

// What was answered by `who`. True when some of it holds; it is the finding's answer now, unless there is one of somebody who lacks no more of the logs.
static bool take_answer(struct finding *finding, const char *who, struct text document)
{
    struct error problem = {0};
    struct error error = {0};
    struct location *locations = NULL;
    size_t count = 0;
    json_t *answer = NULL;
    struct text name = identifier_text(&finding->name);
    if (resolve_read_answer(document, name, &finding->arena, &locations, &count, &problem,
                            &error) != OK ||
        json_parse(document, &answer, &error) != OK) {
        note_problem(finding, who, &error);
        return false;
    }
    if (problem.status != OK) {
        note_problem(finding, who, &problem);
    }
    enum status newer =
        resolve_check_newer(locations, count, finding->before, finding->before_count, &error);
    if (newer != OK) {
        note_problem(finding, who, &error);
    }
    if (newer != OK || count == 0) {
        json_decref(answer);
        return false;
    }
    int64_t lacking = field_int64(answer, "catching_up");
    if (finding->answer && lacking >= field_int64(finding->answer, "catching_up")) {
        json_decref(answer);
        return true;
    }
    json_decref(finding->answer);
    finding->locations = locations;
    finding->count = count;
    finding->answer = answer;
    keep_verified(finding, answer);
    return true;
}

static void load_remembered(struct finding *finding)
{
    struct error problem = {0};
    struct text name = identifier_text(&finding->name);
    if (remembered_find(name, &finding->remembered, &finding->remembered_us, NULL) != OK) {
        return;
    }
    AUTO_BUFFER struct buffer text = {0};
    json_write(finding->remembered, false, &text);
    if (resolve_read_answer(buffer_text(&text), name, &finding->arena, &finding->before,
                            &finding->before_count, &problem, NULL) != OK ||
        problem.status != OK) {
        finding->before_count = 0;
    }
}

// Keeps a good new answer, and the hubs that came with it. That this fails is no reason to fail.
static void remember(const struct finding *finding)
{
    AUTO_JSON json_t *kept = json_copy(finding->answer);
    const json_t *hubs = json_object_get(kept, "hubs");
    if (json_array_size(hubs) > 0) {
        (void)remembered_save_hubs(hubs, NULL);
    }
    (void)json_object_del(kept, "hubs");
    int64_t age_us = field_int64(kept, "age_seconds") * 1000000;
    (void)remembered_save(identifier_text(&finding->name), kept, clock_real_us() - age_us, NULL);
}

static void write_path(const struct finding *finding, const char *query, struct buffer *path)
{
    bool is_anew = options_has(finding->options, "anew");
    buffer_append_string(path, "/v1/resolve/");
    percent_append(path, identifier_text(&finding->name));
    buffer_append_string(path, query);
    buffer_append_string(path, !is_anew ? "" : *query ? "&anew=true" : "?anew=true");
}

static enum status ask_site(struct finding *finding, struct error *error)
{
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_BUFFER struct buffer path = {0};
    AUTO_BUFFER struct buffer document = {0};
    enum status status = contact_open(finding->options, &contact, error);
    if (status != OK) {
        // No site runs here at present: as good as away.
        return status == NOT_FOUND ? UNAVAILABLE : status;
    }
    finding->self = contact.site.pin;
    write_path(finding, "?hubs=true&distances=true", &path);
    const struct http_ask ask = {.method = "GET",
                                 .path = path.bytes,
                                 .timeout_us = SITE_TIMEOUT_US,
                                 .answer_size_max = RESOLVE_ANSWER_SIZE_MAX};
    TRY(contact_ask(&contact, &ask, &document, error));
    if (!take_answer(finding, "the site", buffer_text(&document))) {
        return error_set(error, CORRUPT, "nothing that the site answered holds");
    }
    return OK;
}

static enum status ask_hub(struct finding *finding, const struct resolve_hub *hub,
                           struct error *error)
{
    AUTO_BUFFER struct buffer path = {0};
    AUTO_BUFFER struct buffer keep = {0};
    struct http_answer answer = {0};
    struct http_client *client = NULL;
    const struct http_client_options options = {
        .base_url = hub->url, .pin = hub->site.text, .connect_timeout_us = HUB_TIMEOUT_US};
    TRY(http_client_new(&options, &client, error));
    write_path(finding, "", &path);
    const struct http_ask ask = {.method = "GET",
                                 .path = path.bytes,
                                 .timeout_us = HUB_TIMEOUT_US,
                                 .answer_size_max = RESOLVE_ANSWER_SIZE_MAX};
    enum status status = http_client_ask(client, &ask, &keep, &answer, error);
    http_client_free(client);
    TRY(status);
    const char *who = arena_format(&finding->arena, "hub %s (%.*s)", hub->name, SHORT_FINGERPRINT,
                                   hub->site.text);
    if (!take_answer(finding, who, answer.body)) {
        return error_set(error, CORRUPT, "nothing that %s answered holds", who);
    }
    return OK;
}

// --hub URL: its key is that which was met before, or the one that it shows: what it answers is signed by others.
static enum status ask_named_hub(struct finding *finding, const char *url, struct error *error)
{
    struct site_address address;
    struct known_site known;
    struct resolve_hub hub = {0};
    AUTO_FREE char *folder = NULL;
    TRY(site_address_from_url(text_of(url), &address, error));
    TRY(site_choice_folder(&folder, error));
    (void)snprintf(hub.url, sizeof hub.url, "https://%s", address.text);
    (void)snprintf(hub.name, sizeof hub.name, "%.*s", (int)sizeof hub.name - 1, address.text);
    if (known_sites_find(folder, &address, &known, NULL) == OK) {
        hub.site = known.fingerprint;
    } else {
        TRY(http_client_fingerprint(hub.url, hub.site.text, error));
    }
    return ask_hub(finding, &hub, error);
}

// The site is away, or could ask nobody: the hubs that it told of, in turn, until one answers that has all logs. NOT_FOUND when one said so.
static enum status ask_known_hubs(struct finding *finding, struct error *error)
{
    struct resolve_hub hubs[RESOLVE_HUBS_MAX];
    size_t count = remembered_hubs(hubs, RESOLVE_HUBS_MAX);
    enum status status = UNAVAILABLE;
    struct error denial = {0};
    for (size_t i = 0; i < count; i++) {
        struct error failure = {0};
        enum status asked = ask_hub(finding, &hubs[i], &failure);
        if (asked == OK) {
            (void)fprintf(stderr, "lode: hub %s answers instead of the site: %s\n", hubs[i].name,
                          error->detail);
            status = OK;
        }
        if (asked == OK && field_int64(finding->answer, "catching_up") == 0) {
            return OK;
        }
        if (asked == NOT_FOUND && status != OK) {
            denial = failure;
            status = NOT_FOUND;
        }
    }
    if (status == NOT_FOUND) {
        *error = denial;
    }
    return status;
}

// Nobody answered: what is remembered.
static bool use_remembered(struct finding *finding, const struct error *error)
{
    if (finding->before_count == 0) {
        return false;
    }
    int64_t age_us = clock_real_us() - finding->remembered_us;
    json_t *answer = json_copy(finding->remembered);
    (void)json_object_set_new(answer, "source", json_string("memory"));
    (void)json_object_set_new(answer, "age_seconds",
                              json_integer(age_us > 0 ? age_us / 1000000 : 0));
    finding->answer = answer;
    finding->locations = finding->before;
    finding->count = finding->before_count;
    (void)fprintf(stderr, "lode: nobody answers: %s\n", error->detail);
    return true;
}

static enum status find(struct finding *finding, struct error *error)
{
    const char *hub = options_text(finding->options, "hub", NULL);
    load_remembered(finding);
    enum status status = hub ? ask_named_hub(finding, hub, error) : ask_site(finding, error);
    if (!hub && (contact_is_absence(status) || status == CORRUPT)) {
        enum status asked = ask_known_hubs(finding, error);
        status = asked == OK || asked == NOT_FOUND ? asked : status;
    }
    if (status == OK) {
        remember(finding);
        return OK;
    }
    if ((contact_is_absence(status) || status == CORRUPT) && use_remembered(finding, error)) {
        return OK;
    }
    return status;
}

static const struct table_column LOCATION_COLUMNS[] = {
    {"SITE", false, true},       {"STATE", false, false},   {"TIER", false, false},
    {"LIVENESS", false, false},  {"DISTANCE", true, false}, {"LOAD", true, false},
    {"TTL", true, false},        {"SIZE", true, false},     {"CONTENT", false, false},
    {"SIGNED BY", false, false}, {"PATH", false, true},
};

static void add_number(struct table *table, int64_t thousandths, const char *unit)
{
    if (thousandths < 0) {
        table_add(table, TEXT("-"));
    } else {
        table_addf(table, "%.2f%s", (double)thousandths / 1000, unit);
    }
}

static void add_site(struct table *table, const struct location *location)
{
    bool is_member = location->standing[0] == '\0' || strcmp(location->standing, "member") == 0 ||
                     strcmp(location->standing, "unknown") == 0;
    if (is_member) {
        table_add(table, text_of(location->name));
    } else {
        table_addf(table, "%s (%s)", location->name, location->standing);
    }
}

static void add_liveness(struct table *table, const struct location *location)
{
    bool is_quiet = location->heard_seconds >= 0 && strcmp(location->liveness, "up") != 0;
    AUTO_BUFFER struct buffer cell = {0};
    buffer_append_string(&cell, location->liveness);
    if (is_quiet) {
        buffer_append_string(&cell, ", heard ");
        display_duration(&cell, location->heard_seconds * 1000000);
        buffer_append_string(&cell, " ago");
    }
    table_add(table, buffer_text(&cell));
}

static void add_location(const struct finding *finding, struct table *table, size_t at)
{
    const struct location *location = &finding->locations[at];
    const json_t *said = json_array_get(json_object_get(finding->answer, "locations"), at);
    const json_t *root = json_array_get(json_object_get(said, "roots"), 0);
    int64_t ttl = field_int64(finding->answer, "ttl_seconds");
    int64_t left = ttl - field_int64(finding->answer, "age_seconds");
    add_site(table, location);
    table_add(table, text_of(location->state));
    table_add(table, text_of(location->tier));
    add_liveness(table, location);
    if (strcmp(location->site.text, finding->self.text) == 0) {
        table_add(table, TEXT("here"));
    } else {
        add_number(table, location->rtt_us, " ms");
    }
    add_number(table, location->load_permille, "");
    table_addf(table, "%lld s", (long long)(left > 0 ? left : 0));
    table_add_bytes(table, location->size_bytes);
    char digest[DIGEST_TEXT_SIZE];
    table_addf(table, "%.*s", SHORT_FINGERPRINT,
               location->has_digest ? digest_to_text(&location->digest, digest) : "-");
    table_addf(table, "%.*s", SHORT_FINGERPRINT, location->site.text);
    table_add(table, root ? field_text(root, "path") : TEXT("-"));
}

static void say_problems(const struct finding *finding)
{
    const json_t *lists[] = {json_object_get(finding->answer, "problems"), finding->problems};
    for (size_t list = 0; list < sizeof lists / sizeof lists[0]; list++) {
        for (size_t i = 0; i < json_array_size(lists[list]); i++) {
            AUTO_BUFFER struct buffer words = {0};
            display_text(&words, json_text(json_array_get(lists[list], i)));
            (void)fprintf(stderr, "lode: dropped: %s\n", words.bytes ? words.bytes : "");
        }
    }
}

static void say_one_age(const struct location *location)
{
    AUTO_BUFFER struct buffer words = {0};
    if (location->age_seconds == 0) {
        return;
    }
    display_text(&words, text_of(location->name));
    buffer_append_string(&words, " was last named ");
    display_duration(&words, location->age_seconds * 1000000);
    (void)fprintf(stderr, "lode: %.*s ago, and newer answers do not name it\n",
                  TEXT_ARGS(buffer_text(&words)));
}

static void say_lacking(const struct finding *finding)
{
    int64_t lacking = field_int64(finding->answer, "catching_up");
    if (lacking > 0) {
        (void)fprintf(stderr,
                      "lode: this answer may be incomplete: who gave it still lacks entries of the "
                      "logs of %lld site%s\n",
                      (long long)lacking, lacking == 1 ? "" : "s");
    }
}

// Who is not told by anybody but this site and its memory learns why.
static void say_unanswered(const struct finding *finding)
{
    struct text hubs = field_text(finding->answer, "unanswered");
    if (hubs.length > 0) {
        AUTO_BUFFER struct buffer words = {0};
        display_text(&words, hubs);
        (void)fprintf(stderr, "lode: not answered by %.*s\n", TEXT_ARGS(buffer_text(&words)));
    }
}

static void say_age(const struct finding *finding)
{
    say_unanswered(finding);
    for (size_t i = 0; i < finding->count; i++) {
        say_one_age(&finding->locations[i]);
    }
    int64_t age_seconds = field_int64(finding->answer, "age_seconds");
    bool is_remembered = text_equal(field_text(finding->answer, "source"), TEXT("memory"));
    if (is_remembered && age_seconds >= field_int64(finding->answer, "ttl_seconds")) {
        (void)fprintf(stderr, "lode: this answer is %lld minutes old\n",
                      (long long)(age_seconds / 60));
    } else if (is_remembered) {
        (void)fprintf(stderr, "lode: this answer is %lld seconds old\n", (long long)age_seconds);
    }
}

// Sites that say different content of one name: who says what since when, in whole.
static void say_conflict(const struct finding *finding)
{
    const struct claims claims = claims_compare(finding->locations, finding->count);
    const struct location *said[] = {claims.first, claims.other};
    if (!claims.other) {
        return;
    }
    (void)fprintf(stderr, "lode: sites say different content of %s:\n", finding->name.bytes);
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        AUTO_BUFFER struct buffer name = {0};
        char digest[DIGEST_TEXT_SIZE];
        display_text(&name, text_of(said[i]->name));
        buffer_printf(&name, " says %s since ", digest_to_text(&said[i]->digest, digest));
        display_text(&name, text_of(said[i]->said_at));
        (void)fprintf(stderr, "      %.*s, by its own clock\n", TEXT_ARGS(buffer_text(&name)));
    }
    (void)fprintf(stderr, "      a job must name the one that is meant: --data ID@DIGEST, or --at "
                          "SITE\n");
}

// The answer for programs: what was dropped here is told beside what the answering site dropped.
static bool print_finding(const struct finding *finding)
{
    AUTO_JSON json_t *answer = json_copy(finding->answer);
    AUTO_JSON json_t *problems = json_array();
    (void)json_array_extend(problems, json_object_get(answer, "problems"));
    (void)json_array_extend(problems, finding->problems);
    (void)json_object_set(answer, "problems", problems);
    (void)json_object_del(answer, "hubs");
    bool is_in_conflict = claims_compare(finding->locations, finding->count).other != NULL;
    (void)json_object_set_new(answer, "conflict", json_boolean(is_in_conflict));
    return print_json(answer);
}

static bool print_locations(const struct finding *finding)
{
    struct table *table =
        table_new(LOCATION_COLUMNS, sizeof(LOCATION_COLUMNS) / sizeof(LOCATION_COLUMNS[0]));
    for (size_t i = 0; i < finding->count; i++) {
        add_location(finding, table, i);
    }
    return print_table(table);
}

static int run_resolve(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error = {0};
    struct finding finding = {.options = options, .problems = json_array()};
    enum status status = identifier_parse(text_of(options->operands[0]), &finding.name, &error);
    if (status == OK) {
        status = find(&finding, &error);
    }
    say_problems(&finding);
    int exit_status = EXIT_FAILED;
    if (status != OK) {
        (void)command_fail(&error, EXIT_FAILED);
    } else {
        say_age(&finding);
        say_lacking(&finding);
        say_conflict(&finding);
        bool is_printed =
            options_has(options, "json") ? print_finding(&finding) : print_locations(&finding);
        exit_status = is_printed ? EXIT_SUCCESS : EXIT_FAILED;
    }
    finding_done(&finding);
    return exit_status;
}

static const struct command_option RESOLVE_OPTIONS[] = {
    {"hub", 0, OPTION_TEXT, "URL", "ask this hub or site instead of one's own; no login is needed",
     NULL},
    {"anew", 0, OPTION_FLAG, NULL, "ask hubs even when the site remembers a recent answer", NULL},
};

static const struct command_example RESOLVE_EXAMPLES[] = {
    {"lode resolve doi:10.5065/coads", "prints which sites have it, the best first"},
    {"lode resolve doi:10.5065/coads --hub https://hub.example.org:7733",
     "asks that hub, whether or not one's own site runs"},
};

const struct command COMMAND_RESOLVE = {
    .name = "resolve",
    .usage = "ID",
    .purpose = "says where a dataset is, at any site",
    .description =
        "Prints every replica that the site and its hubs know of, the best first, and verifies the "
        "signature of each site that says it has the data. What does not hold is left out, and it "
        "is said which entry and whose answer it was. LIVENESS is as STATE in lode sites; DISTANCE "
        "how long a small call to that site took lately; where the site knows it of none, it "
        "measures that, for which the command waits half a second at most.\n\n"
        "Any site may say that it has a dataset of any name. When sites say different content of "
        "one, this says so, and who said what first by the time in its signed entry; a job is "
        "refused then unless it names the digest or the site that is meant.\n\n"
        "A hub that has not all logs yet says so, as it has just been started or restored: then "
        "this says that the answer, or that there is none, may be incomplete.\n\n"
        "When the site is away, the hubs that it told of are asked; when none of them answers, the "
        "remembered answer counts, and its age is said.",
    .group = GROUP_DATA,
    .options = OPTION_TABLE(RESOLVE_OPTIONS),
    .examples = EXAMPLES(RESOLVE_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_resolve,
};
