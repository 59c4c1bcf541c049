#include "fixture.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"

#include <stdio.h>

static const char KNOWN_PEM[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
                                "-----END PRIVATE KEY-----\n";
const char FIXTURE_SITE[] =
    "sha256:deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170";

int fixture_folder_new(void **state)
{
    char *path = memory_copy_string("/tmp/lode-ledger-test.XXXXXX");
    assert_non_null(mkdtemp(path));
    *state = path;
    return 0;
}

int fixture_folder_free(void **state)
{
    enum status status = file_remove_tree(*state, NULL);
    free(*state);
    return status == OK ? 0 : -1;
}

static struct signing_key *open_key(const char *folder)
{
    struct signing_key *key = NULL;
    struct error error = {0};
    if (signing_key_open(folder, &key, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return key;
}

struct signing_key *fixture_known_key(const char *folder)
{
    AUTO_FREE char *place = memory_format("%s/known", folder);
    AUTO_FREE char *path = memory_format("%s/known/key.pem", folder);
    assert_int_equal(file_make_folder(place, NULL), OK);
    assert_int_equal(file_write_atomic(path, text_of(KNOWN_PEM), 0600, NULL), OK);
    return open_key(place);
}

struct signing_key *fixture_new_key(const char *folder, const char *name)
{
    AUTO_FREE char *place = memory_format("%s/%s", folder, name);
    struct fingerprint fingerprint;
    assert_int_equal(file_make_folder(place, NULL), OK);
    assert_int_equal(key_ensure(place, name, &fingerprint, NULL), OK);
    return open_key(place);
}

struct store *fixture_store(const char *folder, const char *name)
{
    AUTO_FREE char *path = memory_format("%s/%s.db", folder, name);
    struct store_options options = {
        .url = path, .migrations = LEDGER_MIGRATIONS, .migration_count = LEDGER_MIGRATION_COUNT};
    struct store *store = NULL;
    struct error error = {0};
    if (store_open(&options, &store, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return store;
}

void talker_open(struct talker *talker, const char *folder, const char *name)
{
    struct error error = {0};
    talker->store = fixture_store(folder, name);
    talker->key = fixture_new_key(folder, name);
    struct ledger_options options = {.store = talker->store, .key = talker->key};
    if (ledger_open(&options, &talker->ledger, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

void talker_close(struct talker *talker)
{
    ledger_close(TAKE(talker->ledger));
    store_close(TAKE(talker->store));
    signing_key_free(TAKE(talker->key));
}

struct ledger_dataset fixture_dataset(const char *id)
{
    return (struct ledger_dataset){
        .id = text_of(id),
        .title = TEXT("A title"),
        .has_digest = true,
        .digest = digest_of(id, strlen(id)),
        .file_count = 3,
        .size_bytes = 4096,
        .tier = "online",
        .state = "available",
    };
}

struct saying {
    const struct talker *talker;
    const struct ledger_dataset *dataset;
    struct text removed;
    int64_t from;
    int64_t to;
};

static enum status write_saying(struct sql *sql, void *context, struct error *error)
{
    const struct saying *saying = context;
    struct ledger *ledger = saying->talker->ledger;
    if (saying->dataset) {
        TRY(ledger_append_dataset(ledger, sql, saying->dataset, error));
    }
    if (saying->removed.length > 0) {
        TRY(ledger_append_removal(ledger, sql, saying->removed, error));
    }
    for (int64_t i = saying->from; i < saying->to; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "s:%lld", (long long)i);
        struct ledger_dataset dataset = fixture_dataset(id);
        TRY(ledger_append_dataset(ledger, sql, &dataset, error));
    }
    return OK;
}

static void say(struct saying saying)
{
    struct error error = {0};
    if (store_write_wait(saying.talker->store, write_saying, &saying, &error) != OK) {
        fail_msg("%s", error.detail);
    }
}

void talker_say(const struct talker *talker, const struct ledger_dataset *dataset)
{
    say((struct saying){.talker = talker, .dataset = dataset});
}

void talker_remove(const struct talker *talker, const char *id)
{
    say((struct saying){.talker = talker, .removed = text_of(id)});
}

void talker_say_many(const struct talker *talker, int64_t from, int64_t to)
{
    say((struct saying){.talker = talker, .from = from, .to = to});
}
