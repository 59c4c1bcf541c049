#include "fake_hub.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { HUBS = 2, OWN_NUMBER = 2, BUSY_MACHINE_US = 30000000 };

// A site that asks: what its parts say, and its hubs.
struct world {
    char folder[64];
    struct store *store;
    struct resolver *resolver;
    struct signer self;
    struct signer ocean; // A site that has data.
    struct signer ice;   // Another one.
    struct buffer own;   // The own entry; empty: none.
    bool own_is_indexed; // Does index_has_own say so?
    bool knows_ocean;
    _Atomic int distances_noted;
    struct fake_hub hubs[HUBS];
    size_t hub_count;
    struct mirror *mirror;
};

// The index of the hub under test: what mirror_find answers.
struct mirror {
    struct fingerprint site;
    struct buffer entry;
    const struct buffer *own; // Ours, under OWN_NUMBER; NULL or empty: none.
};

size_t mirror_find(struct mirror *mirror, struct text name, size_t max,
                   void (*visit)(void *context, const struct mirror_entry *entry), void *context)
{
    size_t count = 0;
    if (max < 2 || !text_equal(name, TEXT("doi:10.1/a"))) {
        return 0;
    }
    if (mirror->entry.length > 0) {
        const struct mirror_entry entry = {
            .site = &mirror->site, .site_number = 1, .entry = buffer_text(&mirror->entry)};
        visit(context, &entry);
        count++;
    }
    if (mirror->own && mirror->own->length > 0) {
        const struct mirror_entry entry = {.site_number = OWN_NUMBER,
                                           .entry = buffer_text(mirror->own)};
        visit(context, &entry);
        count++;
    }
    return count;
}

static bool visit_number(void *context, uint32_t number,
                         void (*visit)(void *visitor, const struct resolve_site *site),
                         void *visitor)
{
    const struct world *world = context;
    struct resolve_site site = site_of(&world->ocean, "ocean");
    if (number == OWN_NUMBER) {
        site = site_of(&world->self, "self");
        site.is_self = true;
    }
    visit(visitor, &site);
    return true;
}

static bool visit_fingerprint(void *context, const struct fingerprint *fingerprint,
                              void (*visit)(void *visitor, const struct resolve_site *site),
                              void *visitor)
{
    const struct world *world = context;
    if (strcmp(fingerprint->text, world->self.site.text) == 0) {
        struct resolve_site site = site_of(&world->self, "self");
        site.is_self = true;
        visit(visitor, &site);
        return true;
    }
    if (world->knows_ocean && strcmp(fingerprint->text, world->ocean.site.text) == 0) {
        const struct resolve_site site = site_of(&world->ocean, "ocean as known here");
        visit(visitor, &site);
        return true;
    }
    return false;
}

static size_t list_hubs(void *context, struct resolve_hub *out, size_t max)
{
    const struct world *world = context;
    size_t count = world->hub_count < max ? world->hub_count : max;
    for (size_t i = 0; i < count; i++) {
        out[i] = world->hubs[i].hub;
    }
    return count;
}

static bool has_own(void *context)
{
    const struct world *world = context;
    return world->own.length > 0;
}

static bool index_has_own(void *context)
{
    const struct world *world = context;
    return world->own.length == 0 || world->own_is_indexed;
}

static enum status own_entry(void *context, struct text name, struct buffer *out,
                             struct error *error)
{
    const struct world *world = context;
    if (!text_equal(name, TEXT("doi:10.1/a"))) {
        return error_set(error, NOT_FOUND, "no such dataset");
    }
    buffer_append_text(out, buffer_text(&world->own));
    return OK;
}

static void note_distance(void *context, const struct fingerprint *site, int64_t rtt_us)
{
    struct world *world = context;
    assert_string_equal(site->text, world->hubs[1].signer.site.text);
    assert_true(rtt_us > 0);
    atomic_fetch_add(&world->distances_noted, 1);
}

static const struct resolve_ops OPS = {
    .visit_site = visit_number,
    .visit_fingerprint = visit_fingerprint,
    .hubs = list_hubs,
    .has_own = has_own,
    .index_has_own = index_has_own,
    .note_distance = note_distance,
    .own_entry = own_entry,
};

