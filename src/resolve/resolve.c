#include "resolve/resolve.h"

#include "base/memory.h"
#include "os/clock.h"
#include "resolve/distances.h"
#include "resolve/hubs.h"
#include "resolve/recall.h"
#include "resolve/resolution.h"
#include "resolve/unknown.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    UNKNOWN_MAX = 4096,  // Names that are known to be unknown.
    SAID_SIZE_MAX = 360, // Bytes of a message about hubs.
    SAID_NAME_MAX = 120, // Of an identifier in it.
    REMEMBER_AGAIN_S =
        150, // An answer that did not change is written again when it is older than this.
    PROBLEMS_MAX = 8,
};

struct resolver {
    struct resolver_options options;
    struct recall *recall;
    struct hubs *hubs;
    struct distances *distances;
    _Atomic int asking;
    pthread_mutex_t mutex; // Guards `unknown`.
    struct unknown_names *unknown;
};

enum status resolver_open(const struct resolver_options *options, struct resolver **out,
                          struct error *error)
{
    struct recall *recall = NULL;
    TRY(recall_open(options->store, RESOLVE_REMEMBERED_MAX, &recall, error));
    struct resolver *resolver = NEW(struct resolver);
    resolver->options = *options;
    resolver->recall = recall;
    resolver->hubs = hubs_new(options->directory);
    resolver->distances =
        distances_new(options->directory, options->ops->note_distance, options->context);
    resolver->unknown = unknown_names_new(UNKNOWN_MAX);
    (void)pthread_mutex_init(&resolver->mutex, NULL);
    *out = resolver;
    return OK;
}

void resolver_close(struct resolver *resolver)
{
    if (!resolver) {
        return;
    }
    recall_close(resolver->recall);
    hubs_free(resolver->hubs);
    distances_free(resolver->distances);
    unknown_names_free(resolver->unknown);
    (void)pthread_mutex_destroy(&resolver->mutex);
    free(resolver);
}

// --- own catalogue and index

struct question;

struct visited_entry {
    const struct resolver *resolver;
    struct resolution *resolution;
    struct question *question; // NULL: on the fast path.
    struct text entry;
};

static void add_site(struct question *question, struct text entry, const struct resolve_site *site);

static void visit_site(void *visitor, const struct resolve_site *site)
{
    const struct visited_entry *visited = visitor;
    if (visited->question) {
        add_site(visited->question, visited->entry, site);
    } else {
        resolution_add(visited->resolution, visited->entry, site);
    }
}

static void visit_entry(void *context, const struct mirror_entry *entry)
{
    struct visited_entry *visited = context;
    const struct resolver_options *options = &visited->resolver->options;
    visited->entry = entry->entry;
    // A site that is not known has no key to verify with, so nobody could use it.
    (void)options->ops->visit_site(options->context, entry->site_number, visit_site, visited);
}

static void add_index(const struct resolver *resolver, struct text name,
                      struct resolution *resolution, struct question *question)
{
    struct visited_entry visited = {
        .resolver = resolver, .resolution = resolution, .question = question};
    (void)mirror_find(resolver->options.mirror, name, RESOLVE_LOCATIONS_MAX, visit_entry, &visited);
}

// Where the locations are from when no hub was asked.
static const char *local_source(const struct resolution *resolution)
{
    return resolution->count > 1 || !resolution_has_own(resolution) ? "index" : "own";
}

bool resolver_answer_fast(struct resolver *resolver, struct text name, bool only_others,
                          struct buffer *out)
{
    const struct resolver_options *options = &resolver->options;
    if (!options->mirror || !options->ops->index_has_own(options->context)) {
        return false;
    }
    AUTO_RESOLUTION struct resolution resolution;
    resolution_init(&resolution);
    add_index(resolver, name, &resolution, NULL);
    if (resolution.count == 0 || (only_others && resolution_has_own(&resolution))) {
        return false;
    }
    const struct resolution_origin origin = {.source = local_source(&resolution)};
    resolution_write(&resolution, &origin, out);
    return true;
}

