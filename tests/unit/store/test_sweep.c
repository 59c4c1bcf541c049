// What nobody names goes from the store, and nothing else.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/file.h"
#include "os/thread.h"
#include "store/sweep.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// So long the machine was asleep. All clocks are read here, as the kernel would tell them then.
static _Atomic time_t slept_seconds;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);
    now->tv_sec += clock == CLOCK_MONOTONIC ? 0 : slept_seconds;
    return (int)result;
}

// A store, the names that its database would have, and what happens while they are read.
struct world {
    struct blobs *blobs;
    struct sweep *sweep;
    struct text named;
    struct text named_for_now;
    const struct digest *claimed; // While the names are read.
    const struct digest *sent;
    bool fails;
    int reads;
    size_t batch_max;
};

static enum status read_names(void *context, struct sweep *sweep, bool is_first, bool *is_over,
                              struct error *error)
{
    struct world *world = context;
    world->reads++;
    if (world->fails) {
        return error_set(error, UNAVAILABLE, "the database is away");
    }
    if (is_first) {
        sweep_names(sweep, BLOB_NAMED, world->named);
        return OK;
    }
    if (world->claimed) {
        assert_true(blob_claim(world->blobs, world->claimed));
    }
    if (world->sent) {
        assert_int_equal(blob_put(world->blobs, TEXT("sent"), NULL, NULL), OK);
    }
    sweep_names(sweep, BLOB_NAMED_FOR_NOW, world->named_for_now);
    *is_over = true;
    return OK;
}

static struct world open_world(const char *folder)
{
    struct world world = {0};
    assert_int_equal(blobs_open(folder, &world.blobs, NULL), OK);
    return world;
}

static void close_world(struct world *world)
{
    blobs_close(world->blobs);
}

