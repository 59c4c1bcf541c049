#include "resolve/resolution.h"

#include "base/hex.h"

#include <assert.h>

enum {
    PARTS_FIRST_SIZE = 8192,
    LOCATION_SIZE = 640, // About, besides the entry.
    NUMBER_UNKNOWN = INT32_MAX,
};

static const struct text RTT_KEY = {",\"rtt_ms\":", 10};

void resolution_init(struct resolution *resolution)
{
    resolution->count = 0;
    buffer_init(&resolution->parts, 0);
}

void resolution_done(struct resolution *resolution)
{
    buffer_done(&resolution->parts);
}

int resolve_liveness_rank(struct text liveness)
{
    if (text_equal(liveness, TEXT("up"))) {
        return 0;
    }
    if (text_equal(liveness, TEXT("stale"))) {
        return 1;
    }
    return text_equal(liveness, TEXT("down")) ? 3 : 2;
}

// The text of a member of a canonical object, without its quotes; empty when it is not there. `key` is `,"name":"`: these bytes cannot stand within a
// string of JSON, where a quote has a backslash before it. *rest becomes what follows, where the members are that sort behind it.
static struct text take_member(struct text *rest, struct text key)
{
    const char *at = memmem(rest->bytes, rest->length, key.bytes, key.length);
    if (!at) {
        return TEXT_NONE;
    }
    const char *from = at + key.length;
    const char *end = rest->bytes + rest->length;
    for (const char *each = from; each < end; each++) {
        if (*each == '\\') {
            each++;
        } else if (*each == '"') {
            *rest = (struct text){each, (size_t)(end - each)};
            return (struct text){from, (size_t)(each - from)};
        }
    }
    return TEXT_NONE;
}

static uint32_t place_in(struct text word, const char *const *list, uint32_t count)
{
    uint32_t at = 0;
    while (at < count && !text_equal(word, text_of(list[at]))) {
        at++;
    }
    return at;
}

static uint32_t judge_availability(struct text state, struct text tier)
{
    static const char *const STATES[] = {"available", "staging", "archived", "changed", "lost"};
    static const char *const TIERS[] = {"online", "scratch", "nearline", "offline"};
    enum { STATE_COUNT = 5, TIER_COUNT = 4 };
    return place_in(state, STATES, STATE_COUNT) * (TIER_COUNT + 1) +
           place_in(tier, TIERS, TIER_COUNT);
}

static struct resolution_rank judge(struct text rest, const struct resolve_site *site)
{
    bool is_measured = site->rtt_us >= 0;
    struct text state = take_member(&rest, TEXT(",\"state\":\""));
    struct text tier = take_member(&rest, TEXT(",\"tier\":\""));
    return (struct resolution_rank){
        .availability = judge_availability(state, tier),
        .liveness = (uint32_t)site->liveness_rank,
        .distance_class = site->is_self ? DISTANCE_SELF
                          : is_measured ? DISTANCE_MEASURED
                                        : DISTANCE_UNKNOWN,
        .rtt_us = is_measured ? site->rtt_us : NUMBER_UNKNOWN,
        .load_permille = site->load_permille >= 0 ? site->load_permille : NUMBER_UNKNOWN,
    };
}

#define ORDER(field)                                                                               \
    if (a->rank.field != b->rank.field) {                                                          \
        return a->rank.field < b->rank.field;                                                      \
    }

// Where nothing else decides, the fingerprint does, so that every answer has the same order.
static bool is_better(const struct resolution_location *a, const struct resolution_location *b)
{
    ORDER(availability)
    ORDER(liveness)
    ORDER(distance_class)
    ORDER(rtt_us)
    ORDER(load_permille)
    return strcmp(a->site.text, b->site.text) < 0;
}

static bool is_there(const struct resolution *resolution, const struct fingerprint *site)
{
    for (size_t i = 0; i < resolution->count; i++) {
        if (strcmp(resolution->locations[i].site.text, site->text) == 0) {
            return true;
        }
    }
    return false;
}

static void append(struct buffer *out, struct text literal)
{
    buffer_append(out, literal.bytes, literal.length);
}

// `,"key":` and the text as JSON.
static void append_text(struct buffer *out, struct text key, const char *value)
{
    append(out, key);
    buffer_append_json_string(out, text_of(value));
}

// A number of thousandths with as many decimals as it needs; null when it is below 0.
static void append_thousandths(struct buffer *out, struct text key, int64_t thousandths)
{
    append(out, key);
    if (thousandths < 0) {
        append(out, TEXT("null"));
        return;
    }
    buffer_append_int64(out, thousandths / 1000);
    int64_t rest = thousandths % 1000;
    if (rest > 0) {
        char decimals[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                           (char)('0' + rest % 10)};
        size_t length = sizeof decimals;
        while (decimals[length - 1] == '0') {
            length--;
        }
        buffer_append(out, decimals, length);
    }
}

static void write_site(struct buffer *out, const struct resolve_site *site)
{
    append(out, TEXT(",\"public_key\":\""));
    base64_append(out, site->key.bytes, sizeof site->key.bytes);
    append_text(out, TEXT("\",\"name\":"), site->name);
    append_text(out, TEXT(",\"url\":"), site->url);
    append_text(out, TEXT(",\"liveness\":"), site->liveness);
    append(out, TEXT(",\"heard_seconds\":"));
    if (site->heard_seconds < 0) {
        append(out, TEXT("null"));
    } else {
        buffer_append_int64(out, site->heard_seconds);
    }
    if (site->age_seconds > 0) {
        append(out, TEXT(",\"age_seconds\":"));
        buffer_append_int64(out, site->age_seconds);
    }
    append_text(out, TEXT(",\"standing\":"), site->standing);
    append_thousandths(out, TEXT(",\"load\":"), site->load_permille);
    append_thousandths(out, RTT_KEY, site->rtt_us); // The last, for resolution_set_distance.
}