// --- the whole answer

// One question on its way to its answer.
struct question {
    struct resolver *resolver;
    struct text name;
    enum resolve_reach reach;
    struct arena arena;
    struct resolution resolution;
    struct remembered remembered;
    struct location *before; // What is remembered, verified.
    size_t before_count;
    int64_t now_us;         // Wall clock.
    struct buffer asked;    // Names of hubs that answered,
    struct buffer unasked;  // and of those that did not, with why.
    struct buffer problems; // What hubs lied about, as JSON texts.
    size_t problem_count;
    size_t hub_count;
    size_t answered_count;
    size_t lied_count;
    struct location *rest; // What held in the first answer in which something did not,
    size_t rest_count;
    const char *rest_hub; // and who gave it.
    bool is_measuring;    // What is far is to be measured,
    int64_t measuring_us; // waiting for so long.
    struct distance_target targets[DISTANCES_WANTED_MAX];
    size_t target_count;
};

static void note_target(struct question *question, const struct resolve_site *site)
{
    size_t length = strlen(site->url);
    bool is_down = site->liveness_rank >= resolve_liveness_rank(TEXT("down"));
    if (is_down || length == 0 || length >= RESOLVE_URL_SIZE ||
        question->target_count == DISTANCES_WANTED_MAX) {
        return;
    }
    struct distance_target *target = &question->targets[question->target_count++];
    target->site = site->site;
    memcpy(target->url, site->url, length + 1);
}

// A site that nobody else has measured is as far as it was measured for an earlier answer.
static void add_site(struct question *question, struct text entry, const struct resolve_site *site)
{
    struct resolve_site known = *site;
    if (!site->is_self) {
        int64_t rtt_us = distances_find(question->resolver->distances, &site->site);
        known.rtt_us = site->rtt_us >= 0 ? site->rtt_us : rtt_us;
        if (question->is_measuring && (site->rtt_us < 0 || rtt_us >= 0)) {
            note_target(question, site);
        }
    }
    resolution_add(&question->resolution, entry, &known);
}

static void measure(struct question *question)
{
    struct distances *distances = question->resolver->distances;
    int64_t until_us = question->measuring_us > 0 ? clock_steady_us() + question->measuring_us : 0;
    if (question->target_count == 0) {
        return;
    }
    distances_want(distances, question->targets, question->target_count, until_us);
    for (size_t i = 0; i < question->target_count; i++) {
        const struct fingerprint *site = &question->targets[i].site;
        resolution_set_distance(&question->resolution, site, distances_find(distances, site));
    }
}

static void question_done(struct question *question)
{
    arena_done(&question->arena);
    resolution_done(&question->resolution);
    buffer_done(&question->asked);
    buffer_done(&question->unasked);
    buffer_done(&question->problems);
}

static enum status add_own(struct question *question, struct error *error)
{
    const struct resolver_options *options = &question->resolver->options;
    if (!options->ops->has_own(options->context)) {
        return OK;
    }
    AUTO_BUFFER struct buffer entry = {0};
    enum status status = options->ops->own_entry(options->context, question->name, &entry, error);
    if (status == NOT_FOUND) {
        return OK;
    }
    TRY(status);
    AUTO_JSON json_t *object = NULL;
    struct fingerprint self = {0};
    TRY(json_parse(buffer_text(&entry), &object, error));
    struct text site = json_text(json_object_get(object, "site"));
    memcpy(self.text, site.bytes ? site.bytes : "",
           site.length < sizeof self.text ? site.length : sizeof self.text - 1);
    struct visited_entry visited = {.question = question, .entry = buffer_text(&entry)};
    (void)options->ops->visit_fingerprint(options->context, &self, visit_site, &visited);
    return OK;
}

struct visited_location {
    struct question *question;
    const struct location *location;
    bool has_hints;
};