static void set_age(struct world *world, const struct digest *digest, int64_t age_us)
{
    AUTO_FREE char *path = blob_path(world->blobs, digest);
    int64_t time_us = blobs_now_us(world->blobs) - age_us;
    const struct timespec time = {time_us / 1000000, time_us % 1000000 * 1000};
    const struct timespec times[] = {time, time};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static struct digest put(struct world *world, const char *content, int64_t age_us)
{
    struct digest digest;
    assert_int_equal(blob_put(world->blobs, text_of(content), &digest, NULL), OK);
    set_age(world, &digest, age_us);
    return digest;
}

static int64_t sweep_all(struct world *world, enum status expected)
{
    const struct sweep_ops ops = {
        .read_names = read_names, .context = world, .batch_max = world->batch_max};
    struct sweep *sweep = sweep_new(world->blobs, &ops);
    enum status worst = OK;
    for (bool is_over = false; !is_over;) {
        enum status status = sweep_turn(sweep, &is_over, NULL);
        worst = status == OK ? worst : status;
    }
    assert_int_equal(worst, expected);
    int64_t removed = sweep_figures(sweep).removed;
    sweep_free(sweep);
    return removed;
}

static const int64_t OLD = BLOB_UNCLAIMED_US + 1000000;
static const int64_t YOUNG = BLOB_UNCLAIMED_US - 60000000;

static void what_nobody_named_goes_after_a_day(void **state)
{
    struct world world = open_world(*state);
    char text[DIGEST_TEXT_SIZE];
    const struct digest old = put(&world, "old", OLD);
    const struct digest young = put(&world, "young", YOUNG);
    const struct digest named = put(&world, "named", OLD);
    world.named = text_of(digest_to_text(&named, text));
    assert_int_equal(sweep_all(&world, OK), 1);
    assert_false(blob_exists(world.blobs, &old));
    assert_true(blob_exists(world.blobs, &young));
    assert_true(blob_exists(world.blobs, &named));
    // What was found named is not looked at again.
    world.named = TEXT_NONE;
    world.reads = 0;
    assert_int_equal(sweep_all(&world, OK), 0);
    assert_int_equal(world.reads, 0);
    assert_true(blob_exists(world.blobs, &named));
    close_world(&world);
}

static void a_name_is_seen_however_it_is_written(void **state)
{
    struct world world = open_world(*state);
    struct digest digests[4];
    char text[4][DIGEST_TEXT_SIZE];
    for (size_t i = 0; i < 4; i++) {
        const char content[] = {(char)('a' + i), '\0'};
        digests[i] = put(&world, content, OLD);
        (void)digest_to_text(&digests[i], text[i]);
    }
    const char *bare = text[1] + strlen("sha256:");
    for (char *each = text[2] + strlen("sha256:"); *each; each++) {
        *each = (char)(*each >= 'a' ? *each - 'a' + 'A' : *each);
    }
    // In a longer row of digits, and at the very end.
    AUTO_FREE char *names = memory_format("[[\"x\",\"%s\",1],[\"y\",\"%s\",2],\"%s\"] 00%s",
                                          text[0], bare, text[2], text[3] + strlen("sha256:"));
    world.named = text_of(names);
    assert_int_equal(sweep_all(&world, OK), 0);
    close_world(&world);
}

static void what_is_named_for_now_stays_until_it_is_not(void **state)
{
    struct world world = open_world(*state);
    char text[DIGEST_TEXT_SIZE];
    const struct digest checkpoint = put(&world, "checkpoint", OLD);
    world.named_for_now = text_of(digest_to_text(&checkpoint, text));
    assert_int_equal(sweep_all(&world, OK), 0);
    assert_int_equal(sweep_all(&world, OK), 0);
    world.named_for_now = TEXT_NONE;
    assert_int_equal(sweep_all(&world, OK), 1);
    close_world(&world);
}

static void nothing_goes_when_the_names_cannot_be_read(void **state)
{
    struct world world = open_world(*state);
    const struct digest old = put(&world, "old", OLD);
    world.fails = true;
    assert_int_equal(sweep_all(&world, UNAVAILABLE), 0);
    assert_true(blob_exists(world.blobs, &old));
    world.fails = false;
    assert_int_equal(sweep_all(&world, OK), 1);
    close_world(&world);
}

enum { FEW = 10, CROWD = 3 * FEW + 5 };

// Old blobs of one folder, of no size; `names` gets their digests.
static void put_crowd(struct world *world, struct buffer *names)
{
    for (int i = 0; i < CROWD; i++) {
        struct digest digest = {.bytes = {7}};
        char text[DIGEST_TEXT_SIZE];
        memcpy(digest.bytes + 1, &i, sizeof i);
        AUTO_FREE char *path = blob_path(world->blobs, &digest);
        AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
        assert_true(fd >= 0);
        set_age(world, &digest, OLD);
        buffer_append_string(names, digest_to_text(&digest, text));
    }
}

static void what_is_more_than_a_batch_goes_in_the_same_sweep(void **state)
{
    struct world world = open_world(*state);
    AUTO_BUFFER struct buffer names = {0};
    const struct digest beside = put(&world, "beside", OLD);
    world.batch_max = FEW;
    put_crowd(&world, &names);
    assert_int_equal(sweep_all(&world, OK), CROWD + 1);
    assert_false(blob_exists(world.blobs, &beside));
    close_world(&world);
}

// They fill each batch anew: what is behind them waits, lest the sweep never end.
static void a_sweep_ends_however_much_is_named_for_now(void **state)
{
    struct world world = open_world(*state);
    AUTO_BUFFER struct buffer names = {0};
    world.batch_max = FEW;
    put_crowd(&world, &names);
    world.named_for_now = buffer_text(&names);
    assert_int_equal(sweep_all(&world, OK), 0);
    world.fails = true;
    assert_int_equal(sweep_all(&world, UNAVAILABLE), 0);
    close_world(&world);
}

// Its name may be written behind where the reading is.
static void what_is_claimed_or_sent_while_names_are_read_stays(void **state)
{
    struct world world = open_world(*state);
    const struct digest claimed = put(&world, "claimed", OLD);
    const struct digest sent = put(&world, "sent", OLD);
    const struct digest old = put(&world, "old", OLD);
    world.claimed = &claimed;
    world.sent = &sent;
    assert_int_equal(sweep_all(&world, OK), 1);
    assert_true(blob_exists(world.blobs, &claimed));
    assert_true(blob_exists(world.blobs, &sent));
    assert_false(blob_exists(world.blobs, &old));
    close_world(&world);
}

static void a_claim_holds_for_a_day_and_over_a_restart(void **state)
{
    struct world world = open_world(*state);
    const struct digest blob = put(&world, "blob", OLD);
    int64_t size = 0;
    int64_t before_us = blobs_now_us(world.blobs) - BLOB_UNCLAIMED_US;
    assert_true(blob_claim(world.blobs, &blob));
    assert_false(blob_remove_unclaimed(world.blobs, &blob, before_us, &size));
    close_world(&world);
    world = open_world(*state);
    assert_false(blob_remove_unclaimed(world.blobs, &blob, before_us, &size));
    assert_true(blob_remove_unclaimed(world.blobs, &blob, before_us + 2 * OLD, &size));
    assert_int_equal(size, 4);
    assert_false(blob_claim(world.blobs, &blob));
    close_world(&world);
}

// The clock of the wall has gone on then, and the next start takes the time from there.
static void a_claim_holds_over_a_restart_though_the_machine_was_asleep_before_it(void **state)
{
    struct world world = open_world(*state);
    struct digest sent;
    const struct digest found = put(&world, "found", OLD);
    slept_seconds = 2 * OLD / 1000000;
    assert_int_equal(blob_put(world.blobs, TEXT("sent"), &sent, NULL), OK);
    assert_true(blob_claim(world.blobs, &found));
    close_world(&world);
    world = open_world(*state);
    assert_int_equal(sweep_all(&world, OK), 0);
    assert_true(blob_exists(world.blobs, &sent));
    assert_true(blob_exists(world.blobs, &found));
    close_world(&world);
    slept_seconds = 0;
}

static void what_was_there_before_there_were_sweeps_stays(void **state)
{
    struct world world = open_world(*state);
    const struct digest blob = put(&world, "blob", OLD);
    AUTO_FREE char *path = blob_path(world.blobs, &blob);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(sweep_all(&world, OK), 0);
    assert_true(blob_exists(world.blobs, &blob));
    close_world(&world);
}

static void what_is_to_stay_stays_though_nobody_names_it(void **state)
{
    struct world world = open_world(*state);
    static const char *const contents[] = {"new", "here already"};
    for (int i = 0; i < 2; i++) {
        if (i == 1) {
            (void)put(&world, contents[i], OLD);
        }
        struct blob_writer *writer = NULL;
        struct digest digest;
        assert_int_equal(blob_writer_new(world.blobs, &writer, NULL), OK);
        blob_writer_keep(writer);
        assert_int_equal(blob_writer_append(writer, text_of(contents[i]), NULL), OK);
        assert_int_equal(blob_writer_commit(writer, NULL, &digest, NULL, NULL), OK);
        set_age(&world, &digest, OLD);
        assert_int_equal(sweep_all(&world, OK), 0);
        assert_true(blob_exists(world.blobs, &digest));
    }
    close_world(&world);
}

// In place of the system's: what happens while a blob is being removed.
static struct world *being_removed;
static struct digest claimed_meanwhile;

int unlink(const char *path)
{
    if (being_removed) {
        assert_false(blob_try_claim(being_removed->blobs, &claimed_meanwhile));
    }
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void
who_must_not_wait_is_told_that_a_blob_is_not_here_while_it_is_being_removed(void **state)
{
    struct world world = open_world(*state);
    const struct digest blob = put(&world, "blob", YOUNG);
    assert_true(blob_try_claim(world.blobs, &blob));
    set_age(&world, &blob, OLD);
    being_removed = &world;
    claimed_meanwhile = blob;
    int64_t removed = sweep_all(&world, OK);
    being_removed = NULL;
    assert_int_equal(removed, 1);
    assert_false(blob_try_claim(world.blobs, &blob));
    close_world(&world);
}

enum { RACES = 3000, CLAIMERS = 2 };

// One remover and some who claim or send the same blob at the same moment, over and over.
struct race {
    struct world world;
    struct digest blob;
    pthread_barrier_t start;
    pthread_barrier_t end;
    _Atomic bool was_claimed[CLAIMERS];
    _Atomic bool was_removed;
};

struct racer {
    struct race *race;
    int number;
};

static void *claim_in_a_race(void *context)
{
    const struct racer *racer = context;
    struct race *race = racer->race;
    for (int i = 0; i < RACES; i++) {
        (void)pthread_barrier_wait(&race->start);
        race->was_claimed[racer->number] = blob_claim(race->world.blobs, &race->blob);
        (void)pthread_barrier_wait(&race->end);
        (void)pthread_barrier_wait(&race->end); // It was looked at.
    }
    return NULL;
}

static void *send_in_a_race(void *context)
{
    const struct racer *racer = context;
    struct race *race = racer->race;
    for (int i = 0; i < RACES; i++) {
        (void)pthread_barrier_wait(&race->start);
        race->was_claimed[racer->number] =
            blob_put(race->world.blobs, TEXT("blob"), NULL, NULL) == OK;
        (void)pthread_barrier_wait(&race->end);
        (void)pthread_barrier_wait(&race->end);
    }
    return NULL;
}

static void run_race(char *folder, void *(*each)(void *context), int *kept, int *removed)
{
    struct race race = {.world = open_world(folder)};
    pthread_t threads[CLAIMERS];
    struct racer racers[CLAIMERS];
    (void)pthread_barrier_init(&race.start, NULL, CLAIMERS + 1);
    (void)pthread_barrier_init(&race.end, NULL, CLAIMERS + 1);
    for (int i = 0; i < CLAIMERS; i++) {
        racers[i] = (struct racer){&race, i};
        assert_int_equal(thread_start(&threads[i], "racer", each, &racers[i], NULL), OK);
    }
    for (int i = 0; i < RACES; i++) {
        int64_t size = 0;
        race.blob = put(&race.world, "blob", OLD);
        int64_t before_us = blobs_now_us(race.world.blobs) - BLOB_UNCLAIMED_US;
        (void)pthread_barrier_wait(&race.start);
        bool is_gone = blob_remove_unclaimed(race.world.blobs, &race.blob, before_us, &size);
        (void)pthread_barrier_wait(&race.end);
        bool is_there = blob_exists(race.world.blobs, &race.blob);
        for (int k = 0; k < CLAIMERS; k++) {
            // Whoever was told that it is here finds it.
            assert_true(is_there || !race.was_claimed[k]);
            *kept += race.was_claimed[k];
        }
        *removed += is_gone;
        (void)pthread_barrier_wait(&race.end);
    }
    for (int i = 0; i < CLAIMERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_barrier_destroy(&race.start);
    (void)pthread_barrier_destroy(&race.end);
    close_world(&race.world);
}

static void who_is_told_that_a_blob_is_here_finds_it_though_it_was_being_removed(void **state)
{
    int kept = 0;
    int removed = 0;
    run_race(*state, claim_in_a_race, &kept, &removed);
    assert_true(kept + removed > 0);
}

static void what_is_sent_while_it_is_being_removed_is_there(void **state)
{
    int kept = 0;
    int removed = 0;
    run_race(*state, send_in_a_race, &kept, &removed);
    assert_int_equal(kept, CLAIMERS * RACES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_nobody_named_goes_after_a_day, fixture_folder_new,
                                        fixture_folder_free),
        cmocka_unit_test_setup_teardown(a_name_is_seen_however_it_is_written, fixture_folder_new,
                                        fixture_folder_free),
        cmocka_unit_test_setup_teardown(what_is_named_for_now_stays_until_it_is_not,
                                        fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(nothing_goes_when_the_names_cannot_be_read,
                                        fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(what_is_more_than_a_batch_goes_in_the_same_sweep,
                                        fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(a_sweep_ends_however_much_is_named_for_now,
                                        fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(what_is_claimed_or_sent_while_names_are_read_stays,
                                        fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(a_claim_holds_for_a_day_and_over_a_restart,
                                        fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(
            a_claim_holds_over_a_restart_though_the_machine_was_asleep_before_it,
            fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(what_was_there_before_there_were_sweeps_stays,
                                        fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(what_is_to_stay_stays_though_nobody_names_it,
                                        fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(
            who_must_not_wait_is_told_that_a_blob_is_not_here_while_it_is_being_removed,
            fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(
            who_is_told_that_a_blob_is_here_finds_it_though_it_was_being_removed,
            fixture_folder_new, fixture_folder_free),
        cmocka_unit_test_setup_teardown(what_is_sent_while_it_is_being_removed_is_there,
                                        fixture_folder_new, fixture_folder_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
