#include "fixture.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "ledger/packed.h"

#include <stdio.h>

#define SIGNATURE                                                                                  \
    "Kbk2fzvbzly8XWqsuZJzwASl6mfsmbp7ixCC8Du4AEzXqCD+RHQHJYVKVSEjYypkzsklIY0Zz+ApZm9RifbZCQ=="
#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SITE "sha256:deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170"
// The parts of a dataset's entry, around what tests vary.
#define FRONT "{\"aliases\":[\"s:a\",\"s:\\\"b\\\\\"],\"digest\":\"" DIGEST "\",\"epoch\":3,"
#define MIDDLE "\"file_count\":12,\"id\":\"doi:10.1/\\\"x\",\"kind\":\"dataset\",\"previous\":0,"
#define BACK                                                                                       \
    "\"serial\":7,\"signature\":\"" SIGNATURE "\",\"site\":\"" SITE "\",\"size_bytes\":4096,"      \
    "\"state\":\"available\",\"tier\":\"online\",\"time\":\"2026-11-21T10:00:00.250000Z\","        \
    "\"title\":\"caf\xc3\xa9 \\u001f\\n\"}"

static const char DATASET[] = FRONT MIDDLE BACK;
static const char REMOVAL[] = "{\"epoch\":1,\"id\":\"s:a\",\"kind\":\"removal\",\"previous\":4,"
                              "\"serial\":5,\"signature\":\"" SIGNATURE "\",\"site\":\"" SITE
                              "\",\"time\":\"2026-11-21T10:00:00Z\"}";
static const char HEAD[] =
    "{\"epoch\":1,\"head\":\"" DIGEST "\",\"kind\":\"head\",\"serial\":5,"
    "\"signature\":\"" SIGNATURE "\",\"site\":\"" SITE "\",\"time\":\"2026-11-21T10:00:00Z\"}";

static struct entry scanned(const char *line)
{
    struct entry entry;
    struct error error = {0};
    if (entry_scan(text_of(line), &entry, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return entry;
}

static void assert_text(struct text text, const char *expected)
{
    assert_true(text_equal(text, text_of(expected)));
}

static void a_dataset_is_read(void **state)
{
    (void)state;
    char scratch[ENTRY_NAME_MAX];
    struct entry entry = scanned(DATASET);
    assert_int_equal(entry.kind, ENTRY_DATASET);
    assert_int_equal(entry.epoch, 3);
    assert_int_equal(entry.serial, 7);
    assert_int_equal(entry.previous, 0);
    assert_false(entry.has_others);
    assert_text(entry_raw_text(&entry, MEMBER_ID), "doi:10.1/\\\"x");
    assert_text(entry_unescape(entry_raw_text(&entry, MEMBER_ID), scratch), "doi:10.1/\"x");
    assert_text(entry_unescape(entry_raw_text(&entry, MEMBER_TITLE), scratch),
                "caf\xc3\xa9 \x1f\n");
    struct text aliases = entry.members[MEMBER_ALIASES];
    struct text raw;
    assert_true(entry_next_string(&aliases, &raw));
    assert_text(raw, "s:a");
    assert_true(entry_next_string(&aliases, &raw));
    assert_text(entry_unescape(raw, scratch), "s:\"b\\");
    assert_false(entry_next_string(&aliases, &raw));
}

static void removals_and_heads_are_read(void **state)
{
    (void)state;
    struct entry removal = scanned(REMOVAL);
    assert_int_equal(removal.kind, ENTRY_REMOVAL);
    assert_int_equal(removal.previous, 4);
    assert_int_equal(scanned(HEAD).kind, ENTRY_HEAD);
    assert_int_equal(scanned(HEAD).serial, 5);
}

static void what_a_later_version_says_besides_is_allowed(void **state)
{
    (void)state;
    struct entry entry =
        scanned(FRONT "\"extra\":{\"a\":[1,{\"b\":null,\"c\":[]}],\"b\":true}," MIDDLE BACK);
    assert_true(entry.has_others);
    assert_int_equal(entry.serial, 7);
}

static void assert_refused(const char *line, const char *part)
{
    struct entry entry;
    struct error error = {0};
    assert_int_equal(entry_scan(text_of(line), &entry, &error), CORRUPT);
    if (!strstr(error.detail, part)) {
        fail_msg("\"%s\" does not say \"%s\"", error.detail, part);
    }
}

static void what_is_not_canonical_is_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",
        "{",
        "[]",
        "{}x",
        "{\"b\":1,\"a\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"a\": 1}",
        " {\"a\":1}",
        "{\"a\":1.5}",
        "{\"a\":1e2}",
        "{\"a\":01}",
        "{\"a\":-0}",
        "{\"a\":9223372036854775808}",
        "{\"a\":-}",
        "{\"a\":nul}",
        "{\"a\":\"\\/\"}",
        "{\"a\":\"\\u0041\"}",
        "{\"a\":\"\\u001F\"}",
        "{\"a\":\"\\u000a\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\u00\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"b}",
        "{\"a\\n\":1}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 ]}",
        "{\"a\":{\"b\":1,}}",
        "{\"a\":{\"c\":1,\"b\":1}}",
        "{\"a\":[}]",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_refused(BAD[i], i == 0 ? "0 bytes" : "no canonical JSON");
    }
    AUTO_BUFFER struct buffer deep = {0};
    buffer_append_string(&deep, "{\"a\":");
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        buffer_append_byte(&deep, '[');
    }
    assert_refused(deep.bytes, "no canonical JSON");
}