// A site that is known here, but was not heard here, is as the other says that it is: what a hub once said of it may be old.
static void visit_known_site(void *visitor, const struct resolve_site *known)
{
    const struct visited_location *visited = visitor;
    const struct location *location = visited->location;
    struct resolve_site site = *known;
    if (visited->has_hints && !known->is_self && !known->is_heard) {
        site.liveness = location->liveness;
        site.liveness_rank = resolve_liveness_rank(text_of(location->liveness));
        site.heard_seconds = location->heard_seconds;
        site.load_permille = location->load_permille;
    }
    add_site(visited->question, location->entry, &site);
}

// A location of somebody else's answer: what this site knows of the site itself counts for more than what the other says of it.
static void add_location(struct question *question, const struct location *location, bool has_hints)
{
    const struct resolver_options *options = &question->resolver->options;
    struct visited_location visited = {question, location, has_hints};
    if (options->ops->visit_fingerprint(options->context, &location->site, visit_known_site,
                                        &visited)) {
        return;
    }
    const struct resolve_site site = {
        .site = location->site,
        .key = location->key,
        .name = location->name,
        .url = location->url,
        .standing = has_hints ? location->standing : "unknown",
        .liveness = has_hints ? location->liveness : "unknown",
        .liveness_rank = resolve_liveness_rank(has_hints ? text_of(location->liveness) : TEXT_NONE),
        .heard_seconds = has_hints ? location->heard_seconds : -1,
        .load_permille = has_hints ? location->load_permille : -1,
        .rtt_us = -1,
    };
    add_site(question, location->entry, &site);
}

static void add_locations(struct question *question, const struct location *locations, size_t count,
                          bool has_hints)
{
    for (size_t i = 0; i < count; i++) {
        add_location(question, &locations[i], has_hints);
    }
}

static void write_answer(struct question *question, const char *source, const char *hub,
                         int64_t age_us, struct buffer *out)
{
    measure(question);
    const struct resolution_origin origin = {
        .source = source,
        .hub = hub,
        .age_seconds = age_us > 0 ? age_us / 1000000 : 0,
        .problems = buffer_text(&question->problems),
    };
    resolution_write(&question->resolution, &origin, out);
}

static int64_t remembered_age(const struct question *question)
{
    return question->now_us - question->remembered.answered_us;
}

static void load_remembered(struct question *question)
{
    struct error ignored;
    struct error problem;
    // What cannot be read or does not verify any more is as good as not remembered.
    if (recall_find(question->resolver->recall, question->name, &question->arena,
                    &question->remembered, &ignored) != OK ||
        question->remembered.document.length == 0 ||
        resolve_read_answer(question->remembered.document, question->name, &question->arena,
                            &question->before, &question->before_count, &problem, &ignored) != OK) {
        question->before_count = 0;
    }
}

static bool is_fresh(const struct question *question)
{
    int64_t age_us = remembered_age(question);
    return question->before_count > 0 && age_us >= 0 &&
           age_us < (int64_t)RESOLVE_TTL_SECONDS * 1000000;
}

static bool answer_from_memory(struct question *question, struct buffer *out)
{
    size_t own = question->resolution.count;
    add_locations(question, question->before, question->before_count, false);
    if (question->resolution.count == own) {
        return false;
    }
    write_answer(question, "memory", NULL, remembered_age(question), out);
    return true;
}

// What is kept of an answer: what is signed, and how to reach and verify it. The rest would be old news.
static void write_kept(const struct location *locations, size_t count, struct buffer *out)
{
    buffer_append_string(out, "{\"locations\":[");
    for (size_t i = 0; i < count; i++) {
        const struct location *each = &locations[i];
        char key[PUBLIC_KEY_TEXT_SIZE];
        public_key_to_text(&each->key, key);
        buffer_append_string(out, i > 0 ? ",{\"entry\":" : "{\"entry\":");
        buffer_append_text(out, each->entry);
        buffer_printf(out, ",\"public_key\":\"%s\",\"name\":", key);
        buffer_append_json_string(out, text_of(each->name));
        buffer_append_string(out, ",\"url\":");
        buffer_append_json_string(out, text_of(each->url));
        buffer_append_byte(out, '}');
    }
    buffer_append_string(out, "]}");
}

