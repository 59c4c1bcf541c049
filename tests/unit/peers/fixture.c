#include "fixture.h"
#include "../cmocka_all.h"

#include "base/calendar.h"
#include "base/memory.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>

struct signing_key *make_key(const struct fixture *fixture, const char *name)
{
    struct signing_key *key = NULL;
    struct fingerprint fingerprint;
    AUTO_FREE char *folder = memory_format("%s/%s", fixture->folder, name);
    assert_int_equal(file_make_folder(folder, NULL), OK);
    assert_int_equal(key_ensure(folder, name, &fingerprint, NULL), OK);
    assert_int_equal(signing_key_open(folder, &key, NULL), OK);
    return key;
}

void open_all(struct fixture *fixture, bool joins_openly)
{
    struct error error = {0};
    struct store_migration migrations[16];
    size_t count = 0;
    for (size_t i = 0; i < LEDGER_MIGRATION_COUNT; i++) {
        migrations[count++] = LEDGER_MIGRATIONS[i];
    }
    for (size_t i = 0; i < PEERS_MIGRATION_COUNT; i++) {
        migrations[count++] = PEERS_MIGRATIONS[i];
    }
    AUTO_FREE char *url = memory_format("%s/lode.db", fixture->folder);
    AUTO_FREE char *index = memory_format("%s/index", fixture->folder);
    AUTO_FREE char *own = memory_format("%s/%s", fixture->folder, fixture->name);
    const struct store_options store = {
        .url = url, .migrations = migrations, .migration_count = count};
    assert_int_equal(store_open(&store, &fixture->store, &error), OK);
    const struct ledger_options ledger = {.store = fixture->store, .key = fixture->key};
    assert_int_equal(ledger_open(&ledger, &fixture->ledger, &error), OK);
    const struct mirror_options mirror = {.store = fixture->store, .index_folder = index};
    if (fixture->is_hub) {
        assert_int_equal(mirror_open(&mirror, &fixture->mirror, &error), OK);
    }
    const struct peers_options peers = {.store = fixture->store,
                                        .key = fixture->key,
                                        .directory = own,
                                        .name = fixture->name,
                                        .ledger = fixture->ledger,
                                        .mirror = fixture->mirror,
                                        .joins_openly = joins_openly};
    assert_int_equal(peers_open(&peers, &fixture->peers, &error), OK);
}

void close_all(struct fixture *fixture)
{
    peers_stop(fixture->peers);
    mirror_close(TAKE(fixture->mirror));
    ledger_close(fixture->ledger);
    store_close(fixture->store);
    peers_close(fixture->peers);
}

static int start(void **state, const char *name, bool is_hub)
{
    struct fixture *fixture = NEW(struct fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/lode-test-peers.XXXXXX");
    *state = fixture;
    if (!mkdtemp(fixture->folder)) {
        return -1;
    }
    fixture->name = name;
    fixture->is_hub = is_hub;
    fixture->key = make_key(fixture, name);
    fixture->ocean = make_key(fixture, "ocean");
    fixture->lake = make_key(fixture, "lake");
    open_all(fixture, false);
    return 0;
}

int start_hub(void **state)
{
    return start(state, "hub", true);
}

int start_site(void **state)
{
    return start(state, "desk", false);
}

int stop(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    signing_key_free(fixture->key);
    signing_key_free(fixture->ocean);
    signing_key_free(fixture->lake);
    enum status status = file_remove_tree(fixture->folder, NULL);
    free(fixture);
    return status == OK ? 0 : -1;
}

char *sign(json_t *statement, const struct signing_key *key)
{
    AUTO_BUFFER struct buffer text = {0};
    assert_int_equal(statement_sign(statement, key, &text, NULL), OK);
    json_decref(statement);
    return text_copy(buffer_text(&text));
}

char *site_of(const struct signing_key *key, const char *name, const char *url)
{
    char text[PUBLIC_KEY_TEXT_SIZE];
    json_t *urls = json_array();
    public_key_to_text(signing_key_public(key), text);
    if (url) {
        (void)json_array_append_new(urls, json_string(url));
    }
    return sign(json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:i, s:b}", "kind", "site", "time",
                          "2026-01-01T00:00:00Z", "name", name, "public_key", text, "urls", urls,
                          "version", "1", "protocol", 1, "is_hub", 0),
                key);
}

char *heartbeat_of(const struct signing_key *key, int64_t time_us, int cpus)
{
    char time[CALENDAR_TEXT_SIZE];
    (void)calendar_format(time_us, time);
    return sign(json_pack("{s:s, s:s, s:i, s:i, s:s, s:{s:i, s:i}, s:i}", "kind", "heartbeat",
                          "time", time, "epoch", 1, "serial", 0, "head",
                          "sha256:0000000000000000000000000000000000000000000000000000000000000000",
                          "load", "cpus", cpus, "cpus_busy", 2, "ttl_seconds", 60),
                key);
}