// Kept sorted: there are few, and the list is short.
static void insert(struct resolution *resolution, const struct resolution_location *location)
{
    size_t at = resolution->count++;
    for (; at > 0 && is_better(location, &resolution->locations[at - 1]); at--) {
        resolution->locations[at] = resolution->locations[at - 1];
    }
    resolution->locations[at] = *location;
}

void resolution_add(struct resolution *resolution, struct text entry,
                    const struct resolve_site *site)
{
    if (resolution->count == RESOLVE_LOCATIONS_MAX || is_there(resolution, &site->site)) {
        return;
    }
    struct buffer *parts = &resolution->parts;
    size_t need = entry.length + LOCATION_SIZE;
    (void)buffer_reserve(parts, need > PARTS_FIRST_SIZE ? need : PARTS_FIRST_SIZE);
    struct text rest = entry;
    struct text id = take_member(&rest, TEXT(",\"id\":\""));
    struct resolution_location location = {
        .rank = judge(rest, site), .site = site->site, .from = parts->length};
    append(parts, TEXT("{\"entry\":"));
    if (id.bytes) {
        location.id_from = parts->length + (size_t)(id.bytes - entry.bytes) - 1;
        location.id_length = id.length + 2;
    }
    buffer_append_text(parts, entry);
    write_site(parts, site);
    location.length = parts->length - location.from;
    insert(resolution, &location);
}

void resolution_set_distance(struct resolution *resolution, const struct fingerprint *site,
                             int64_t rtt_us)
{
    static const struct text UNKNOWN = {"null", 4};
    size_t at = 0;
    while (at < resolution->count && strcmp(resolution->locations[at].site.text, site->text) != 0) {
        at++;
    }
    if (rtt_us < 0 || at == resolution->count ||
        resolution->locations[at].rank.distance_class != DISTANCE_UNKNOWN) {
        return;
    }
    struct resolution_location location = resolution->locations[at];
    AUTO_BUFFER struct buffer part = {0};
    buffer_append(&part, resolution->parts.bytes + location.from,
                  location.length - RTT_KEY.length - UNKNOWN.length);
    append_thousandths(&part, RTT_KEY, rtt_us);
    if (location.id_length > 0) {
        location.id_from += resolution->parts.length - location.from;
    }
    location.from = resolution->parts.length;
    location.length = part.length;
    location.rank.distance_class = DISTANCE_MEASURED;
    location.rank.rtt_us = rtt_us;
    buffer_append_text(&resolution->parts, buffer_text(&part));
    resolution->count--;
    memmove(&resolution->locations[at], &resolution->locations[at + 1],
            (resolution->count - at) * sizeof location);
    insert(resolution, &location);
}

bool resolution_has_own(const struct resolution *resolution)
{
    for (size_t i = 0; i < resolution->count; i++) {
        if (resolution->locations[i].rank.distance_class == DISTANCE_SELF) {
            return true;
        }
    }
    return false;
}

void resolution_write(struct resolution *resolution, const struct resolution_origin *origin,
                      struct buffer *out)
{
    assert(resolution->count > 0);
    const char *parts = resolution->parts.bytes;
    const struct resolution_location *first = &resolution->locations[0];
    (void)buffer_reserve(out, resolution->parts.length + LOCATION_SIZE + origin->problems.length);
    append(out, TEXT("{\"id\":"));
    append(out, first->id_length > 0 ? (struct text){parts + first->id_from, first->id_length}
                                     : TEXT("null"));
    append(out, TEXT(",\"ttl_seconds\":"));
    buffer_append_int64(out, origin->catching_up > 0 ? RESOLVE_UNKNOWN_TTL_SECONDS
                                                     : RESOLVE_TTL_SECONDS);
    append(out, TEXT(",\"age_seconds\":"));
    buffer_append_int64(out, origin->age_seconds);
    append_text(out, TEXT(",\"source\":"), origin->source);
    if (origin->hub) {
        append_text(out, TEXT(",\"hub\":"), origin->hub);
    }
    if (origin->catching_up > 0) {
        append(out, TEXT(",\"catching_up\":"));
        buffer_append_int64(out, origin->catching_up);
    }
    if (origin->unanswered.length > 0) {
        append(out, TEXT(",\"unanswered\":"));
        buffer_append_json_string(out, origin->unanswered);
    }
    if (origin->problems.length > 0) {
        append(out, TEXT(",\"problems\":["));
        buffer_append_text(out, origin->problems);
        append(out, TEXT("]"));
    }
    append(out, TEXT(",\"locations\":["));
    for (size_t i = 0; i < resolution->count; i++) {
        const struct resolution_location *each = &resolution->locations[i];
        buffer_append(out, parts + each->from, each->length);
        append(out, TEXT(",\"rank\":"));
        buffer_append_int64(out, (int64_t)i + 1);
        append(out, i + 1 < resolution->count ? TEXT("},") : TEXT("}"));
    }
    append(out, TEXT("]}\n"));
}