static void open_resolver(struct world *world)
{
    struct error error = {0};
    AUTO_FREE char *path = memory_format("%s/site.db", world->folder);
    const struct store_options store = {
        .url = path, .migrations = RESOLVE_MIGRATIONS, .migration_count = RESOLVE_MIGRATION_COUNT};
    if (store_open(&store, &world->store, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    const struct resolver_options options = {.store = world->store,
                                             .mirror = world->mirror,
                                             .ops = &OPS,
                                             .context = world,
                                             .directory = world->self.folder};
    if (resolver_open(&options, &world->resolver, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

static void close_resolver(struct world *world)
{
    store_close(world->store);
    resolver_close(world->resolver);
}

static int begin(void **state)
{
    struct world *world = NEW(struct world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/lode-test-ask.XXXXXX");
    if (!mkdtemp(world->folder)) {
        return -1;
    }
    signer_open(&world->self);
    signer_open(&world->ocean);
    signer_open(&world->ice);
    for (size_t i = 0; i < HUBS; i++) {
        fake_hub_start(&world->hubs[i], i == 0 ? "first" : "second");
    }
    world->hub_count = HUBS;
    open_resolver(world);
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    close_resolver(world);
    for (size_t i = 0; i < HUBS; i++) {
        fake_hub_stop(&world->hubs[i]);
    }
    signer_close(&world->self);
    signer_close(&world->ocean);
    signer_close(&world->ice);
    buffer_done(&world->own);
    if (world->mirror) {
        buffer_done(&world->mirror->entry);
        free(world->mirror);
    }
    int result = file_remove_tree(world->folder, NULL) == OK ? 0 : -1;
    free(world);
    return result;
}

// The hub answers that ocean has it, with this serial.
static void hub_knows(struct world *world, size_t at, int64_t serial)
{
    AUTO_BUFFER struct buffer document = {0};
    const struct entry_fields fields = {.alias = "ark:1/x", .serial = serial};
    write_simple(&world->ocean, "ocean", &fields, &document);
    fake_hub_says(&world->hubs[at], HUB_ANSWERS, 200, buffer_text(&document));
}

static enum status nothing(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)context;
    (void)error;
    return OK;
}

// The answer, parsed; ends the test when there is none. What is to be remembered of it is in the store afterwards: that takes one write of this function.
static json_t *resolved(struct world *world, const char *name, enum resolve_reach reach)
{
    AUTO_BUFFER struct buffer out = {0};
    struct error error = {0};
    json_t *document = NULL;
    if (resolver_ask(world->resolver, text_of(name), reach, &out, &error) != OK ||
        json_parse(buffer_text(&out), &document, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    assert_int_equal(store_write_wait(world->store, nothing, NULL, NULL), OK);
    return document;
}

static const char *member(const json_t *document, const char *name)
{
    const char *text = json_string_value(json_object_get(document, name));
    return text ? text : "";
}

static const json_t *location_at(const json_t *document, size_t at)
{
    return json_array_get(json_object_get(document, "locations"), at);
}

static const char *first_problem(const json_t *document)
{
    const char *text = json_string_value(json_array_get(json_object_get(document, "problems"), 0));
    return text ? text : "";
}

static enum status refused(struct world *world, const char *name, struct error *error)
{
    AUTO_BUFFER struct buffer out = {0};
    enum status status = resolver_ask(world->resolver, text_of(name), RESOLVE_ASKS, &out, error);
    assert_int_equal(out.length, 0);
    return status;
}

static void a_hub_is_asked_not_to_ask_others_and_its_answer_is_remembered(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 1);
    AUTO_JSON json_t *asked = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(asked, "source"), "hub");
    assert_string_equal(member(asked, "hub"), "first");
    assert_string_equal(member(location_at(asked, 0), "name"), "ocean");
    assert_string_equal(world->hubs[0].query, "forward=false");
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 0);
    close_resolver(world);
    open_resolver(world);
    AUTO_JSON json_t *remembered = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(remembered, "source"), "memory");
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 1);
    AUTO_JSON json_t *anew = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(anew, "source"), "hub");
}

static void an_answer_that_did_not_change_is_not_written_again(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    int64_t writes = store_figures(world->store).writes;
    for (int i = 0; i < 5; i++) {
        json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW));
    }
    assert_int_equal(store_figures(world->store).writes, writes + 5);
    hub_knows(world, 0, 2);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW));
    assert_int_equal(store_figures(world->store).writes, writes + 7);
}

