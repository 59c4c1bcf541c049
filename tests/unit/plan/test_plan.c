#include "../cmocka_all.h"

#include "plan/plan.h"

#include <string.h>

enum { HOME, OCEAN, LAND };

// Home without data, OCEAN with the first dataset, LAND with the second.
struct world {
    struct plan_site sites[3];
    struct plan_data data[2];
    struct plan_request request;
    struct arena arena;
    struct plan plan;
    struct error error;
};

static int make_world(void **state)
{
    struct world *world = test_calloc(1, sizeof *world);
    world->sites[HOME] = (struct plan_site){.fingerprint = "sha256:00",
                                            .name = "home",
                                            .is_home = true,
                                            .has_offer = true,
                                            .core_hours = 1,
                                            .run_seconds = 10};
    world->sites[OCEAN] = world->sites[HOME];
    world->sites[OCEAN].name = "ocean";
    world->sites[OCEAN].is_home = false;
    world->sites[LAND] = world->sites[OCEAN];
    world->sites[LAND].name = "land";
    world->data[0] = (struct plan_data){.id = "s:sea", .size_bytes = 1000 << 20};
    world->data[0].is_at[OCEAN] = true;
    world->data[1] = (struct plan_data){.id = "s:soil", .size_bytes = 100 << 20};
    world->data[1].is_at[LAND] = true;
    world->request = (struct plan_request){.sites = world->sites,
                                           .site_count = 3,
                                           .data = world->data,
                                           .data_count = 2,
                                           .wanted_site = -1,
                                           .may_move = true};
    *state = world;
    return 0;
}

static int end_world(void **state)
{
    struct world *world = *state;
    arena_done(&world->arena);
    test_free(world);
    return 0;
}

static enum status plan_world(struct world *world)
{
    return plan_make(&world->request, &world->arena, &world->plan, &world->error);
}

static void a_job_runs_where_its_data_is(void **state)
{
    struct world *world = *state;
    world->request.data_count = 1;
    assert_int_equal(plan_world(world), OK);
    assert_int_equal(world->plan.options[0].kind, PLAN_AT);
    assert_int_equal(world->plan.options[0].site, OCEAN);
    assert_non_null(strstr(world->plan.options[0].reason, "all data is at ocean"));
    assert_int_equal(world->plan.options[0].bytes_moved, 0);
}

static void data_that_is_at_home_too_is_used_there(void **state)
{
    struct world *world = *state;
    world->request.data_count = 1;
    world->request.result_bytes = 1 << 20;
    world->data[0].is_at[HOME] = true;
    assert_int_equal(plan_world(world), OK);
    assert_int_equal(world->plan.options[0].kind, PLAN_LOCAL);
}

static void a_busy_home_loses_against_a_free_site(void **state)
{
    struct world *world = *state;
    world->request.data_count = 1;
    world->data[0].is_at[HOME] = true;
    world->sites[HOME].start_seconds = 600;
    world->request.may_move = false;
    assert_int_equal(plan_world(world), OK);
    assert_int_equal(world->plan.options[0].kind, PLAN_AT);
    assert_non_null(strstr(world->plan.reason, "local"));
}

static void the_smaller_part_is_moved(void **state)
{
    struct world *world = *state;
    assert_int_equal(plan_world(world), OK);
    const struct plan_option *best = &world->plan.options[0];
    assert_int_equal(best->kind, PLAN_MOVE);
    assert_int_equal(best->site, OCEAN);
    assert_int_equal(best->move_count, 1);
    assert_int_equal(best->moves[0].data, 1);
    assert_int_equal(best->moves[0].from, LAND);
    assert_int_equal(best->bytes_moved, 100 << 20);
    assert_non_null(strstr(best->reason, "never measured"));
}

// A site signs for what it likes; the sum is the largest number at most.
static void sizes_beyond_all_measure_are_added_up(void **state)
{
    struct world *world = *state;
    world->data[0].size_bytes = INT64_MAX;
    world->data[1].size_bytes = INT64_MAX;
    world->sites[OCEAN].has_offer = false;
    world->sites[LAND].has_offer = false;
    world->request.result_bytes = 1e6;
    assert_int_equal(plan_world(world), OK);
    assert_int_equal(world->plan.options[0].site, HOME);
    assert_int_equal(world->plan.options[0].move_count, 2);
    assert_int_equal(world->plan.options[0].bytes_moved, INT64_MAX);
}

static void a_measured_link_changes_what_is_moved(void **state)
{
    struct world *world = *state;
    world->request.rates[LAND][OCEAN] = 1 << 20;    // 100 s
    world->request.rates[OCEAN][LAND] = 1000 << 20; // 1 s
    world->request.rates[LAND][HOME] = 1 << 20;
    assert_int_equal(plan_world(world), OK);
    assert_int_equal(world->plan.options[0].site, LAND);
    assert_null(strstr(world->plan.options[0].reason, "never measured"));
}