// The dataset's line with its first `from` replaced.
static char *replaced(const char *from, const char *to)
{
    const char *at = strstr(DATASET, from);
    assert_non_null(at);
    return memory_format("%.*s%s%s", (int)(at - DATASET), DATASET, to, at + strlen(from));
}

static void what_an_entry_must_say_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *problem;
    } BAD[] = {
        {"\"epoch\":3", "\"epoch\":0", "epoch"},
        {"\"epoch\":3", "\"epoch\":\"3\"", "epoch"},
        {"\"serial\":7", "\"serial\":-1", "serial"},
        {"\"previous\":0", "\"previous\":-1", "previous"},
        {"\"kind\":\"dataset\"", "\"kind\":\"heartbeat\"", "kind"},
        {"\"kind\":\"dataset\"", "\"kind\":7", "kind"},
        {"\"signature\":\"K", "\"signature\":\"", "signature"},
        {"\"site\":", "\"sitf\":", "site"},
        {"\"time\":", "\"timf\":", "time"},
        {"\"id\":\"doi:10.1/\\\"x\"", "\"id\":\"\"", "id"},
        {"\"id\":\"doi:10.1/\\\"x\"", "\"id\":null", "id"},
        {"[\"s:a\",", "[7,", "alias"},
        {"[\"s:a\",", "[\"\",", "alias"},
        {"[\"s:a\",\"s:\\\"b\\\\\"]", "\"s:a\"", "aliases"},
        {"\"digest\":\"" DIGEST "\"", "\"digest\":7", "digest"},
        {"\"file_count\":12", "\"file_count\":-1", "file_count"},
        {"\"size_bytes\":4096", "\"size_bytes\":null", "size_bytes"},
        {"\"state\":\"available\"", "\"state\":1", "state"},
        {"\"tier\":\"online\"", "\"tier\":1", "tier"},
        {"\"title\":", "\"titlf\":", "title"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        AUTO_FREE char *line = replaced(BAD[i].from, BAD[i].to);
        assert_refused(line, BAD[i].problem);
    }
    AUTO_FREE char *staged = replaced("\"" DIGEST "\"", "null");
    assert_int_equal(entry_raw_text(&(struct entry){0}, MEMBER_ID).length, 0);
    assert_int_equal(scanned(staged).kind, ENTRY_DATASET);
    AUTO_FREE char *headless = memory_format("%s", HEAD);
    char *member = strstr(headless, "\"head\":\"sha");
    member[4] = 'f';
    assert_refused(headless, "head");
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer name = {0};
    while (name.length <= ENTRY_NAME_MAX) {
        buffer_append_byte(&name, 'x');
    }
    AUTO_FREE char *long_id = replaced("doi:10.1/\\\"x", name.bytes);
    assert_refused(long_id, "id");
    AUTO_FREE char *long_alias = replaced("s:a", name.bytes);
    assert_refused(long_alias, "alias");
    AUTO_BUFFER struct buffer many = {0};
    for (int i = 0; i < ENTRY_ALIASES_MAX; i++) {
        buffer_printf(&many, "\"s:%d\",", i);
    }
    AUTO_FREE char *many_aliases = replaced("\"s:a\",", many.bytes);
    assert_refused(many_aliases, "too many");
    AUTO_BUFFER struct buffer large = {0};
    while (large.length <= STATEMENT_SIZE_MAX) {
        buffer_append_byte(&large, 'x');
    }
    assert_refused(large.bytes, "bytes");
}