static void the_second_hub_is_asked_when_the_first_is_dead(void **state)
{
    struct world *world = *state;
    fake_hub_stop(&world->hubs[0]);
    hub_knows(world, 1, 1);
    AUTO_JSON json_t *document = resolved(world, "ark:1/x", RESOLVE_ASKS);
    assert_string_equal(member(document, "hub"), "second");
    assert_string_equal(member(document, "id"), "doi:10.1/a");
}

static void all_hubs_dead_the_remembered_answer_counts_with_its_age(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    fake_hub_stop(&world->hubs[0]);
    fake_hub_stop(&world->hubs[1]);
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(document, "source"), "memory");
    assert_true(json_is_integer(json_object_get(document, "age_seconds")));
    assert_string_equal(member(location_at(document, 0), "liveness"), "unknown");
    struct error error = {0};
    assert_int_equal(refused(world, "doi:10.1/b", &error), UNAVAILABLE);
    assert_non_null(strstr(error.detail, "first ("));
    assert_non_null(strstr(error.detail, "second ("));
}

// The hub answers that ocean, and ice too, has it.
static void hub_knows_two(struct world *world, size_t at)
{
    AUTO_BUFFER struct buffer first = {0};
    AUTO_BUFFER struct buffer second = {0};
    AUTO_BUFFER struct buffer locations = {0};
    AUTO_BUFFER struct buffer document = {0};
    write_entry(&world->ocean, &(struct entry_fields){.serial = 2}, &first);
    write_entry(&world->ice, &(struct entry_fields){.serial = 4}, &second);
    write_location(&world->ocean, "ocean", buffer_text(&first), &locations);
    write_location(&world->ice, "ice", buffer_text(&second), &locations);
    write_document(buffer_text(&locations), &document);
    fake_hub_says(&world->hubs[at], HUB_ANSWERS, 200, buffer_text(&document));
}

static size_t location_count(const json_t *document)
{
    return json_array_size(json_object_get(document, "locations"));
}

static void a_hub_with_a_part_of_the_logs_does_not_hide_what_another_one_has(void **state)
{
    struct world *world = *state;
    hub_knows_two(world, 0);
    hub_knows_two(world, 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 0);
    hub_knows(world, 0, 3);
    AUTO_JSON json_t *both = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(both), 2);
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 1);
    for (size_t i = 0; i < 2; i++) { // The newer entry of ocean, which only the first hub has.
        int64_t serial = json_integer_value(
            json_object_get(json_object_get(location_at(both, i), "entry"), "serial"));
        assert_int_equal(serial,
                         strcmp(member(location_at(both, i), "name"), "ocean") == 0 ? 3 : 4);
    }
}

static void a_hub_does_not_say_when_we_were_told(void **state)
{
    static const char *const TIMES[] = {"1", "-9223372036854775808", "9223372036854775807",
                                        "\"x\""};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof TIMES / sizeof TIMES[0]; i++) {
        AUTO_BUFFER struct buffer entry = {0};
        AUTO_BUFFER struct buffer location = {0};
        AUTO_BUFFER struct buffer document = {0};
        write_entry(&world->ocean, &(struct entry_fields){.serial = 2}, &entry);
        write_location(&world->ocean, "ocean", buffer_text(&entry), &location);
        location.length--; // The brace.
        buffer_printf(&location, ",\"told_us\":%s}", TIMES[i]);
        write_document(buffer_text(&location), &document);
        fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
        AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
        AUTO_JSON json_t *kept = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
        assert_int_equal(location_count(answer), 1);
        assert_int_equal(json_integer_value(json_object_get(location_at(answer, 0), "age_seconds")),
                         0);
        assert_int_equal(json_integer_value(json_object_get(location_at(kept, 0), "age_seconds")),
                         0);
    }
}

