#include "../cmocka_all.h"

#include "api/range.h"

static void ranges_are_read_as_rfc_9110_says(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t size;
        enum range_kind kind;
        int64_t from;
        int64_t to;
    } CASES[] = {
        {"", 10, RANGE_WHOLE, 0, 0},
        {"bytes=0-4", 10, RANGE_PART, 0, 5},
        {"bytes=5-", 10, RANGE_PART, 5, 10},
        {"bytes=5-99", 10, RANGE_PART, 5, 10},
        {"bytes=-3", 10, RANGE_PART, 7, 10},
        {"bytes=-30", 10, RANGE_PART, 0, 10},
        {"bytes=9-9", 10, RANGE_PART, 9, 10},
        {"bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-5", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=4-2", 10, RANGE_WHOLE, 0, 0},
        {"bytes=0-1,3-4", 10, RANGE_WHOLE, 0, 0},
        {"bytes=", 10, RANGE_WHOLE, 0, 0},
        {"bytes=-", 10, RANGE_WHOLE, 0, 0},
        {"bytes=a-b", 10, RANGE_WHOLE, 0, 0},
        {"bytes=--5", 10, RANGE_WHOLE, 0, 0},
        {"bytes=0-99999999999999999999", 10, RANGE_WHOLE, 0, 0},
        {"lines=0-1", 10, RANGE_WHOLE, 0, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        int64_t from = 0;
        int64_t to = 0;
        enum range_kind kind = range_parse(text_of(CASES[i].header), CASES[i].size, &from, &to);
        if (kind != CASES[i].kind || from != CASES[i].from || to != CASES[i].to) {
            fail_msg("%s: kind %d, %lld to %lld", CASES[i].header, (int)kind, (long long)from,
                     (long long)to);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read_as_rfc_9110_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