static void remember(struct question *question, const struct location *locations, size_t count)
{
    AUTO_BUFFER struct buffer kept = {0};
    write_kept(locations, count, &kept);
    int64_t age_us = remembered_age(question);
    bool is_recent = age_us >= 0 && age_us < (int64_t)REMEMBER_AGAIN_S * 1000000;
    if (!is_recent || !text_equal(buffer_text(&kept), question->remembered.document)) {
        recall_save(question->resolver->recall, question->name, buffer_text(&kept),
                    question->now_us);
    }
}

static void note_problem(struct question *question, const struct resolve_hub *hub,
                         const struct error *problem)
{
    question->lied_count++;
    if (question->problem_count == PROBLEMS_MAX) {
        return;
    }
    const char *words = arena_format(&question->arena, "hub %s (%s) is not to be believed: %s",
                                     hub->name, hub->site.text, problem->detail);
    buffer_append_string(&question->problems, question->problem_count++ > 0 ? "," : "");
    buffer_append_json_string(&question->problems, text_of(words));
    buffer_printf(&question->asked, "%s%s (its answer does not hold)",
                  question->asked.length > 0 ? ", " : "", hub->name);
}

static void note_unasked(struct question *question, const struct resolve_hub *hub,
                         const struct error *error)
{
    buffer_printf(&question->unasked, "%s%s (%.100s)", question->unasked.length > 0 ? ", " : "",
                  hub->name, error->detail);
}

// Reads a hub's answer; true when all of it holds, and it is remembered then.
static bool take_answer(struct question *question, const struct resolve_hub *hub,
                        struct text document)
{
    struct location *locations = NULL;
    size_t count = 0;
    struct error problem = {0};
    struct error error = {0};
    if (resolve_read_answer(document, question->name, &question->arena, &locations, &count,
                            &problem, &error) != OK) {
        note_problem(question, hub, &error);
        return false;
    }
    bool is_old = resolve_check_newer(locations, count, question->before, question->before_count,
                                      &error) != OK;
    if (problem.status != OK || is_old || count == 0) {
        if (problem.status == OK && !is_old) {
            (void)error_set(&error, CORRUPT, "it answered without a location");
        }
        note_problem(question, hub, problem.status != OK ? &problem : &error);
        if (!is_old && count > 0 && question->rest_count == 0) {
            question->rest = locations;
            question->rest_count = count;
            question->rest_hub = arena_copy(&question->arena, text_of(hub->name));
        }
        return false;
    }
    add_locations(question, locations, count, true);
    remember(question, locations, count);
    return true;
}

// Asks one hub; true when it gave a good answer, which is then in the resolution.
static bool ask_hub(struct question *question, const struct resolve_hub *hub, int64_t timeout_us)
{
    AUTO_BUFFER struct buffer document = {0};
    struct error error = {0};
    enum status status =
        hubs_ask(question->resolver->hubs, hub, question->name, timeout_us, &document, &error);
    if (status == OK) {
        question->answered_count++;
        return take_answer(question, hub, buffer_text(&document));
    }
    if (status == NOT_FOUND) {
        question->answered_count++;
        buffer_printf(&question->asked, "%s%s", question->asked.length > 0 ? ", " : "", hub->name);
        return false;
    }
    note_unasked(question, hub, &error);
    return false;
}