static void what_newer_answers_omit_counts_with_its_age_when_nobody_answers(void **state)
{
    struct world *world = *state;
    world->hub_count = 1;
    hub_knows_two(world, 0);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    hub_knows(world, 0, 3);
    AUTO_JSON json_t *fewer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(fewer), 1);
    AUTO_JSON json_t *fresh = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(fresh, "source"), "memory");
    assert_int_equal(location_count(fresh), 1);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW));
    fake_hub_stop(&world->hubs[0]);
    AUTO_JSON json_t *all = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_int_equal(location_count(all), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *location = location_at(all, i);
        bool is_omitted = strcmp(member(location, "name"), "ice") == 0;
        int64_t age = json_integer_value(json_object_get(location, "age_seconds"));
        assert_true(is_omitted ? age > 0 : age == 0);
    }
}

static void the_own_replica_alone_comes_with_the_hubs_that_did_not_answer(void **state)
{
    struct world *world = *state;
    write_entry(&world->self, &(struct entry_fields){0}, &world->own);
    fake_hub_stop(&world->hubs[0]);
    fake_hub_stop(&world->hubs[1]);
    AUTO_JSON json_t *alone = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(alone, "source"), "own");
    assert_non_null(strstr(member(alone, "unanswered"), "first ("));
    assert_non_null(strstr(member(alone, "unanswered"), "second ("));
}

static void the_own_replica_is_there_whatever_hubs_say(void **state)
{
    struct world *world = *state;
    write_entry(&world->self, &(struct entry_fields){0}, &world->own);
    AUTO_JSON json_t *alone = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(alone, "source"), "own");
    assert_string_equal(member(location_at(alone, 0), "name"), "self");
    hub_knows(world, 0, 1);
    AUTO_JSON json_t *both = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(both, "source"), "hub");
    assert_string_equal(member(location_at(both, 0), "name"), "self");
    assert_string_equal(member(location_at(both, 1), "name"), "ocean");
    AUTO_JSON json_t *here = resolved(world, "doi:10.1/a", RESOLVE_HERE);
    assert_int_equal(json_array_size(json_object_get(here, "locations")), 1);
}

static void what_is_known_here_of_a_site_counts_for_more_than_what_a_hub_says(void **state)
{
    struct world *world = *state;
    world->knows_ocean = true;
    hub_knows(world, 0, 1);
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(location_at(document, 0), "name"), "ocean as known here");
}

// The first hub says that the second one, whose address this is, has the dataset too.
static void hub_names_a_site_that_can_be_called(struct world *world)
{
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_BUFFER struct buffer location = {0};
    AUTO_BUFFER struct buffer near = {0};
    AUTO_BUFFER struct buffer document = {0};
    static const char PLACE[] = "https://far.example";
    write_entry(&world->hubs[1].signer, &(struct entry_fields){0}, &entry);
    write_location(&world->hubs[1].signer, "far", buffer_text(&entry), &location);
    const char *at = strstr(location.bytes, PLACE);
    assert_non_null(at);
    buffer_append(&near, location.bytes, (size_t)(at - location.bytes));
    buffer_append_string(&near, world->hubs[1].hub.url);
    buffer_append_string(&near, at + strlen(PLACE));
    write_document(buffer_text(&near), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
}

static json_t *measured(struct world *world, int64_t wait_us)
{
    AUTO_BUFFER struct buffer out = {0};
    json_t *document = NULL;
    assert_int_equal(resolver_ask_measuring(world->resolver, TEXT("doi:10.1/a"), RESOLVE_ASKS_ANEW,
                                            wait_us, &out, NULL),
                     OK);
    assert_int_equal(json_parse(buffer_text(&out), &document, NULL), OK);
    return document;
}

static bool has_distance(const json_t *document)
{
    return json_is_number(json_object_get(location_at(document, 0), "rtt_ms"));
}

static void a_site_whose_distance_nobody_knows_is_measured_once(void **state)
{
    struct world *world = *state;
    hub_names_a_site_that_can_be_called(world);
    AUTO_JSON json_t *plain = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_false(has_distance(plain));
    assert_int_equal(fake_hub_called(&world->hubs[1]), 0);
    AUTO_JSON json_t *first = measured(world, BUSY_MACHINE_US);
    assert_true(has_distance(first));
    assert_int_equal(fake_hub_called(&world->hubs[1]), 2);
    assert_int_equal(atomic_load(&world->distances_noted), 1);
    AUTO_JSON json_t *again = measured(world, BUSY_MACHINE_US);
    assert_true(has_distance(again));
    AUTO_JSON json_t *told = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_true(has_distance(told));
    assert_int_equal(fake_hub_called(&world->hubs[1]), 2);
}

static void an_answer_does_not_wait_for_a_distance_longer_than_it_may(void **state)
{
    struct world *world = *state;
    hub_names_a_site_that_can_be_called(world);
    fake_hub_says(&world->hubs[1], HUB_SILENT, 0, TEXT_NONE);
    AUTO_JSON json_t *at_once = measured(world, 0);
    assert_false(has_distance(at_once));
    AUTO_JSON json_t *soon = measured(world, 1000);
    assert_false(has_distance(soon));
    assert_int_equal(atomic_load(&world->distances_noted), 0);
}

static void an_unknown_name_says_who_was_asked_and_is_not_asked_for_again(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "doi:10.1/none"));
    assert_non_null(strstr(error.detail, "first, second"));
    struct error again = {0};
    assert_int_equal(refused(world, "doi:10.1/none", &again), NOT_FOUND);
    assert_string_equal(again.detail, error.detail);
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 1);
    assert_int_equal(fake_hub_asked(&world->hubs[1]), 1);
}

