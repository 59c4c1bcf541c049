// Sites that say the same, or something else, of one name.
#include "../cmocka_all.h"

#include "resolve/claims.h"

static struct location location(const char *name, unsigned char content, const char *said_at)
{
    struct location made = {.name = name,
                            .standing = "member",
                            .liveness = "up",
                            .state = "available",
                            .said_at = said_at,
                            .has_digest = true};
    made.digest.bytes[0] = content;
    return made;
}

static void replicas_of_one_content_are_no_conflict(void **state)
{
    (void)state;
    const struct location said[] = {location("land", 1, "2026-02-01T00:00:00Z"),
                                    location("ocean", 1, "2026-01-01T00:00:00Z")};
    struct claims claims = claims_compare(said, 2);
    assert_ptr_equal(claims.first, &said[1]);
    assert_null(claims.other);
    claims = claims_compare(said, 0);
    assert_null(claims.first);
}

static void different_content_is_a_conflict_and_the_first_is_named_first(void **state)
{
    (void)state;
    const struct location said[] = {location("mill", 2, "2026-03-01T00:00:00Z"),
                                    location("land", 2, "2026-02-01T00:00:00Z"),
                                    location("ocean", 1, "2026-01-01T00:00:00Z")};
    struct error error = {0};
    struct claims claims = claims_compare(said, 3);
    assert_ptr_equal(claims.first, &said[2]);
    assert_ptr_equal(claims.other, &said[1]);
    assert_int_equal(claims_refuse(&claims, "t:sea", &error), CONFLICT);
    assert_non_null(strstr(error.detail, "content of t:sea: ocean says sha256:0100000000000000 "
                                         "since 2026-01-01T00:00:00Z, land says sha256:02"));
    assert_non_null(strstr(error.fix, "--at SITE"));
}

// A site that is away has not taken back what it said.
static void a_site_that_is_down_counts(void **state)
{
    (void)state;
    struct location said[] = {location("land", 2, "2026-02-01T00:00:00Z"),
                              location("ocean", 1, "2026-01-01T00:00:00Z")};
    said[1].liveness = "down";
    assert_non_null(claims_compare(said, 2).other);
}

static void what_says_nothing_of_content_does_not_count(void **state)
{
    (void)state;
    static const char *const STATES[] = {"changed", "lost"};
    struct location said[] = {location("land", 2, "2026-02-01T00:00:00Z"),
                              location("ocean", 1, "2026-01-01T00:00:00Z")};
    for (size_t i = 0; i < 2; i++) {
        said[1].state = STATES[i];
        assert_null(claims_compare(said, 2).other);
    }
    said[1] = location("ocean", 1, "2026-01-01T00:00:00Z");
    said[1].has_digest = false;
    assert_null(claims_compare(said, 2).other);
    said[1] = location("ocean", 1, "2026-01-01T00:00:00Z");
    said[1].standing = "denied";
    assert_null(claims_compare(said, 2).other);
}

static void a_site_that_is_pending_casts_no_doubt_on_others(void **state)
{
    (void)state;
    struct location said[] = {location("stranger", 2, "2025-01-01T00:00:00Z"),
                              location("ocean", 1, "2026-01-01T00:00:00Z")};
    said[0].standing = "pending";
    struct claims claims = claims_compare(said, 2);
    assert_ptr_equal(claims.first, &said[1]);
    assert_null(claims.other);
    said[1].standing = "pending"; // Now there are no others.
    assert_non_null(claims_compare(said, 2).other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_of_one_content_are_no_conflict),
        cmocka_unit_test(different_content_is_a_conflict_and_the_first_is_named_first),
        cmocka_unit_test(a_site_that_is_down_counts),
        cmocka_unit_test(what_says_nothing_of_content_does_not_count),
        cmocka_unit_test(a_site_that_is_pending_casts_no_doubt_on_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
