// Reading an answer that came from somebody else: nothing in it counts until the signature of the site that is said to have said it was verified.
#include "resolve/resolve.h"

#include "ledger/statement.h"

enum {
    TEXT_MAX = 2048, // Of identifiers, titles, names and addresses.
    SAID_MAX = 60,   // Bytes of a name that a message repeats.
    SECONDS_MAX = 2000000000,
};

// What an answer is read with.
struct reading {
    struct text name;
    struct arena *arena;
    struct error *problem;
};

// How an entry is named in a message: "site ocean (sha256:0123...), epoch 1, serial 7".
static const char *describe(const struct reading *reading, const json_t *location,
                            const json_t *entry)
{
    struct text name = json_text(json_object_get(location, "name"));
    struct text site = json_text(json_object_get(entry, "site"));
    const json_t *epoch = json_object_get(entry, "epoch");
    const json_t *serial = json_object_get(entry, "serial");
    return arena_format(
        reading->arena, "site %.*s (%.*s), epoch %lld, serial %lld",
        TEXT_ARGS(text_slice(name, 0, SAID_MAX)), TEXT_ARGS(text_slice(site, 0, FINGERPRINT_SIZE)),
        (long long)json_integer_value(epoch), (long long)json_integer_value(serial));
}

static const char *copy(const struct reading *reading, const json_t *value)
{
    struct text text = text_slice(json_text(value), 0, TEXT_MAX);
    return arena_copy(reading->arena, text);
}

// A number in thousandths of its unit; -1 when it is no number or out of range.
static int64_t read_thousandths(const json_t *value)
{
    double number = json_is_number(value) ? json_number_value(value) : -1;
    return number >= 0 && number <= SECONDS_MAX ? (int64_t)(number * 1000 + 0.5) : -1;
}

static bool is_about(const json_t *entry, struct text name)
{
    if (text_equal(json_text(json_object_get(entry, "id")), name)) {
        return true;
    }
    const json_t *aliases = json_object_get(entry, "aliases");
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        if (text_equal(json_text(json_array_get(aliases, i)), name)) {
            return true;
        }
    }
    return false;
}

// The members of a verified entry.
static enum status read_entry(const struct reading *reading, const json_t *entry,
                              struct location *out, struct error *error)
{
    struct text text = TEXT_NONE;
    TRY(json_field_text(entry, "id", JSON_REQUIRED, TEXT_MAX, &text, error));
    TRY(json_field_int64(entry, "epoch", JSON_REQUIRED, 1, INT64_MAX, &out->epoch, error));
    TRY(json_field_int64(entry, "serial", JSON_REQUIRED, 1, INT64_MAX, &out->serial, error));
    TRY(json_field_int64(entry, "file_count", JSON_OPTIONAL, 0, INT64_MAX, &out->file_count,
                         error));
    TRY(json_field_int64(entry, "size_bytes", JSON_OPTIONAL, 0, INT64_MAX, &out->size_bytes,
                         error));
    text = TEXT_NONE;
    TRY(json_field_text(entry, "digest", JSON_OPTIONAL, DIGEST_TEXT_SIZE, &text, error));
    if (text.length > 0) {
        TRY(digest_from_text(text, &out->digest, error));
        out->has_digest = true;
    }
    out->id = copy(reading, json_object_get(entry, "id"));
    out->title = copy(reading, json_object_get(entry, "title"));
    out->tier = copy(reading, json_object_get(entry, "tier"));
    out->state = copy(reading, json_object_get(entry, "state"));
    out->said_at = copy(reading, json_object_get(entry, "time"));
    AUTO_BUFFER struct buffer canonical = {0};
    TRY(statement_write_canonical(entry, &canonical, error));
    out->entry =
        (struct text){arena_copy(reading->arena, buffer_text(&canonical)), canonical.length};
    return OK;
}

