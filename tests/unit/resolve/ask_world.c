#include "ask_world.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>

int64_t mirror_lacking(const struct mirror *mirror)
{
    return mirror->lacking;
}

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

static bool is_other(const struct world *world, const struct fingerprint *site)
{
    for (size_t i = 0; i < world->other_count; i++) {
        if (strcmp(world->others[i].signer.site.text, site->text) == 0) {
            return true;
        }
    }
    return false;
}

static void note_distance(void *context, const struct fingerprint *site, int64_t rtt_us)
{
    struct world *world = context;
    if (!is_other(world, site)) {
        assert_string_equal(site->text, world->hubs[1].signer.site.text);
    }
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

void open_resolver(struct world *world)
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

void close_resolver(struct world *world)
{
    store_close(world->store);
    resolver_close(world->resolver);
}

int make_world(void **state)
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

int end_world(void **state)
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

void hub_knows(struct world *world, size_t at, int64_t serial)
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

void hub_knows_two(struct world *world, size_t at)
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

json_t *resolved(struct world *world, const char *name, enum resolve_reach reach)
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

const char *member(const json_t *document, const char *name)
{
    const char *text = json_string_value(json_object_get(document, name));
    return text ? text : "";
}

const json_t *location_at(const json_t *document, size_t at)
{
    return json_array_get(json_object_get(document, "locations"), at);
}

size_t location_count(const json_t *document)
{
    return json_array_size(json_object_get(document, "locations"));
}

const char *first_problem(const json_t *document)
{
    const char *text = json_string_value(json_array_get(json_object_get(document, "problems"), 0));
    return text ? text : "";
}

enum status refused(struct world *world, const char *name, struct error *error)
{
    AUTO_BUFFER struct buffer out = {0};
    enum status status = resolver_ask(world->resolver, text_of(name), RESOLVE_ASKS, &out, error);
    assert_int_equal(out.length, 0);
    return status;
}