static void a_name_is_not_taken_for_unknown_when_a_hub_was_not_reached(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    fake_hub_stop(&world->hubs[1]);
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "second ("));
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 2);
}

static void without_hubs_an_unknown_name_is_refused_at_once(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    world->hub_count = 0;
    assert_int_equal(refused(world, "doi:10.1/none", &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "doi:10.1/none"));
}

static void a_silent_hub_costs_bounded_time_once(void **state)
{
    struct world *world = *state;
    fake_hub_says(&world->hubs[0], HUB_SILENT, 0, TEXT_NONE);
    hub_knows(world, 1, 1);
    int64_t before_us = clock_steady_us();
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(document, "hub"), "second");
    assert_true(clock_steady_us() - before_us < RESOLVE_WAIT_US + BUSY_MACHINE_US);
    AUTO_JSON json_t *again = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(again, "hub"), "second");
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 1);
}

static void an_endless_answer_is_cut_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    fake_hub_says(&world->hubs[0], HUB_ENDLESS, 0, TEXT_NONE);
    hub_knows(world, 1, 1);
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(document, "hub"), "second");
}

static void garbage_is_set_aside_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, TEXT("<html>it works</html>"));
    hub_knows(world, 1, 1);
    AUTO_JSON json_t *document = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(document, "hub"), "second");
    assert_non_null(strstr(first_problem(document), "hub first (sha256:"));
}

// The first hub says what `entry` is, with the key of `shown`; the second one is honest. The answer's problem must name hub, site, epoch and serial.
static void assert_lie_is_told(struct world *world, const struct signer *shown, struct text entry,
                               const char *why)
{
    AUTO_BUFFER struct buffer location = {0};
    AUTO_BUFFER struct buffer document = {0};
    write_location(shown, "ocean", entry, &location);
    write_document(buffer_text(&location), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
    hub_knows(world, 1, 9);
    AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    const char *problem = first_problem(answer);
    if (strcmp(member(answer, "hub"), "second") != 0 || !strstr(problem, "hub first (sha256:") ||
        !strstr(problem, "site ocean (sha256:") || !strstr(problem, "epoch 1, serial 7") ||
        !strstr(problem, why)) {
        fail_msg("%s: %s", member(answer, "hub"), problem);
    }
    const json_t *said = json_object_get(location_at(answer, 0), "entry");
    assert_int_equal(json_integer_value(json_object_get(said, "serial")), 9);
}

static void an_altered_entry_is_told_of_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer entry = {0};
    write_entry(&world->ocean, &(struct entry_fields){.serial = 7}, &entry);
    memcpy(strstr(entry.bytes, "available"), "archived!", strlen("available"));
    assert_lie_is_told(world, &world->ocean, buffer_text(&entry), "signature");
}

