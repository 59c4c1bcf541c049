// Copies on their way: what comes is what was signed for, goes on where it was, and ends for all who wait.
#include "../cmocka_all.h"
#include "world.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

static void a_replica_is_copied_verified_and_registered(void **state)
{
    struct world *world = *state;
    int64_t number = order(world, "s:sea");
    await_text(world, number, "state", "done");
    assert_copied(world);
    AUTO_JSON json_t *transfer = show(world, number);
    assert_int_equal(json_integer_value(json_object_get(transfer, "files_done")), FILE_COUNT);
    assert_string_equal(json_string_value(json_object_get(transfer, "source")), "ocean");
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void a_replica_that_is_not_registered_any_more_is_removed(void **state)
{
    struct world *world = *state;
    await_text(world, order(world, "s:sea"), "state", "done");
    struct text path = text_of(world->registered);
    assert_int_equal(transfers_forget(world->transfers, path, NULL), OK);
    assert_copied(world); // Another dataset has it.
    world->is_registered = false;
    assert_int_equal(transfers_forget(world->transfers, path, NULL), OK);
    AUTO_FREE char *folder = text_copy(text_slice(path, 0, path.length - strlen("/data")));
    assert_false(is_there(folder));
    await_text(world, order(world, "s:sea"), "state", "done"); // All of it comes again.
    assert_copied(world);
}

static void what_lode_did_not_copy_stays(void **state)
{
    struct world *world = *state;
    await_text(world, order(world, "s:sea"), "state", "done");
    world->is_registered = false;
    AUTO_FREE char *own = memory_format("%s/own", world->folder);
    AUTO_FREE char *replicas = memory_format("%s/replicas", world->folder);
    AUTO_FREE char *data = memory_format("%s/replicas/data", world->folder);
    AUTO_FREE char *within = memory_format("%s/a.nc", world->registered);
    AUTO_FREE char *beside = memory_format("%s/../data", world->registered);
    const char *const others[] = {own, replicas, data, within, beside, "/", "", "/data"};
    assert_int_equal(file_make_folder(own, NULL), OK);
    assert_int_equal(file_make_folder(data, NULL), OK);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(transfers_forget(world->transfers, text_of(others[i]), NULL), OK);
    }
    assert_true(is_there(own) && is_there(data) && is_there(within));
}

static void what_was_going_when_the_site_died_goes_at_its_next_start(void **state)
{
    struct world *world = *state;
    await_text(world, order(world, "s:sea"), "state", "done");
    AUTO_FREE char *left = memory_format("%s/replicas/removed-0123", world->folder);
    AUTO_FREE char *within = memory_format("%s/data", left);
    assert_int_equal(file_make_folder(within, NULL), OK);
    close_site(world);
    open_site(world);
    assert_false(is_there(left));
    assert_copied(world);
}

static void a_cut_file_goes_on_where_it_was(void **state)
{
    struct world *world = *state;
    world->mischief = CUTS_ONCE;
    await_text(world, order(world, "s:sea"), "state", "done");
    assert_copied(world);
    // No byte of the large file came twice.
    assert_true(world->served_bytes <= FILE_SIZE_MAX + 2 * (int64_t)SIZES[1]);
}

static void other_bytes_than_signed_are_refused(void **state)
{
    struct world *world = *state;
    world->mischief = OTHER_BYTES;
    int64_t number = order(world, "s:sea");
    await_text(world, number, "problem", "site ocean sent other bytes of");
    assert_false(world->is_registered);
    world->mischief = HONEST;
    await_text(world, number, "state", "done");
    assert_copied(world);
}

static void another_list_than_signed_is_refused(void **state)
{
    struct world *world = *state;
    world->mischief = OTHER_LIST;
    await_text(world, order(world, "s:sea"), "problem", "lists other files of s:sea");
    assert_int_equal(world->requests, 0);
}

static void a_list_beyond_what_was_signed_for_is_refused(void **state)
{
    struct world *world = *state;
    world->mischief = ENDLESS_LIST;
    int64_t number = order(world, "s:sea");
    await_text(world, number, "problem", "site ocean: more is listed of the dataset");
    assert_int_equal(world->requests, 0);
    world->mischief = HONEST;
    await_text(world, number, "state", "done");
    assert_copied(world);
}

static void sizes_beyond_what_was_signed_for_are_refused(void **state)
{
    struct world *world = *state;
    world->mischief = HUGE_SIZES;
    await_text(world, order(world, "s:sea"), "problem", "site ocean: more is listed");
    assert_int_equal(world->requests, 0);
}

static void a_source_that_is_gone_is_passed_over(void **state)
{
    struct world *world = *state;
    world->has_liar = true;
    await_text(world, order(world, "s:sea"), "state", "done");
    assert_copied(world);
}

static void data_that_nobody_has_is_tried_again_with_the_reason(void **state)
{
    struct world *world = *state;
    int64_t number = order(world, "s:soil");
    await_text(world, number, "problem", "nobody has s:soil");
    await_text(world, number, "state", "waiting");
}

