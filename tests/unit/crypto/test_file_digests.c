#include "../cmocka_all.h"

#include "base/memory.h"
#include "crypto/file_digests.h"
#include "os/file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, REPLACEMENTS = 200 };

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

// What the threads of a test look at, each as often as it can, while the file is written anew.
struct looking {
    struct file_digests *digests;
    const char *path;
    struct digest known[2]; // Of the two contents that it may have.
    _Atomic bool is_over;
    _Atomic int strange; // Digests that are of neither.
};

static void *look_often(void *context)
{
    struct looking *looking = context;
    while (!atomic_load(&looking->is_over)) {
        struct digest digest = look_at(looking->digests, looking->path);
        if (!digest_equal(&digest, &looking->known[0]) &&
            !digest_equal(&digest, &looking->known[1])) {
            atomic_fetch_add(&looking->strange, 1);
        }
    }
    return NULL;
}

static void threads_may_look_while_a_file_is_replaced(void **state)
{
    (void)state;
    char folder[] = "/tmp/lode-digests-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO_FREE char *path = memory_format("%s/program", folder);
    struct looking looking = {.digests = file_digests_new(),
                              .path = path,
                              .known = {digest_of("one", 3), digest_of("three", 5)}};
    pthread_t threads[THREADS];
    assert_int_equal(file_write_atomic(path, TEXT("one"), 0644, NULL), OK);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look_often, &looking), 0);
    }
    for (int i = 0; i < REPLACEMENTS; i++) {
        struct text content = i % 2 ? TEXT("one") : TEXT("three");
        assert_int_equal(file_write_atomic(path, content, 0644, NULL), OK);
        struct digest now = look_at(looking.digests, path);
        assert_true(digest_equal(&now, &looking.known[i % 2 ? 0 : 1]));
    }
    atomic_store(&looking.is_over, true);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&looking.strange), 0);
    file_digests_free(looking.digests);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_changed_has_another_digest),
        cmocka_unit_test(threads_may_look_while_a_file_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