static void with_a_merge_command_each_part_runs_where_it_lies(void **state)
{
    struct world *world = *state;
    world->request.may_split = true;
    assert_int_equal(plan_world(world), OK);
    const struct plan_option *best = &world->plan.options[0];
    assert_int_equal(best->kind, PLAN_SPLIT);
    assert_int_equal(best->site, HOME);
    assert_int_equal(best->part_count, 2);
    assert_true(best->parts[0].has_data[0] && !best->parts[0].has_data[1]);
    assert_int_equal(best->parts[0].site, OCEAN);
    assert_int_equal(best->parts[1].site, LAND);
    // The larger part, ten elevenths of the work, decides.
    assert_true(best->seconds > 9 && best->seconds < 9.2);
}

static void a_home_without_workers_has_the_parts_merged_at_the_largest(void **state)
{
    struct world *world = *state;
    world->request.may_split = true;
    world->sites[HOME].has_offer = false;
    assert_int_equal(plan_world(world), OK);
    assert_int_equal(world->plan.options[0].kind, PLAN_SPLIT);
    assert_int_equal(world->plan.options[0].site, OCEAN);
}

static void large_results_of_the_parts_speak_for_moving(void **state)
{
    struct world *world = *state;
    world->request.may_split = true;
    world->request.result_bytes = 1e12;
    for (size_t s = 0; s < 3; s++) {
        world->sites[s].is_home = s == OCEAN;
    }
    assert_int_equal(plan_world(world), OK);
    assert_int_equal(world->plan.options[0].kind, PLAN_MOVE);
    assert_int_equal(world->plan.options[0].site, OCEAN);
}

static void data_at_one_site_is_not_split(void **state)
{
    struct world *world = *state;
    world->request.may_split = true;
    world->data[1].is_at[OCEAN] = true;
    assert_int_equal(plan_world(world), OK);
    for (size_t i = 0; i < world->plan.option_count; i++) {
        assert_int_not_equal(world->plan.options[i].kind, PLAN_SPLIT);
    }
}

static void the_wanted_site_is_the_only_one_considered(void **state)
{
    struct world *world = *state;
    world->request.wanted_site = LAND;
    assert_int_equal(plan_world(world), OK);
    assert_int_equal(world->plan.option_count, 1);
    assert_int_equal(world->plan.options[0].site, LAND);
    assert_int_equal(world->plan.options[0].moves[0].from, OCEAN);
    assert_string_equal(world->plan.reason, "it is the only way");
}

static void nothing_is_moved_from_a_site_that_refuses_who_asks(void **state)
{
    struct world *world = *state;
    world->sites[LAND].has_offer = false;
    world->sites[LAND].gives_nothing = true;
    world->sites[LAND].refusal = "this site takes no jobs from other sites";
    assert_int_equal(plan_world(world), CONFLICT);
    assert_non_null(strstr(world->error.detail, "land: this site takes no jobs from other sites"));
    // Another replica will do.
    world->data[1].is_at[HOME] = true;
    assert_int_equal(plan_world(world), OK);
    for (size_t i = 0; i < world->plan.option_count; i++) {
        for (size_t m = 0; m < world->plan.options[i].move_count; m++) {
            assert_int_not_equal(world->plan.options[i].moves[m].from, LAND);
        }
    }
}

static void data_that_nobody_has_is_named(void **state)
{
    struct world *world = *state;
    world->data[1].is_at[LAND] = false;
    assert_int_equal(plan_world(world), NOT_FOUND);
    assert_non_null(strstr(world->error.detail, "s:soil"));
}

static void refusals_of_sites_are_passed_on(void **state)
{
    struct world *world = *state;
    world->request.wanted_site = OCEAN;
    world->sites[OCEAN].has_offer = false;
    world->sites[OCEAN].refusal = "it takes no guests";
    assert_int_equal(plan_world(world), CONFLICT);
    assert_non_null(strstr(world->error.detail, "ocean: it takes no guests"));
}

static void without_moving_and_merging_scattered_data_cannot_be_used(void **state)
{
    struct world *world = *state;
    world->request.may_move = false;
    assert_int_equal(plan_world(world), CONFLICT);
    assert_non_null(strstr(world->error.fix, "--merge"));
}

int main(void)
{
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_job_runs_where_its_data_is),
        IN_A_WORLD(data_that_is_at_home_too_is_used_there),
        IN_A_WORLD(a_busy_home_loses_against_a_free_site),
        IN_A_WORLD(the_smaller_part_is_moved),
        IN_A_WORLD(sizes_beyond_all_measure_are_added_up),
        IN_A_WORLD(a_measured_link_changes_what_is_moved),
        IN_A_WORLD(with_a_merge_command_each_part_runs_where_it_lies),
        IN_A_WORLD(a_home_without_workers_has_the_parts_merged_at_the_largest),
        IN_A_WORLD(large_results_of_the_parts_speak_for_moving),
        IN_A_WORLD(data_at_one_site_is_not_split),
        IN_A_WORLD(the_wanted_site_is_the_only_one_considered),
        IN_A_WORLD(nothing_is_moved_from_a_site_that_refuses_who_asks),
        IN_A_WORLD(data_that_nobody_has_is_named),
        IN_A_WORLD(refusals_of_sites_are_passed_on),
        IN_A_WORLD(without_moving_and_merging_scattered_data_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