static const struct fingerprint OF_SITE = {SITE};

static void assert_packs(const char *line, size_t size_max)
{
    AUTO_BUFFER struct buffer packed = {0};
    AUTO_BUFFER struct buffer again = {0};
    char scratch[ENTRY_NAME_MAX];
    struct entry entry = scanned(line);
    packed_write(&entry, &packed);
    struct packed front;
    assert_int_equal(packed_read(buffer_text(&packed), &front, NULL), OK);
    assert_int_equal(front.epoch, entry.epoch);
    assert_int_equal(front.serial, entry.serial);
    assert_true(text_equal(front.aliases, entry.members[MEMBER_ALIASES]));
    struct text id = entry_unescape(entry_raw_text(&entry, MEMBER_ID), scratch);
    assert_int_equal(packed_unpack(buffer_text(&packed), id, &OF_SITE, &again, NULL), OK);
    assert_string_equal(again.bytes, line);
    if (packed.length > size_max) {
        fail_msg("packed into %zu bytes", packed.length);
    }
}

static void an_entry_is_packed_and_comes_out_the_same(void **state)
{
    (void)state;
    assert_packs(DATASET, 170);
    static const struct {
        const char *from;
        const char *to;
        size_t size_max;
    } OTHERS[] = {
        {"\"" DIGEST "\"", "null", 170},
        {"\"available\"", "\"lost\"", 170},
        {"\"available\"", "\"quite new\"", 180},
        {"\"online\"", "\"cellar\"", 180},
        {"[\"s:a\",\"s:\\\"b\\\\\"]", "[]", 170},
        {"\"epoch\":3", "\"epoch\":9007199254740991", 180},
        {"\"previous\":0", "\"previous\":6", 170},
        // What has no place in the packed form is kept whole.
        {"00.250000Z", "00.25Z", 1000},
        {"2026-11-21T10:00:00.250000Z", "1926-11-21T10:00:00Z", 1000},
        {"10:00:00.250000Z", "10:00:00+00:00", 1000},
        {"\"previous\":0,", "", 1000},
        {"\"previous\":0,", "\"licence\":\"CC0\",\"previous\":0,", 1000},
        {"sha256:e3b0", "sha256:E3B0", 1000},
        {"sha256:e3b0", "sha512:e3b0", 1000},
        {SITE "\"", SITE "0\"", 1000},
        {"ZCQ==\"", "ZCR==\"", 1000},
    };
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        AUTO_FREE char *line = replaced(OTHERS[i].from, OTHERS[i].to);
        assert_packs(line, OTHERS[i].size_max);
    }
}

static void a_damaged_packed_entry_is_found(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer packed = {0};
    AUTO_BUFFER struct buffer again = {0};
    struct entry entry = scanned(DATASET);
    struct packed front;
    packed_write(&entry, &packed);
    for (size_t length = 0; length < packed.length; length++) {
        struct text cut = {packed.bytes, length};
        assert_int_equal(packed_unpack(cut, TEXT("s:a"), &OF_SITE, &again, NULL), CORRUPT);
    }
    buffer_append_byte(&packed, 'x');
    assert_int_equal(packed_unpack(buffer_text(&packed), TEXT("s:a"), &OF_SITE, &again, NULL),
                     CORRUPT);
    packed.bytes[0] = 7;
    assert_int_equal(packed_read(buffer_text(&packed), &front, NULL), CORRUPT);
    assert_int_equal(packed_read(TEXT_NONE, &front, NULL), CORRUPT);
    assert_int_equal(again.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dataset_is_read),
        cmocka_unit_test(removals_and_heads_are_read),
        cmocka_unit_test(what_a_later_version_says_besides_is_allowed),
        cmocka_unit_test(what_is_not_canonical_is_refused),
        cmocka_unit_test(what_an_entry_must_say_is_checked),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(an_entry_is_packed_and_comes_out_the_same),
        cmocka_unit_test(a_damaged_packed_entry_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