// What the answering site says besides, which nobody has signed: hints.
static void read_hints(const struct reading *reading, const json_t *location, struct location *out)
{
    const json_t *heard = json_object_get(location, "heard_seconds");
    int64_t seconds = json_is_integer(heard) ? (int64_t)json_integer_value(heard) : -1;
    out->name = copy(reading, json_object_get(location, "name"));
    out->url = copy(reading, json_object_get(location, "url"));
    out->standing = copy(reading, json_object_get(location, "standing"));
    out->liveness = copy(reading, json_object_get(location, "liveness"));
    out->heard_seconds = seconds >= 0 && seconds <= SECONDS_MAX ? seconds : -1;
    const json_t *age = json_object_get(location, "age_seconds");
    int64_t age_seconds = json_is_integer(age) ? (int64_t)json_integer_value(age) : 0;
    out->age_seconds = age_seconds > 0 && age_seconds <= SECONDS_MAX ? age_seconds : 0;
    const json_t *told = json_object_get(location, "told_us");
    int64_t told_us = json_is_integer(told) ? (int64_t)json_integer_value(told) : 0;
    out->told_us = told_us > 0 ? told_us : 0;
    out->load_permille = read_thousandths(json_object_get(location, "load"));
    out->rtt_us = read_thousandths(json_object_get(location, "rtt_ms"));
}

static enum status read_location(const struct reading *reading, const json_t *location,
                                 struct location *out, struct error *error)
{
    const json_t *entry = json_object_get(location, "entry");
    TRY(public_key_from_text(json_text(json_object_get(location, "public_key")), &out->key, error));
    TRY(statement_verify(entry, "dataset", &out->key, error));
    out->site = public_key_fingerprint(&out->key);
    if (!is_about(entry, reading->name)) {
        return error_set(error, CORRUPT, "it is about another dataset, %.100s",
                         copy(reading, json_object_get(entry, "id")));
    }
    TRY(read_entry(reading, entry, out, error));
    read_hints(reading, location, out);
    return OK;
}

// Notes the first thing that does not hold.
static void note_problem(const struct reading *reading, const json_t *location,
                         const struct error *found)
{
    if (reading->problem->status == OK) {
        (void)error_set(reading->problem, CORRUPT, "the entry of %s does not hold: %.200s",
                        describe(reading, location, json_object_get(location, "entry")),
                        found->detail);
    }
}

enum status resolve_read_answer(struct text document, struct text name, struct arena *arena,
                                struct location **out, size_t *count, struct error *problem,
                                struct error *error)
{
    AUTO_JSON json_t *answer = NULL;
    json_t *locations = NULL;
    struct error failure = {0};
    if (json_parse(document, &answer, &failure) != OK ||
        json_field_array(answer, "locations", JSON_REQUIRED, RESOLVE_LOCATIONS_MAX, &locations,
                         &failure) != OK) {
        return error_set(error, CORRUPT, "this is no answer about a dataset: %.200s",
                         failure.detail);
    }
    *problem = (struct error){0};
    struct reading reading = {.name = name, .arena = arena, .problem = problem};
    size_t size = json_array_size(locations);
    struct location *found = arena_new(arena, (size + 1) * sizeof *found);
    size_t good = 0;
    for (size_t i = 0; i < size; i++) {
        const json_t *location = json_array_get(locations, i);
        struct location read = {.heard_seconds = -1};
        if (read_location(&reading, location, &read, &failure) == OK) {
            found[good++] = read;
        } else {
            note_problem(&reading, location, &failure);
        }
    }
    *out = found;
    *count = good;
    return OK;
}

static enum status check_one(const struct location *now, const struct location *before,
                             struct error *error)
{
    bool is_older =
        now->epoch < before->epoch || (now->epoch == before->epoch && now->serial < before->serial);
    if (!is_older || strcmp(now->site.text, before->site.text) != 0 ||
        strcmp(now->id, before->id) != 0) {
        return OK;
    }
    return error_set(error, CORRUPT,
                     "the entry of site %.60s (%s), epoch %lld, serial %lld is an old one: epoch "
                     "%lld, serial %lld was seen before",
                     now->name, now->site.text, (long long)now->epoch, (long long)now->serial,
                     (long long)before->epoch, (long long)before->serial);
}

enum status resolve_check_newer(const struct location *now, size_t count,
                                const struct location *before, size_t before_count,
                                struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t each = 0; each < before_count; each++) {
            TRY(check_one(&now[i], &before[each], error));
        }
    }
    return OK;
}

int64_t resolve_read_catching_up(struct text document)
{
    AUTO_JSON json_t *answer = NULL;
    if (json_parse(document, &answer, NULL) != OK) {
        return 0;
    }
    int64_t said = json_integer_value(json_object_get(answer, "catching_up"));
    return said < 0 ? 0 : said < MIRROR_SITES_MAX ? said : MIRROR_SITES_MAX;
}