static void a_forged_site_is_told_of_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer entry = {0};
    write_entry(&world->ocean, &(struct entry_fields){.serial = 7}, &entry);
    assert_lie_is_told(world, &world->ice, buffer_text(&entry), "key");
}

static void an_entry_about_another_dataset_is_told_of_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer entry = {0};
    write_entry(&world->ocean, &(struct entry_fields){.id = "doi:10.1/b", .serial = 7}, &entry);
    assert_lie_is_told(world, &world->ocean, buffer_text(&entry), "doi:10.1/b");
}

static void a_replayed_old_entry_is_told_of_and_the_next_hub_asked(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer entry = {0};
    hub_knows(world, 0, 8);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    write_entry(&world->ocean, &(struct entry_fields){.serial = 7}, &entry);
    assert_lie_is_told(world, &world->ocean, buffer_text(&entry), "serial 8");
}

static void when_all_lie_what_is_remembered_counts_and_nothing_is_kept_of_the_lie(void **state)
{
    struct world *world = *state;
    hub_knows(world, 0, 8);
    json_decref(resolved(world, "doi:10.1/a", RESOLVE_ASKS));
    hub_knows(world, 0, 7);
    hub_knows(world, 1, 6);
    AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS_ANEW);
    assert_string_equal(member(answer, "source"), "memory");
    assert_int_equal(json_array_size(json_object_get(answer, "problems")), 2);
    const json_t *said = json_object_get(location_at(answer, 0), "entry");
    assert_int_equal(json_integer_value(json_object_get(said, "serial")), 8);
}

static void when_all_lie_and_nothing_is_known_that_is_the_answer(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, TEXT("{}"));
    fake_hub_says(&world->hubs[1], HUB_ANSWERS, 200, TEXT("{\"locations\":[]}"));
    assert_int_equal(refused(world, "doi:10.1/a", &error), CORRUPT);
    assert_non_null(strstr(error.detail, "first (its answer does not hold)"));
}

static void what_holds_of_a_partly_false_answer_is_the_last_resort(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer good = {0};
    AUTO_BUFFER struct buffer locations = {0};
    AUTO_BUFFER struct buffer document = {0};
    world->hub_count = 1;
    write_entry(&world->ice, &(struct entry_fields){0}, &good);
    write_location(&world->ice, "ice", buffer_text(&good), &locations);
    write_location(&world->ocean, "ocean", buffer_text(&good), &locations);
    write_document(buffer_text(&locations), &document);
    fake_hub_says(&world->hubs[0], HUB_ANSWERS, 200, buffer_text(&document));
    AUTO_JSON json_t *answer = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_int_equal(json_array_size(json_object_get(answer, "locations")), 1);
    assert_string_equal(member(location_at(answer, 0), "name"), "ice");
    assert_non_null(strstr(first_problem(answer), "site ocean"));
}

