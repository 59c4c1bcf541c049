// What is known of where a dataset is: the own catalogue, the index, and answers of others, with how far the sites are.
#include "resolve/question.h"

#include "base/memory.h"
#include "os/clock.h"

static const struct distance_target *find_target(const struct question *question,
                                                 const struct fingerprint *site)
{
    for (size_t i = 0; i < question->target_count; i++) {
        if (strcmp(question->targets[i].site.text, site->text) == 0) {
            return &question->targets[i];
        }
    }
    return NULL;
}

static void note_target(struct question *question, const struct resolve_site *site)
{
    size_t length = strlen(site->url);
    bool is_down = site->liveness_rank >= resolve_liveness_rank(TEXT("down"));
    if (is_down || length == 0 || length >= RESOLVE_URL_SIZE ||
        question->target_count == RESOLVE_LOCATIONS_MAX || find_target(question, &site->site)) {
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

struct visited_entry {
    const struct resolver *resolver;
    struct resolution *resolution;
    struct question *question; // NULL: on the fast path.
    struct text entry;
};

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

void gather_index(const struct resolver *resolver, struct text name, struct resolution *resolution,
                  struct question *question)
{
    struct visited_entry visited = {
        .resolver = resolver, .resolution = resolution, .question = question};
    (void)mirror_find(resolver->options.mirror, name, RESOLVE_LOCATIONS_MAX, visit_entry, &visited);
}

// The best of those whose distance is not known; what is left is for measuring others again.
static size_t choose_targets(const struct question *question, struct distance_target *out)
{
    const struct resolution *resolution = &question->resolution;
    size_t count = 0;
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < resolution->count && count < DISTANCES_WANTED_MAX; i++) {
            const struct resolution_location *each = &resolution->locations[i];
            bool is_known = each->rank.distance_class != DISTANCE_UNKNOWN;
            const struct distance_target *target =
                is_known == (again > 0) ? find_target(question, &each->site) : NULL;
            if (target) {
                out[count++] = *target;
            }
        }
    }
    return count;
}

void gather_distances(struct question *question)
{
    struct distances *distances = question->resolver->distances;
    struct distance_target targets[DISTANCES_WANTED_MAX];
    int64_t until_us = question->measuring_us > 0 ? clock_steady_us() + question->measuring_us : 0;
    size_t count = choose_targets(question, targets);
    if (count == 0) {
        return;
    }
    distances_want(distances, targets, count, until_us);
    for (size_t i = 0; i < count; i++) {
        const struct fingerprint *site = &targets[i].site;
        resolution_set_distance(&question->resolution, site, distances_find(distances, site));
    }
}

enum status gather_own(struct question *question, struct error *error)
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

// How old an entry is that newer answers omit; less than a second is one, lest it passes for one of the newest answer.
static int64_t age_of(const struct question *question, const struct location *location)
{
    int64_t age_us = question->now_us - location->told_us;
    return location->told_us <= 0 ? 0 : age_us > 1000000 ? age_us / 1000000 : 1;
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
    site.age_seconds = age_of(visited->question, location);
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
        .age_seconds = age_of(question, location),
    };
    add_site(question, location->entry, &site);
}

void gather_locations(struct question *question, const struct location *locations, size_t count,
                      bool has_hints)
{
    for (size_t i = 0; i < count; i++) {
        add_location(question, &locations[i], has_hints);
    }
}
