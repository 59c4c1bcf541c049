// entry_scan: agrees with the tree reader about what is canonical; what it accepts is packed and comes out the same.
#include "fuzz.h"
#include "ledger/packed.h"

static void check_packing(const struct entry *entry)
{
    AUTO_BUFFER struct buffer packed = {0};
    AUTO_BUFFER struct buffer again = {0};
    char scratch[ENTRY_NAME_MAX];
    struct packed front;
    struct fingerprint site = {{0}};
    struct text said = entry_raw_text(entry, MEMBER_SITE);
    packed_write(entry, &packed);
    // Whoever is no site of this length is kept whole, so that it does not matter here.
    if (said.length < sizeof site.text) {
        memcpy(site.text, said.bytes ? said.bytes : "", said.length);
    }
    struct text id = entry_unescape(entry_raw_text(entry, MEMBER_ID), scratch);
    FUZZ_CHECK(packed_read(buffer_text(&packed), &front, NULL) == OK);
    FUZZ_CHECK(front.epoch == entry->epoch && front.serial == entry->serial);
    FUZZ_CHECK(packed_unpack(buffer_text(&packed), id, &site, &again, NULL) == OK);
    FUZZ_CHECK(text_equal(buffer_text(&again), entry->line));
}

static void check_text(const struct entry *entry, const json_t *tree, enum entry_member member,
                       const char *name)
{
    char scratch[ENTRY_NAME_MAX];
    struct text raw = entry_raw_text(entry, member);
    if (raw.length <= ENTRY_NAME_MAX) {
        FUZZ_CHECK(
            text_equal(entry_unescape(raw, scratch), json_text(json_object_get(tree, name))));
    }
}

static void check_aliases(const struct entry *entry, const json_t *tree)
{
    char scratch[ENTRY_NAME_MAX];
    const json_t *aliases = json_object_get(tree, "aliases");
    struct text array = entry->members[MEMBER_ALIASES];
    struct text raw;
    size_t at = 0;
    while (entry_next_string(&array, &raw)) {
        const json_t *alias = json_array_get(aliases, at++);
        FUZZ_CHECK(text_equal(entry_unescape(raw, scratch), json_text(alias)));
    }
    FUZZ_CHECK(at == json_array_size(aliases));
}

// Does the error, behind the serial and id that it names, say that this is no canonical JSON? The id may say so too.
static bool is_broken(const char *detail)
{
    const char *reason = detail;
    for (const char *at = strstr(detail, ": "); at; at = strstr(reason, ": ")) {
        reason = at + 2;
    }
    return text_starts_with(text_of(reason), TEXT("no canonical JSON"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *tree = NULL;
    AUTO_BUFFER struct buffer canonical = {0};
    struct entry entry;
    struct error error = {0};
    struct text line = fuzz_text(data, size);
    bool is_tree = size <= STATEMENT_SIZE_MAX && json_parse(line, &tree, NULL) == OK;
    bool is_canonical = is_tree && statement_write_canonical(tree, &canonical, NULL) == OK &&
                        text_equal(buffer_text(&canonical), line);
    if (entry_scan(line, &entry, &error) != OK) {
        FUZZ_CHECK(error.status == CORRUPT && error.detail[0] != '\0');
        // Escapes in the names of members are the one thing that is canonical and refused.
        bool is_said_broken = is_broken(error.detail);
        FUZZ_CHECK(!is_said_broken || !is_canonical || text_contains_byte(line, '\\'));
        return 0;
    }
    FUZZ_CHECK(is_canonical);
    FUZZ_CHECK(entry.epoch == json_integer_value(json_object_get(tree, "epoch")));
    FUZZ_CHECK(entry.serial == json_integer_value(json_object_get(tree, "serial")));
    check_text(&entry, tree, MEMBER_SITE, "site");
    if (entry.kind == ENTRY_DATASET) {
        check_text(&entry, tree, MEMBER_ID, "id");
        check_text(&entry, tree, MEMBER_TITLE, "title");
        check_aliases(&entry, tree);
        check_packing(&entry);
    }
    return 0;
}
