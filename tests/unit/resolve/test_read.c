#include "fixture.h"

#include "../cmocka_all.h"

enum { SIGNERS = 2 };

static struct signer signers[SIGNERS];
static const struct text NAME = {"doi:10.1/a", sizeof "doi:10.1/a" - 1};

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

// What was read of an answer.
struct outcome {
    struct arena arena;
    struct location *locations;
    size_t count;
    struct error problem;
    struct error error;
    enum status status;
};

static struct outcome read_text(struct text document, struct text name)
{
    struct outcome outcome = {0};
    outcome.status = resolve_read_answer(document, name, &outcome.arena, &outcome.locations,
                                         &outcome.count, &outcome.problem, &outcome.error);
    return outcome;
}

// An answer with a location of the first signer that is good, and one with this entry, said to be signed by the second.
static struct outcome read_beside_a_good_one(struct text entry)
{
    AUTO_BUFFER struct buffer good = {0};
    AUTO_BUFFER struct buffer locations = {0};
    AUTO_BUFFER struct buffer document = {0};
    write_entry(&signers[0], &(struct entry_fields){0}, &good);
    write_location(&signers[1], "ice", entry, &locations);
    write_location(&signers[0], "ocean", buffer_text(&good), &locations);
    write_document(buffer_text(&locations), &document);
    return read_text(buffer_text(&document), NAME);
}

static void a_good_answer_is_read_whole(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer document = {0};
    AUTO_BUFFER struct buffer entry = {0};
    const struct entry_fields fields = {.alias = "ark:1/x", .epoch = 2, .serial = 9};
    write_simple(&signers[0], "ocean", &fields, &document);
    write_entry(&signers[0], &fields, &entry);
    struct outcome outcome = read_text(buffer_text(&document), TEXT("ark:1/x"));
    assert_int_equal(outcome.status, OK);
    assert_int_equal(outcome.problem.status, OK);
    assert_int_equal(outcome.count, 1);
    const struct location *location = &outcome.locations[0];
    assert_string_equal(location->site.text, signers[0].site.text);
    assert_string_equal(location->name, "ocean");
    assert_string_equal(location->url, "https://ocean.example");
    assert_string_equal(location->id, "doi:10.1/a");
    assert_string_equal(location->title, "A \"quoted\" title");
    assert_string_equal(location->tier, "online");
    assert_string_equal(location->state, "available");
    assert_string_equal(location->liveness, "up");
    assert_string_equal(location->standing, "member");
    assert_true(text_equal(location->entry, buffer_text(&entry)));
    assert_int_equal(location->epoch, 2);
    assert_int_equal(location->serial, 9);
    assert_true(location->has_digest);
    assert_int_equal(location->file_count, 3);
    assert_int_equal(location->size_bytes, 4096);
    assert_int_equal(location->load_permille, 500);
    assert_int_equal(location->rtt_us, -1);
    assert_int_equal(location->heard_seconds, 5);
    arena_done(&outcome.arena);
}

static void assert_dropped(struct outcome *outcome, const char *why)
{
    assert_int_equal(outcome->status, OK);
    assert_int_equal(outcome->count, 1);
    assert_string_equal(outcome->locations[0].name, "ocean");
    assert_int_equal(outcome->problem.status, CORRUPT);
    if (!strstr(outcome->problem.detail, "site ice (sha256:") ||
        !strstr(outcome->problem.detail, "epoch 3, serial 17") ||
        !strstr(outcome->problem.detail, why)) {
        fail_msg("%s", outcome->problem.detail);
    }
    arena_done(&outcome->arena);
}

static void an_altered_entry_is_dropped_and_named(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer entry = {0};
    const struct entry_fields fields = {.epoch = 3, .serial = 17};
    write_entry(&signers[1], &fields, &entry);
    char *size = strstr(entry.bytes, "\"size_bytes\":4096");
    assert_non_null(size);
    size[sizeof "\"size_bytes\":4096" - 2] = '7';
    struct outcome outcome = read_beside_a_good_one(buffer_text(&entry));
    assert_dropped(&outcome, "signature");
}

static void an_entry_of_another_key_than_the_sites_is_dropped_and_named(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer entry = {0};
    const struct entry_fields fields = {.epoch = 3, .serial = 17};
    write_entry(&signers[0], &fields, &entry); // Shown with the key of the second.
    struct outcome outcome = read_beside_a_good_one(buffer_text(&entry));
    assert_dropped(&outcome, "key");
}

static void a_good_entry_about_another_dataset_is_dropped_and_named(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer entry = {0};
    const struct entry_fields fields = {
        .id = "doi:10.1/b", .alias = "doi:10.1/c", .epoch = 3, .serial = 17};
    write_entry(&signers[1], &fields, &entry);
    struct outcome outcome = read_beside_a_good_one(buffer_text(&entry));
    assert_dropped(&outcome, "doi:10.1/b");
}

