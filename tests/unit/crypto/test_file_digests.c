#include "../cmocka_all.h"

#include "base/memory.h"
#include "crypto/file_digests.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct digest look_at(struct file_digests *digests, const char *path)
{
    struct digest digest;
    assert_int_equal(file_digests_get(digests, text_of(path), &digest, NULL), OK);
    return digest;
}

static void a_file_that_changed_has_another_digest(void **state)
{
    (void)state;
    char folder[] = "/tmp/lode-digests-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO_FREE char *path = memory_format("%s/program", folder);
    struct file_digests *digests = file_digests_new();
    assert_int_equal(file_write_atomic(path, TEXT("one"), 0644, NULL), OK);
    struct digest first = look_at(digests, path);
    struct digest again = look_at(digests, path);
    assert_true(digest_equal(&first, &again));
    assert_int_equal(file_write_atomic(path, TEXT("two"), 0644, NULL), OK);
    struct digest changed = look_at(digests, path);
    assert_false(digest_equal(&first, &changed));
    assert_int_equal(unlink(path), 0);
    struct digest gone;
    assert_int_equal(file_digests_get(digests, text_of(path), &gone, NULL), NOT_FOUND);
    assert_int_equal(file_digests_get(digests, text_of(folder), &gone, NULL), INVALID);
    file_digests_free(digests);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_changed_has_another_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