// Asks the hubs in turn, each for its part of the time that is left. *answerer gets the one whose answer holds; false when there is none.
static bool ask_hubs(struct question *question, const struct resolve_hub *hubs,
                     const struct resolve_hub **answerer)
{
    int64_t deadline_us = clock_steady_us() + RESOLVE_WAIT_US;
    for (size_t i = 0; i < question->hub_count; i++) {
        int64_t left_us = deadline_us - clock_steady_us();
        if (left_us <= 0) {
            struct error late;
            (void)error_set(&late, TIMEOUT, "no time was left");
            note_unasked(question, &hubs[i], &late);
        } else if (ask_hub(question, &hubs[i], left_us / (int64_t)(question->hub_count - i))) {
            *answerer = &hubs[i];
            return true;
        }
    }
    return false;
}

static enum status say_unknown(const struct question *question, struct error *error)
{
    struct text asked = text_slice(buffer_text(&question->asked), 0, SAID_SIZE_MAX / 2);
    struct text unasked = text_slice(buffer_text(&question->unasked), 0, SAID_SIZE_MAX / 2);
    struct text name = text_slice(question->name, 0, SAID_NAME_MAX);
    bool is_certain = question->answered_count > question->lied_count || question->hub_count == 0;
    enum status status = is_certain                     ? NOT_FOUND
                         : question->answered_count > 0 ? CORRUPT
                                                        : UNAVAILABLE;
    (void)error_set(error, status, "no dataset %.*s is known here%s%.*s%s%.*s", TEXT_ARGS(name),
                    question->hub_count == 0 ? ", and this site has no hub to ask"
                    : asked.length > 0       ? "; asked: "
                                             : "",
                    TEXT_ARGS(asked), unasked.length > 0 ? "; not to be asked: " : "",
                    TEXT_ARGS(unasked));
    if (status == UNAVAILABLE) {
        error_fix(error, "try again when a hub can be reached");
    } else if (question->hub_count == 0) {
        error_fix(error, "lode data list shows what there is; lode hub add URL adds a hub");
    }
    return status;
}

static bool was_unknown(struct question *question, struct error *error)
{
    struct resolver *resolver = question->resolver;
    struct error said;
    pthread_mutex_lock(&resolver->mutex);
    bool is_found = unknown_names_find(resolver->unknown, question->name, clock_steady_us(), &said);
    pthread_mutex_unlock(&resolver->mutex);
    if (is_found && error) {
        *error = said;
    }
    return is_found;
}

// Only when every hub said so: one that was not reached may know it.
static void note_unknown(struct question *question, const struct error *said)
{
    struct resolver *resolver = question->resolver;
    if (question->unasked.length > 0 || question->lied_count > 0) {
        return;
    }
    int64_t until_us = clock_steady_us() + (int64_t)RESOLVE_UNKNOWN_TTL_SECONDS * 1000000;
    pthread_mutex_lock(&resolver->mutex);
    unknown_names_add(resolver->unknown, question->name, said, until_us);
    pthread_mutex_unlock(&resolver->mutex);
}

static void forget_unknown(struct question *question)
{
    struct resolver *resolver = question->resolver;
    pthread_mutex_lock(&resolver->mutex);
    unknown_names_remove(resolver->unknown, question->name);
    pthread_mutex_unlock(&resolver->mutex);
}

// The best that is left when no hub gave an answer that holds.
static enum status answer_without_hubs(struct question *question, struct buffer *out,
                                       struct error *error)
{
    bool has_own = question->resolution.count > 0;
    // A hub that says that there is none is believed, unlike one that is silent or lies.
    bool is_denied = question->answered_count > question->lied_count;
    if (!is_denied && answer_from_memory(question, out)) {
        return OK;
    }
    add_locations(question, question->rest, question->rest_count, true);
    if (question->resolution.count > 0) {
        bool is_own = has_own && question->rest_count == 0;
        write_answer(question, is_own ? "own" : "hub", is_own ? NULL : question->rest_hub, 0, out);
        return OK;
    }
    struct error said = {0};
    enum status status = say_unknown(question, &said);
    if (status == NOT_FOUND) {
        note_unknown(question, &said);
    }
    if (error) {
        *error = said;
    }
    return status;
}

