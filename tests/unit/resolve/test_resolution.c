#include "fixture.h"

#include "../cmocka_all.h"

#include "base/hex.h"
#include "resolve/resolution.h"

#include <stdio.h>

enum { SIGNERS = 3 };

static struct signer signers[SIGNERS];

static int open_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIGNERS; i++) {
        signer_open(&signers[i]);
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIGNERS; i++) {
        signer_close(&signers[i]);
    }
    return 0;
}

// A location as the ranking sees it.
struct candidate {
    const char *name;
    const char *state;
    const char *tier;
    int liveness_rank;
    bool is_self;
    int64_t rtt_us;
    int64_t load_permille;
};

static struct fingerprint fingerprint_number(size_t number)
{
    struct fingerprint out;
    (void)snprintf(out.text, sizeof out.text, "sha256:%064zx", number);
    return out;
}

// An answer with these candidates, added in the order given, parsed.
static json_t *resolve(const struct candidate *candidates, size_t count)
{
    AUTO_RESOLUTION struct resolution resolution;
    resolution_init(&resolution);
    for (size_t i = 0; i < count; i++) {
        const struct candidate *each = &candidates[i];
        AUTO_BUFFER struct buffer entry = {0};
        struct resolve_site site = site_of(&signers[0], each->name);
        const struct entry_fields fields = {.state = each->state, .tier = each->tier};
        write_entry(&signers[0], &fields, &entry);
        site.site = fingerprint_number(i);
        site.liveness_rank = each->liveness_rank;
        site.is_self = each->is_self;
        site.rtt_us = each->rtt_us;
        site.load_permille = each->load_permille;
        resolution_add(&resolution, buffer_text(&entry), &site);
    }
    AUTO_BUFFER struct buffer out = {0};
    const struct resolution_origin origin = {.source = "index"};
    resolution_write(&resolution, &origin, &out);
    json_t *document = NULL;
    struct error error = {0};
    if (json_parse(buffer_text(&out), &document, &error) != OK) {
        fail_msg("%s in %s", error.detail, out.bytes);
    }
    return document;
}

static const char *name_at(const json_t *document, size_t at)
{
    const json_t *location = json_array_get(json_object_get(document, "locations"), at);
    assert_int_equal(json_integer_value(json_object_get(location, "rank")), at + 1);
    return json_string_value(json_object_get(location, "name"));
}

// Each of the list is better than the one behind it; they are added worst first and best first.
static void assert_order(const struct candidate *candidates, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        const struct candidate pair[] = {candidates[i], candidates[i + 1]};
        const struct candidate reversed[] = {candidates[i + 1], candidates[i]};
        AUTO_JSON json_t *straight = resolve(pair, 2);
        AUTO_JSON json_t *turned = resolve(reversed, 2);
        assert_string_equal(name_at(straight, 0), candidates[i].name);
        assert_string_equal(name_at(turned, 0), candidates[i].name);
        assert_string_equal(name_at(turned, 1), candidates[i + 1].name);
    }
}

static void available_and_online_comes_first_then_liveness_self_distance_load(void **state)
{
    (void)state;
    static const struct candidate ORDER[] = {
        {"self", "available", "online", 0, true, -1, 900},
        {"near", "available", "online", 0, false, 1000, 900},
        {"near and loaded", "available", "online", 0, false, 1000, 901},
        {"near, load unknown", "available", "online", 0, false, 1000, -1},
        {"far", "available", "online", 0, false, 2000, 0},
        {"unmeasured", "available", "online", 0, false, -1, 0},
        {"unmeasured and loaded", "available", "online", 0, false, -1, 1},
        {"stale", "available", "online", 1, false, 10, 0},
        {"down", "available", "online", 3, false, 10, 0},
        {"scratch", "available", "scratch", 0, true, 10, 0},
        {"on tape", "available", "nearline", 0, true, 10, 0},
        {"on a shelf", "available", "offline", 0, true, 10, 0},
        {"somewhere", "available", "elsewhere", 0, true, 10, 0},
        {"staging", "staging", "online", 0, true, 10, 0},
        {"archived", "archived", "online", 0, true, 10, 0},
        {"changed", "changed", "online", 0, true, 10, 0},
        {"lost", "lost", "online", 0, true, 10, 0},
        {"whatever", "nonsense", "online", 0, true, 10, 0},
    };
    assert_order(ORDER, sizeof ORDER / sizeof ORDER[0]);
}

