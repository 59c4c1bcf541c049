#include "../cmocka_all.h"

#include "base/memory.h"
#include "worker/ready.h"

static void what_is_sent_is_forgotten_when_it_has_arrived(void **state)
{
    (void)state;
    struct ready ready = {0};
    int64_t to = 0;
    assert_false(ready_settle(&ready, &to));
    assert_int_equal(ready_send(&ready).length, 0);
    ready_add(&ready, TEXT("[0]"), 1);
    ready_add(&ready, TEXT("[1]"), 2);
    assert_true(text_equal(ready_send(&ready), TEXT("[0],[1]")));
    ready_unsend(&ready);
    assert_false(ready_settle(&ready, &to));
    assert_true(text_equal(ready_send(&ready), TEXT("[0],[1]")));
    ready_add(&ready, TEXT("[2]"), 3); // While the others are under way.
    assert_true(ready_settle(&ready, &to));
    assert_int_equal(to, 2);
    assert_true(text_equal(ready_send(&ready), TEXT("[2]")));
    assert_true(ready_settle(&ready, &to));
    assert_int_equal(to, 3);
    assert_int_equal(ready.text.length, 0);
    ready_done(&ready);
}

static void a_lease_that_fails_as_a_whole_is_reported_in_parts(void **state)
{
    (void)state;
    struct ready ready = {0};
    enum { TASKS = 50000 };
    for (int64_t i = 0; i < TASKS; i++) {
        AUTO_FREE char *entry = memory_format("[%lld]", (long long)i);
        ready_add(&ready, text_of(entry), i + 1);
    }
    int64_t seen = 0;
    for (struct text part = ready_send(&ready); part.length > 0; part = ready_send(&ready)) {
        struct text entry;
        int64_t to = 0;
        int64_t before = seen;
        while (text_next_part(&part, ',', &entry)) {
            AUTO_FREE char *wanted = memory_format("[%lld]", (long long)seen++);
            assert_true(text_equal(entry, text_of(wanted)));
        }
        assert_in_range(seen - before, 1, READY_PART_ENTRIES);
        assert_true(ready_settle(&ready, &to));
        assert_int_equal(to, seen);
    }
    assert_int_equal(seen, TASKS);
    ready_done(&ready);
}

static void long_entries_are_reported_in_parts_too(void **state)
{
    (void)state;
    struct ready ready = {0};
    AUTO_FREE char *entry = memory_new(300001, 1);
    memset(entry, 'x', 300000);
    for (int64_t i = 0; i < 40; i++) {
        ready_add(&ready, text_of(entry), i + 1);
    }
    int64_t to = 0;
    while (to < 40) {
        assert_in_range(ready_send(&ready).length, 300000, READY_PART_BYTES + 300001);
        ready_add(&ready, TEXT("y"), 41); // What comes meanwhile goes behind.
        assert_true(ready_settle(&ready, &to));
    }
    ready_done(&ready);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_forgotten_when_it_has_arrived),
        cmocka_unit_test(a_lease_that_fails_as_a_whole_is_reported_in_parts),
        cmocka_unit_test(long_entries_are_reported_in_parts_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
