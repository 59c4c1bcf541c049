#include "fixture.h"

#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"

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