static void an_entry_without_an_epoch_is_dropped(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_JSON json_t *statement = json_pack("{s:s, s:s}", "kind", "dataset", "id", "doi:10.1/a");
    assert_int_equal(statement_sign(statement, signers[1].key, &entry, NULL), OK);
    struct outcome outcome = read_beside_a_good_one(buffer_text(&entry));
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.problem.status, CORRUPT);
    assert_non_null(strstr(outcome.problem.detail, "epoch"));
    arena_done(&outcome.arena);
}

static void a_removal_is_no_location(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_JSON json_t *statement = json_pack("{s:s, s:s, s:i, s:i}", "kind", "removal", "id",
                                            "doi:10.1/a", "epoch", 3, "serial", 17);
    assert_int_equal(statement_sign(statement, signers[1].key, &entry, NULL), OK);
    struct outcome outcome = read_beside_a_good_one(buffer_text(&entry));
    assert_dropped(&outcome, "kind");
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "", "garbage", "[]", "{}", "{\"locations\":{}}", "{\"locations\":[", "<html>"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct outcome outcome = read_text(text_of(BAD[i]), NAME);
        assert_int_equal(outcome.status, CORRUPT);
        assert_string_not_equal(outcome.error.detail, "");
        arena_done(&outcome.arena);
    }
}

static void locations_of_other_shapes_are_dropped(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "{\"locations\":[1]}", "{\"locations\":[{}]}", "{\"locations\":[{\"entry\":[]}]}",
        "{\"locations\":[{\"entry\":{},\"public_key\":\"AAAA\"}]}", "{\"locations\":[null,[]]}"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct outcome outcome = read_text(text_of(BAD[i]), NAME);
        assert_int_equal(outcome.status, OK);
        assert_int_equal(outcome.count, 0);
        assert_int_equal(outcome.problem.status, CORRUPT);
        arena_done(&outcome.arena);
    }
}

static void an_older_entry_than_one_seen_before_is_noticed(void **state)
{
    (void)state;
    static const struct {
        int64_t epoch;
        int64_t serial;
        bool is_old;
    } CASES[] = {{2, 9, false}, {2, 10, false}, {3, 1, false}, {2, 8, true}, {1, 100, true}};
    AUTO_BUFFER struct buffer before = {0};
    const struct entry_fields seen = {.epoch = 2, .serial = 9};
    write_simple(&signers[0], "ocean", &seen, &before);
    struct outcome old = read_text(buffer_text(&before), NAME);
    assert_int_equal(old.count, 1);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        AUTO_BUFFER struct buffer after = {0};
        const struct entry_fields fields = {.epoch = CASES[i].epoch, .serial = CASES[i].serial};
        write_simple(&signers[0], "ocean", &fields, &after);
        struct outcome now = read_text(buffer_text(&after), NAME);
        struct error error = {0};
        enum status status =
            resolve_check_newer(now.locations, now.count, old.locations, old.count, &error);
        assert_int_equal(status, CASES[i].is_old ? CORRUPT : OK);
        if (CASES[i].is_old) {
            assert_non_null(strstr(error.detail, "site ocean"));
            assert_non_null(strstr(error.detail, "epoch 2, serial 9"));
        }
        arena_done(&now.arena);
    }
    arena_done(&old.arena);
}

static void another_site_may_be_older(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer before = {0};
    AUTO_BUFFER struct buffer after = {0};
    write_simple(&signers[0], "ocean", &(struct entry_fields){.serial = 9}, &before);
    write_simple(&signers[1], "ocean", &(struct entry_fields){.serial = 1}, &after);
    struct outcome old = read_text(buffer_text(&before), NAME);
    struct outcome now = read_text(buffer_text(&after), NAME);
    assert_int_equal(resolve_check_newer(now.locations, now.count, old.locations, old.count, NULL),
                     OK);
    arena_done(&old.arena);
    arena_done(&now.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_is_read_whole),
        cmocka_unit_test(an_altered_entry_is_dropped_and_named),
        cmocka_unit_test(an_entry_of_another_key_than_the_sites_is_dropped_and_named),
        cmocka_unit_test(a_good_entry_about_another_dataset_is_dropped_and_named),
        cmocka_unit_test(an_entry_without_an_epoch_is_dropped),
        cmocka_unit_test(a_removal_is_no_location),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(locations_of_other_shapes_are_dropped),
        cmocka_unit_test(an_older_entry_than_one_seen_before_is_noticed),
        cmocka_unit_test(another_site_may_be_older),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
