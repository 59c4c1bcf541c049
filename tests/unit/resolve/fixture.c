#include "fixture.h"

#include "../cmocka_all.h"

#include "os/file.h"
#include "resolve/resolution.h"

#include <stdio.h>
#include <stdlib.h>

void signer_open(struct signer *signer)
{
    struct error error = {0};
    (void)snprintf(signer->folder, sizeof signer->folder, "/tmp/lode-test-resolve.XXXXXX");
    assert_non_null(mkdtemp(signer->folder));
    if (key_ensure(signer->folder, "test", &signer->site, &error) != OK ||
        signing_key_open(signer->folder, &signer->key, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    signer->public_key = *signing_key_public(signer->key);
}

void signer_close(struct signer *signer)
{
    signing_key_free(signer->key);
    assert_int_equal(file_remove_tree(signer->folder, NULL), OK);
}

void write_entry(const struct signer *signer, const struct entry_fields *fields, struct buffer *out)
{
    const char *digest = "sha256:0123456789012345678901234567890123456789012345678901234567890123";
    AUTO_JSON json_t *entry =
        json_pack("{s:s, s:I, s:I, s:s, s:[], s:s, s:s, s:i, s:I, s:s, s:s, s:s}", "kind",
                  "dataset", "epoch", (json_int_t)(fields->epoch ? fields->epoch : 1), "serial",
                  (json_int_t)(fields->serial ? fields->serial : 1), "id",
                  fields->id ? fields->id : "doi:10.1/a", "aliases", "title", "A \"quoted\" title",
                  "digest", digest, "file_count", 3, "size_bytes", (json_int_t)4096, "tier",
                  fields->tier ? fields->tier : "online", "state",
                  fields->state ? fields->state : "available", "time", "2026-11-21T10:00:00Z");
    assert_non_null(entry);
    if (fields->alias) {
        (void)json_array_append_new(json_object_get(entry, "aliases"), json_string(fields->alias));
    }
    assert_int_equal(statement_sign(entry, signer->key, out, NULL), OK);
}

struct resolve_site site_of(const struct signer *signer, const char *name)
{
    return (struct resolve_site){
        .site = signer->site,
        .key = signer->public_key,
        .name = name,
        .url = "https://site.example:7733",
        .standing = "member",
        .liveness = "up",
        .heard_seconds = 12,
        .load_permille = 250,
        .rtt_us = 3100,
    };
}

void write_location(const struct signer *signer, const char *name, struct text entry,
                    struct buffer *out)
{
    char key[PUBLIC_KEY_TEXT_SIZE];
    public_key_to_text(&signer->public_key, key);
    buffer_append_string(out, out->length > 0 ? ",{\"entry\":" : "{\"entry\":");
    buffer_append_text(out, entry);
    buffer_printf(out,
                  ",\"public_key\":\"%s\",\"name\":\"%s\",\"url\":\"https://%s.example\","
                  "\"liveness\":\"up\",\"heard_seconds\":5,\"standing\":\"member\",\"load\":0.5,"
                  "\"rtt_ms\":null,\"rank\":1}",
                  key, name, name);
}

void write_document(struct text locations, struct buffer *out)
{
    buffer_append_string(out, "{\"id\":\"doi:10.1/a\",\"ttl_seconds\":300,\"age_seconds\":0,"
                              "\"source\":\"index\",\"locations\":[");
    buffer_append_text(out, locations);
    buffer_append_string(out, "]}\n");
}

void write_simple(const struct signer *signer, const char *name, const struct entry_fields *fields,
                  struct buffer *out)
{
    AUTO_BUFFER struct buffer entry = {0};
    AUTO_BUFFER struct buffer location = {0};
    write_entry(signer, fields, &entry);
    write_location(signer, name, buffer_text(&entry), &location);
    write_document(buffer_text(&location), out);
}