static void a_cancelled_one_ends(void **state)
{
    struct world *world = *state;
    world->mischief = SILENT;
    int64_t number = order(world, "s:sea");
    await_text(world, number, "state", "copying");
    assert_int_equal(transfers_cancel(world->transfers, number, NULL), OK);
    await_text(world, number, "state", "cancelled");
    struct error error = {0};
    assert_int_equal(transfers_cancel(world->transfers, number, &error), CONFLICT);
    assert_int_equal(transfers_cancel(world->transfers, 99, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "no transfer 99"));
}

// That list may take a minute.
static int64_t waits_for_list(struct world *world)
{
    world->mischief = SILENT_ABOUT_LIST;
    int64_t number = order(world, "s:sea");
    int64_t until_us = clock_steady_us() + PATIENCE_US;
    while (world->lists_asked == 0) {
        assert_true(clock_steady_us() < until_us);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return number;
}

static void one_that_waits_for_a_list_is_cancelled_at_once(void **state)
{
    struct world *world = *state;
    int64_t number = waits_for_list(world);
    int64_t begun_us = clock_steady_us();
    assert_int_equal(transfers_cancel(world->transfers, number, NULL), OK);
    await_text(world, number, "state", "cancelled");
    assert_true(clock_steady_us() - begun_us < PATIENCE_US / 2);
}

static void a_site_that_waits_for_a_list_stops_at_once(void **state)
{
    struct world *world = *state;
    (void)waits_for_list(world);
    int64_t begun_us = clock_steady_us();
    close_site(world);
    assert_true(clock_steady_us() - begun_us < PATIENCE_US / 2);
    open_site(world);
}

static void one_that_others_ordered_too_goes_on_when_it_is_taken_back(void **state)
{
    struct world *world = *state;
    world->mischief = SILENT;
    int64_t number = order(world, "s:sea");
    await_text(world, number, "state", "copying");
    assert_int_equal(order(world, "s:sea"), number);
    assert_int_equal(transfers_take_back(world->transfers, number, NULL), OK);
    AUTO_BUFFER struct buffer document = {0};
    assert_int_equal(transfers_show(world->transfers, number, &document, NULL), OK);
    assert_non_null(strstr(document.bytes, "\"state\":\"copying\""));
    assert_int_equal(order(world, "s:sea"), number);
    assert_int_equal(transfers_take_back(world->transfers, number, NULL), OK);
    assert_int_equal(order(world, "s:sea"), number);
    assert_int_equal(transfers_take_back(world->transfers, number, NULL), OK);
    assert_int_equal(transfers_take_back(world->transfers, number, NULL), OK);
    await_text(world, number, "state", "cancelled");
    assert_int_equal(transfers_take_back(world->transfers, number, NULL), CONFLICT);
}

static void a_restart_takes_it_up(void **state)
{
    struct world *world = *state;
    world->mischief = SILENT;
    int64_t number = order(world, "s:sea");
    await_text(world, number, "state", "copying");
    close_site(world);
    world->mischief = HONEST;
    open_site(world);
    await_text(world, number, "state", "done");
    assert_copied(world);
}

struct waiter {
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t changed;
    bool is_woken;
};

static void wake(void *context)
{
    struct waiter *waiter = context;
    (void)pthread_mutex_lock(&waiter->mutex);
    waiter->is_woken = true;
    (void)pthread_cond_signal(&waiter->changed);
    (void)pthread_mutex_unlock(&waiter->mutex);
}

static void those_who_wait_hear_of_the_end(void **state)
{
    struct world *world = *state;
    struct waiter waiter = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    int64_t number = order(world, "s:sea");
    transfers_watch(world->transfers, number, 1000, clock_steady_us() + PATIENCE_US, wake, &waiter);
    (void)pthread_mutex_lock(&waiter.mutex);
    while (!waiter.is_woken) {
        (void)pthread_cond_wait(&waiter.changed, &waiter.mutex);
    }
    (void)pthread_mutex_unlock(&waiter.mutex);
    await_text(world, number, "state", "done");
}

int main(void)
{
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_replica_is_copied_verified_and_registered),
        IN_A_WORLD(a_replica_that_is_not_registered_any_more_is_removed),
        IN_A_WORLD(what_lode_did_not_copy_stays),
        IN_A_WORLD(what_was_going_when_the_site_died_goes_at_its_next_start),
        IN_A_WORLD(a_cut_file_goes_on_where_it_was),
        IN_A_WORLD(other_bytes_than_signed_are_refused),
        IN_A_WORLD(another_list_than_signed_is_refused),
        IN_A_WORLD(a_list_beyond_what_was_signed_for_is_refused),
        IN_A_WORLD(sizes_beyond_what_was_signed_for_are_refused),
        IN_A_WORLD(a_source_that_is_gone_is_passed_over),
        IN_A_WORLD(data_that_nobody_has_is_tried_again_with_the_reason),
        IN_A_WORLD(a_cancelled_one_ends),
        IN_A_WORLD(one_that_waits_for_a_list_is_cancelled_at_once),
        IN_A_WORLD(a_site_that_waits_for_a_list_stops_at_once),
        IN_A_WORLD(one_that_others_ordered_too_goes_on_when_it_is_taken_back),
        IN_A_WORLD(a_restart_takes_it_up),
        IN_A_WORLD(those_who_wait_hear_of_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
