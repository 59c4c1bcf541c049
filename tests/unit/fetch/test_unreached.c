#include "../cmocka_all.h"

#include "fetch/unreached.h"

static void expect(const struct unreached *unreached, int64_t now_us, const char *text)
{
    AUTO_BUFFER struct buffer out = {0};
    buffer_append_byte(&out, '-');
    unreached_write(unreached, now_us, &out);
    assert_string_equal(out.bytes + 1, text);
}

static void each_is_named_once_and_for_a_while(void **state)
{
    (void)state;
    struct unreached unreached = {0};
    expect(&unreached, 5, "");
    unreached_add(&unreached, 7, 1000);
    unreached_add(&unreached, 9, 2000);
    expect(&unreached, 2000, ",\"unreached\":[7,9]");
    expect(&unreached, 1000 + UNREACHED_US, ",\"unreached\":[9]");
    unreached_add(&unreached, 7, 3000); // Once more.
    expect(&unreached, 1000 + UNREACHED_US, ",\"unreached\":[7,9]");
    expect(&unreached, 3000 + UNREACHED_US, "");
}

static void of_many_the_newest_are_kept(void **state)
{
    (void)state;
    struct unreached unreached = {0};
    for (int64_t worker = 1; worker <= UNREACHED_MAX + 2; worker++) {
        unreached_add(&unreached, worker, 0);
    }
    expect(&unreached, 1, ",\"unreached\":[17,18,3,4,5,6,7,8,9,10,11,12,13,14,15,16]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_named_once_and_for_a_while),
        cmocka_unit_test(of_many_the_newest_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
