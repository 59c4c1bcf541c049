#include "resolve/kept.h"

#include "base/json.h"

static void read_list(json_t *list, struct text name, struct arena *arena, struct location **out,
                      size_t *count)
{
    struct error problem;
    AUTO_BUFFER struct buffer text = {0};
    AUTO_JSON json_t *document = json_pack("{s:O}", "locations", list);
    json_write(document, false, &text);
    if (resolve_read_answer(buffer_text(&text), name, arena, out, count, &problem, NULL) != OK) {
        *count = 0;
    }
}

void kept_read(struct text document, struct text name, struct arena *arena, struct kept *out)
{
    AUTO_JSON json_t *object = NULL;
    *out = (struct kept){0};
    if (document.length == 0 || json_parse(document, &object, NULL) != OK) {
        return;
    }
    json_t *omitted = json_object_get(object, "omitted");
    json_t *now = json_object_get(object, "locations");
    out->catching_up = json_integer_value(json_object_get(object, "catching_up"));
    if (json_is_array(now)) {
        read_list(now, name, arena, &out->now, &out->now_count);
    }
    if (json_is_array(omitted)) {
        read_list(omitted, name, arena, &out->omitted, &out->omitted_count);
    }
}

static void write_list(const struct location *locations, size_t count, struct buffer *out)
{
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
        if (each->told_us > 0) {
            buffer_printf(out, ",\"told_us\":%lld", (long long)each->told_us);
        }
        buffer_append_byte(out, '}');
    }
}

void kept_write(const struct kept *kept, struct buffer *out)
{
    buffer_append_string(out, "{\"locations\":[");
    write_list(kept->now, kept->now_count, out);
    buffer_append_string(out, "],\"omitted\":[");
    write_list(kept->omitted, kept->omitted_count, out);
    buffer_append_byte(out, ']');
    if (kept->catching_up > 0) {
        buffer_printf(out, ",\"catching_up\":%lld", (long long)kept->catching_up);
    }
    buffer_append_byte(out, '}');
}

static struct location *find(struct location *locations, size_t count,
                             const struct fingerprint *site)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(locations[i].site.text, site->text) == 0) {
            return &locations[i];
        }
    }
    return NULL;
}

static bool is_newer(const struct location *a, const struct location *b)
{
    return a->epoch > b->epoch || (a->epoch == b->epoch && a->serial > b->serial);
}

void kept_merge(struct kept *kept, const struct location *more, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct location *known = find(kept->now, kept->now_count, &more[i].site);
        if (known && is_newer(&more[i], known)) {
            *known = more[i];
        } else if (!known && kept->now_count < RESOLVE_LOCATIONS_MAX) {
            kept->now[kept->now_count++] = more[i];
        }
    }
}

bool kept_omits(const struct kept *kept, const struct kept *before)
{
    for (size_t i = 0; i < before->now_count; i++) {
        if (!find(kept->now, kept->now_count, &before->now[i].site)) {
            return true;
        }
    }
    return false;
}

static void keep(struct kept *kept, const struct location *location, int64_t told_us)
{
    if (!find(kept->now, kept->now_count, &location->site) &&
        !find(kept->omitted, kept->omitted_count, &location->site) &&
        kept->omitted_count < RESOLVE_LOCATIONS_MAX) {
        struct location *added = &kept->omitted[kept->omitted_count++];
        *added = *location;
        added->told_us = told_us;
    }
}

void kept_keep(struct kept *kept, const struct kept *before, int64_t answered_us,
               struct arena *arena)
{
    size_t most = before->now_count + before->omitted_count;
    kept->omitted = arena_new(arena, (most + 1) * sizeof *kept->omitted);
    kept->omitted_count = 0;
    for (size_t i = 0; i < before->now_count; i++) {
        keep(kept, &before->now[i], answered_us);
    }
    for (size_t i = 0; i < before->omitted_count; i++) {
        keep(kept, &before->omitted[i], before->omitted[i].told_us);
    }
}