static void a_location_carries_the_entry_verbatim_and_what_is_known_of_its_site(void **state)
{
    (void)state;
    AUTO_RESOLUTION struct resolution resolution;
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_BUFFER struct buffer out = {0};
    AUTO_BUFFER struct buffer key = {0};
    const struct entry_fields fields = {.id = "t:an \"id\"\\", .alias = "x\",\"state\":\"lost"};
    struct resolve_site site = site_of(&signers[1], "ocean \"1\"\n");
    resolution_init(&resolution);
    write_entry(&signers[1], &fields, &entry);
    resolution_add(&resolution, buffer_text(&entry), &site);
    const struct resolution_origin origin = {
        .source = "hub", .hub = "a \"hub\"", .age_seconds = 7, .problems = TEXT("\"one\",\"two\"")};
    resolution_write(&resolution, &origin, &out);
    assert_non_null(strstr(out.bytes, entry.bytes));
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(json_parse(buffer_text(&out), &document, NULL), OK);
    base64_append(&key, site.key.bytes, sizeof site.key.bytes);
    AUTO_JSON json_t *expected = json_pack(
        "{s:s, s:i, s:i, s:s, s:s, s:[s,s], s:[{s:O, s:s, s:s, s:s, s:s, s:i, s:s, s:f, s:f, "
        "s:i}]}",
        "id", "t:an \"id\"\\", "ttl_seconds", RESOLVE_TTL_SECONDS, "age_seconds", 7, "source",
        "hub", "hub", "a \"hub\"", "problems", "one", "two", "locations", "entry",
        json_object_get(json_array_get(json_object_get(document, "locations"), 0), "entry"),
        "public_key", key.bytes, "name", "ocean \"1\"\n", "url", site.url, "liveness", "up",
        "heard_seconds", 12, "standing", "member", "load", 0.25, "rtt_ms", 3.1, "rank", 1);
    assert_non_null(expected);
    assert_true(json_equal(document, expected));
}

static void what_is_not_known_is_null(void **state)
{
    (void)state;
    AUTO_RESOLUTION struct resolution resolution;
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_BUFFER struct buffer out = {0};
    struct resolve_site site = site_of(&signers[0], "ocean");
    site.heard_seconds = site.load_permille = site.rtt_us = -1;
    resolution_init(&resolution);
    write_entry(&signers[0], &(struct entry_fields){0}, &entry);
    resolution_add(&resolution, buffer_text(&entry), &site);
    resolution_write(&resolution, &(struct resolution_origin){.source = "own"}, &out);
    assert_non_null(strstr(out.bytes, "\"heard_seconds\":null,"));
    assert_non_null(strstr(out.bytes, "\"load\":null,\"rtt_ms\":null,\"rank\":1}]}"));
    assert_null(strstr(out.bytes, "\"hub\""));
    assert_null(strstr(out.bytes, "\"problems\""));
}

static void a_site_stands_once_and_there_is_a_most(void **state)
{
    (void)state;
    AUTO_RESOLUTION struct resolution resolution;
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_BUFFER struct buffer out = {0};
    resolution_init(&resolution);
    write_entry(&signers[0], &(struct entry_fields){0}, &entry);
    for (size_t i = 0; i < 2 * RESOLVE_LOCATIONS_MAX + 20; i++) {
        struct resolve_site site = site_of(&signers[0], "ocean");
        site.site = fingerprint_number(i / 2);
        site.rtt_us = 1000000 - (int64_t)i;
        resolution_add(&resolution, buffer_text(&entry), &site);
    }
    assert_int_equal(resolution.count, RESOLVE_LOCATIONS_MAX);
    resolution_write(&resolution, &(struct resolution_origin){.source = "index"}, &out);
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(json_parse(buffer_text(&out), &document, NULL), OK);
    assert_int_equal(json_array_size(json_object_get(document, "locations")),
                     RESOLVE_LOCATIONS_MAX);
    (void)name_at(document, RESOLVE_LOCATIONS_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(available_and_online_comes_first_then_liveness_self_distance_load),
        cmocka_unit_test(a_location_carries_the_entry_verbatim_and_what_is_known_of_its_site),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(a_site_stands_once_and_there_is_a_most),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