static void a_hub_answers_from_its_index_without_blocking(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer out = {0};
    assert_false(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    close_resolver(world);
    world->mirror = NEW(struct mirror);
    world->mirror->site = world->ocean.site;
    write_entry(&world->ocean, &(struct entry_fields){0}, &world->mirror->entry);
    open_resolver(world);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    assert_non_null(strstr(out.bytes, "\"source\":\"index\""));
    size_t length = out.length;
    assert_false(resolver_answer_fast(world->resolver, TEXT("doi:10.1/none"), false, &out));
    assert_int_equal(out.length, length);
    // While its own data is not in the index, the answer is more than that knows.
    write_entry(&world->self, &(struct entry_fields){0}, &world->own);
    assert_false(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    AUTO_JSON json_t *both = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_string_equal(member(both, "source"), "index");
    assert_int_equal(json_array_size(json_object_get(both, "locations")), 2);
    assert_int_equal(fake_hub_asked(&world->hubs[0]), 0);
}

static void a_hub_answers_from_its_index_about_its_own_data_too(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer out = {0};
    close_resolver(world);
    world->mirror = NEW(struct mirror);
    world->mirror->site = world->ocean.site;
    world->mirror->own = &world->own;
    world->own_is_indexed = true;
    write_entry(&world->self, &(struct entry_fields){0}, &world->own);
    open_resolver(world);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    assert_non_null(strstr(out.bytes, "\"source\":\"own\""));
    buffer_clear(&out);
    write_entry(&world->ocean, &(struct entry_fields){0}, &world->mirror->entry);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), false, &out));
    AUTO_JSON json_t *fast = NULL;
    assert_int_equal(json_parse(buffer_text(&out), &fast, NULL), OK);
    assert_string_equal(member(fast, "source"), "index");
    assert_int_equal(json_array_size(json_object_get(fast, "locations")), 2);
    assert_string_equal(member(location_at(fast, 0), "name"), "self");
    // What the catalogue says and what the index says of it is one location, and the same on the pool.
    AUTO_JSON json_t *slow = resolved(world, "doi:10.1/a", RESOLVE_ASKS);
    assert_true(json_equal(fast, slow));
    // Who may be told more about our own files is answered on the pool.
    assert_false(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), true, &out));
    buffer_clear(&world->own);
    assert_true(resolver_answer_fast(world->resolver, TEXT("doi:10.1/a"), true, &out));
}

static void the_hubs_are_told(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer out = {0};
    resolver_write_hubs(world->resolver, &out);
    AUTO_JSON json_t *hubs = NULL;
    assert_int_equal(json_parse(buffer_text(&out), &hubs, NULL), OK);
    assert_int_equal(json_array_size(hubs), HUBS);
    const json_t *second = json_array_get(hubs, 1);
    assert_string_equal(member(second, "name"), "second");
    assert_string_equal(member(second, "url"), world->hubs[1].hub.url);
    assert_string_equal(member(second, "site"), world->hubs[1].hub.site.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hub_is_asked_not_to_ask_others_and_its_answer_is_remembered),
        TEST(an_answer_that_did_not_change_is_not_written_again),
        TEST(the_second_hub_is_asked_when_the_first_is_dead),
        TEST(all_hubs_dead_the_remembered_answer_counts_with_its_age),
        TEST(a_hub_with_a_part_of_the_logs_does_not_hide_what_another_one_has),
        TEST(a_hub_does_not_say_when_we_were_told),
        TEST(what_newer_answers_omit_counts_with_its_age_when_nobody_answers),
        TEST(the_own_replica_alone_comes_with_the_hubs_that_did_not_answer),
        TEST(the_own_replica_is_there_whatever_hubs_say),
        TEST(what_is_known_here_of_a_site_counts_for_more_than_what_a_hub_says),
        TEST(a_site_whose_distance_nobody_knows_is_measured_once),
        TEST(an_answer_does_not_wait_for_a_distance_longer_than_it_may),
        TEST(an_unknown_name_says_who_was_asked_and_is_not_asked_for_again),
        TEST(a_name_is_not_taken_for_unknown_when_a_hub_was_not_reached),
        TEST(without_hubs_an_unknown_name_is_refused_at_once),
        TEST(a_silent_hub_costs_bounded_time_once),
        TEST(an_endless_answer_is_cut_and_the_next_hub_asked),
        TEST(garbage_is_set_aside_and_the_next_hub_asked),
        TEST(an_altered_entry_is_told_of_and_the_next_hub_asked),
        TEST(a_forged_site_is_told_of_and_the_next_hub_asked),
        TEST(an_entry_about_another_dataset_is_told_of_and_the_next_hub_asked),
        TEST(a_replayed_old_entry_is_told_of_and_the_next_hub_asked),
        TEST(when_all_lie_what_is_remembered_counts_and_nothing_is_kept_of_the_lie),
        TEST(when_all_lie_and_nothing_is_known_that_is_the_answer),
        TEST(what_holds_of_a_partly_false_answer_is_the_last_resort),
        TEST(a_hub_answers_from_its_index_without_blocking),
        TEST(a_hub_answers_from_its_index_about_its_own_data_too),
        TEST(the_hubs_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