// While others are asking as many hubs as there may be: what is known without.
static enum status answer_while_busy(struct question *question, struct buffer *out,
                                     struct error *error)
{
    if (question->resolution.count == 0 && question->before_count == 0) {
        (void)error_set(error, BUSY, "hubs are being asked about other datasets");
        error_fix(error, "try again in a moment");
        return BUSY;
    }
    return answer_without_hubs(question, out, error);
}

static enum status ask_others(struct question *question, struct buffer *out, struct error *error)
{
    struct resolver *resolver = question->resolver;
    struct resolve_hub hubs[RESOLVE_HUBS_MAX];
    const struct resolve_hub *answerer = NULL;
    question->hub_count =
        resolver->options.ops->hubs(resolver->options.context, hubs, RESOLVE_HUBS_MAX);
    bool may_ask = atomic_fetch_add(&resolver->asking, 1) < RESOLVE_ASKING_MAX;
    bool is_found = may_ask && ask_hubs(question, hubs, &answerer);
    atomic_fetch_sub(&resolver->asking, 1);
    if (!may_ask) {
        return answer_while_busy(question, out, error);
    }
    if (is_found) {
        forget_unknown(question);
        write_answer(question, "hub", answerer->name, 0, out);
        return OK;
    }
    return answer_without_hubs(question, out, error);
}

static enum status answer(struct question *question, struct buffer *out, struct error *error)
{
    struct resolver *resolver = question->resolver;
    TRY(add_own(question, error));
    if (resolver->options.mirror) {
        add_index(resolver, question->name, &question->resolution, question);
    }
    bool has_some = question->resolution.count > 0;
    if (has_some && (resolver->options.mirror || question->reach == RESOLVE_HERE)) {
        write_answer(question, local_source(&question->resolution), NULL, 0, out);
        return OK;
    }
    if (question->reach == RESOLVE_HERE) {
        struct text name = text_slice(question->name, 0, SAID_NAME_MAX);
        return error_set(error, NOT_FOUND, "no dataset %.*s is known here", TEXT_ARGS(name));
    }
    load_remembered(question);
    if (question->reach == RESOLVE_ASKS && is_fresh(question) &&
        answer_from_memory(question, out)) {
        return OK;
    }
    if (question->reach == RESOLVE_ASKS && was_unknown(question, has_some ? NULL : error)) {
        if (!has_some) {
            return NOT_FOUND;
        }
        write_answer(question, "own", NULL, 0, out);
        return OK;
    }
    return ask_others(question, out, error);
}

static enum status ask(struct question *question, struct buffer *out, struct error *error)
{
    question->now_us = clock_real_us();
    resolution_init(&question->resolution);
    enum status status = answer(question, out, error);
    question_done(question);
    return status;
}

enum status resolver_ask(struct resolver *resolver, struct text name, enum resolve_reach reach,
                         struct buffer *out, struct error *error)
{
    struct question question = {.resolver = resolver, .name = name, .reach = reach};
    return ask(&question, out, error);
}

enum status resolver_ask_measuring(struct resolver *resolver, struct text name,
                                   enum resolve_reach reach, int64_t wait_us, struct buffer *out,
                                   struct error *error)
{
    struct question question = {.resolver = resolver,
                                .name = name,
                                .reach = reach,
                                .is_measuring = true,
                                .measuring_us = wait_us};
    return ask(&question, out, error);
}

void resolver_write_hubs(struct resolver *resolver, struct buffer *out)
{
    struct resolve_hub hubs[RESOLVE_HUBS_MAX];
    size_t count = resolver->options.ops->hubs(resolver->options.context, hubs, RESOLVE_HUBS_MAX);
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_printf(out, "%s{\"site\":\"%s\",\"name\":", i > 0 ? "," : "", hubs[i].site.text);
        buffer_append_json_string(out, text_of(hubs[i].name));
        buffer_append_string(out, ",\"url\":");
        buffer_append_json_string(out, text_of(hubs[i].url));
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
}
