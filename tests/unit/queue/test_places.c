// Jobs that run at another place, and jobs that are held until they may.
#include "../cmocka_all.h"
#include "fixture.h"

#include "base/memory.h"
#include "os/clock.h"

#include <sched.h>
#include <stdio.h>

#define OCEAN "sha256:0ceaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DESERT "sha256:de5eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

enum { WAIT_US = 60000000, LINKS_LOST = 5 };

static void describe(void *context, const char *place, struct buffer *name, struct buffer *url)
{
    (void)context;
    if (strcmp(place, OCEAN) == 0) {
        buffer_append_string(name, "ocean");
        buffer_append_string(url, "https://ocean.example:7443");
    }
}

static const struct queue_place_ops PLACES = {describe};

static int places_setup(void **state)
{
    int result = site_setup(state);
    struct site *site = *state;
    site->places = &PLACES;
    site->lease_timeout_us = WAIT_US;
    site_restart(site);
    return result;
}

static struct digest content_of(unsigned char byte)
{
    struct digest digest = {0};
    digest.bytes[0] = byte;
    return digest;
}

// The files of "t:two" as another site has them: the same content, of another time.
static enum status each_file(void *context,
                             enum status (*visit)(void *visitor, const struct prepare_file *file,
                                                  struct error *error),
                             void *visitor, struct error *error)
{
    (void)context;
    static const char *const NAMES[] = {"a", "b"};
    for (unsigned char i = 0; i < 2; i++) {
        const struct prepare_file file = {.path = text_of(NAMES[i]),
                                          .size_bytes = 1,
                                          .modified_us = 1234567,
                                          .digest = content_of(i)};
        TRY(visit(visitor, &file, error));
    }
    return OK;
}

// What the catalogue of the fixture has, as known of elsewhere.
static const struct prepare_known_data TWO = {
    .id = "t:two", .file_count = 2, .size_bytes = 2, .each_file = each_file};

static void go_to(struct site *site, const char *place, const struct prepare_known_data *data,
                  size_t count)
{
    site->to =
        (struct prepare_destination){.place = text_of(place), .data = data, .data_count = count};
}

static int64_t job_at(struct site *site, const char *place, const char *document)
{
    go_to(site, place, &TWO, 1);
    int64_t job = site_job(site, document);
    go_to(site, "", NULL, 0);
    return job;
}

static void assert_why(struct site *site, int64_t job, const char *part)
{
    AUTO_FREE char *why = site_why(site, job);
    if (!strstr(why, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, why);
    }
}

static void assert_text(const json_t *object, const char *name, const char *expected)
{
    assert_string_equal(json_string_value(json_object_get(object, name)), expected);
}

static void a_job_goes_to_the_worker_of_its_place_as_one_lease(void **state)
{
    struct site *site = *state;
    int64_t local = site_worker(site, "desk", 4);
    int64_t job = job_at(site, OCEAN,
                         "{\"command\": [\"p\", \"{index}\"], \"count\": 20000, \"at\": \"ocean\","
                         " \"stage\": \"never\", \"data\": [{\"id\": \"t:two\"}]}");
    struct reply reply = site_poll(site, local, "{}");
    assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 0);
    reply_done(&reply);
    int64_t link = site_place_worker(site, OCEAN);
    reply = site_poll(site, link, "{}");
    const json_t *leases = json_object_get(reply.document, "leases");
    assert_int_equal(json_array_size(leases), 1);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(leases, 0), 3)), 20000);
    const json_t *told = json_array_get(json_object_get(reply.document, "jobs"), 0);
    assert_int_equal(json_object_size(told), 3);
    assert_int_equal(number_of(told, "job"), job);
    assert_text(told, "owner", "alice");
    const json_t *spec = json_object_get(told, "spec");
    assert_int_equal(number_of(spec, "count"), 20000);
    assert_null(json_object_get(spec, "at"));
    assert_null(json_object_get(spec, "stage"));
    assert_null(json_object_get(spec, "after"));
    reply_done(&reply);
    reply = site_show(site, job, 0);
    assert_text(reply.document, "place", OCEAN);
    assert_text(reply.document, "at", "ocean");
    assert_text(json_object_get(reply.document, "spec"), "at", "ocean");
    reply_done(&reply);
    AUTO_JSON json_t *status = json_object();
    assert_int_equal(queue_describe(site->queue, status, NULL), OK);
    assert_int_equal(number_of(status, "workers"), 1); // The link is no worker of this site.
}

static void what_was_computed_elsewhere_is_known_here_and_the_other_way_round(void **state)
{
    struct site *site = *state;
    static const char *const documents[] = {
        "{\"command\": [\"p\"], \"data\": [{\"id\": \"t:two\"}]}",
        "{\"command\": [\"p\", \"{file}\"], \"over\": \"t:two\"}",
        "{\"command\": [\"p\"], \"count\": 2, \"data\": [{\"id\": \"t:two\", \"name\": \"d\"}]}",
    };
    int64_t workers[] = {site_worker(site, "desk", 1), site_place_worker(site, OCEAN)};
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        bool is_elsewhere_first = i != 2;
        int64_t first =
            is_elsewhere_first ? job_at(site, OCEAN, documents[i]) : site_job(site, documents[i]);
        free(site->setups);
        site->setups = memory_format("{\"job\":%lld,\"executable\":\"/data/two/p\","
                                     "\"executable_digest\":\"" OCEAN "\",\"host\":\"far\"}",
                                     (long long)first);
        assert_true(site_run_all(site, workers[is_elsewhere_first]) > 0);
        int64_t again =
            is_elsewhere_first ? site_job(site, documents[i]) : job_at(site, OCEAN, documents[i]);
        struct reply reply = site_show(site, again, 0);
        assert_text(reply.document, "state", "succeeded");
        const json_t *tasks = json_object_get(reply.document, "tasks");
        assert_int_equal(number_of(tasks, "cached"), number_of(tasks, "total"));
        reply_done(&reply);
    }
}

static void records_of_a_job_elsewhere_say_what_it_ran_over(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, OCEAN, "{\"command\": [\"p\", \"{file}\"], \"over\": \"t:two\"}");
    int64_t link = site_place_worker(site, OCEAN);
    site->setups = memory_format("{\"job\":%lld,\"executable\":\"/usr/bin/p\",\"host\":\"far\","
                                 "\"sandbox\":\"bubblewrap\"}",
                                 (long long)job);
    assert_int_equal(site_run_all(site, link), 2);
    AUTO_BUFFER struct buffer text = {0};
    AUTO_JSON json_t *record = NULL;
    assert_int_equal(queue_show_task(site->queue, job, 1, &text, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&text), &record, NULL), OK);
    assert_text(record, "host", "far");
    assert_text(record, "executable", "/usr/bin/p");
    assert_string_equal(json_string_value(json_array_get(json_object_get(record, "command"), 1)),
                        "/data/two/b");
    const json_t *inputs = json_object_get(record, "inputs");
    assert_text(json_array_get(inputs, 0), "id", "t:two");
    assert_text(json_array_get(inputs, 1), "path", "/data/two/b");
}

static void data_of_which_nothing_is_known_is_refused(void **state)
{
    struct site *site = *state;
    static const struct prepare_known_data WITHOUT_FILES = {.id = "t:two"};
    go_to(site, OCEAN, &TWO, 1);
    struct reply reply =
        site_submit(site, "{\"command\": [\"p\"], \"data\": [{\"id\": \"t:three\"}]}", NULL);
    assert_int_equal(reply.status, NOT_FOUND);
    assert_non_null(strstr(reply.error.detail, "t:three"));
    reply = site_submit(site, "{\"command\": [\"p\"], \"over\": \"t:three\"}", NULL);
    assert_int_equal(reply.status, NOT_FOUND);
    go_to(site, OCEAN, &WITHOUT_FILES, 1);
    reply = site_submit(site, "{\"command\": [\"p\"], \"over\": \"t:two\"}", NULL);
    assert_int_equal(reply.status, INVALID);
    assert_non_null(strstr(reply.error.detail, "files of dataset t:two are not known"));
    go_to(site, "ocean", &TWO, 1);
    reply = site_submit(site, "{\"command\": [\"p\"]}", NULL);
    assert_int_equal(reply.status, INVALID);
    assert_non_null(strstr(reply.error.detail, "not the fingerprint of a site"));
}

static void why_says_what_is_with_the_other_site(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, OCEAN, "{\"command\": [\"p\"], \"count\": 3}");
    int64_t nameless = job_at(site, DESERT, "{\"command\": [\"p\"]}");
    queue_set_executor_problem(site->queue, "this machine has no bubblewrap", "install it");
    assert_why(site, job, "it waits for site ocean: nothing here takes jobs there");
    assert_why(site, nameless, "it waits for site " DESERT);
    AUTO_FREE char *without = site_why(site, job);
    assert_null(strstr(without, "bubblewrap"));
    int64_t link = site_place_worker(site, OCEAN);
    assert_why(site, job, "it is being handed over");
    struct reply reply = site_poll(
        site, link,
        "{\"problem\": {\"text\": \"it does not answer\", \"change\": \"it is asked again\"}}");
    reply_done(&reply);
    assert_why(site, job, "3 of its tasks were handed to site ocean at 20");
    assert_why(site, job, "Z; it does not answer");
    reply = site_poll(site, link, "{}");
    reply_done(&reply);
    AUTO_FREE char *cleared = site_why(site, job);
    assert_null(strstr(cleared, "answer"));
}

// What the link tells of one job.
static void tell(struct site *site, int64_t link, int64_t job, const char *rest)
{
    AUTO_FREE char *poll =
        memory_format("{\"words\": [{\"job\": %lld, %s}]}", (long long)job, rest);
    struct reply reply = site_poll(site, link, poll);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

static void why_says_whether_anything_has_begun_at_the_other_site(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, OCEAN, "{\"command\": [\"p\"], \"count\": 3}");
    int64_t link = site_place_worker(site, OCEAN);
    struct reply reply = site_poll(site, link, "{}");
    reply_done(&reply);
    AUTO_FREE char *first = site_why(site, job);
    assert_non_null(strstr(first, "3 of its tasks were handed to site ocean at 20"));
    assert_null(strstr(first, "begun"));
    assert_null(strstr(first, "runs"));
    tell(site, link, job, "\"why\": \"\", \"change\": \"\", \"begun\": false");
    assert_why(site, job, "Z; none of its tasks has begun there yet");
    tell(site, link, job, "\"why\": \"all are busy\", \"change\": \"wait\"");
    assert_why(site, job, "begun there yet; site ocean says: all are busy");
    tell(site, link, job, "\"why\": \"\", \"change\": \"\", \"begun\": true");
    assert_why(site, job, "Z; it runs there");
    // That outlasts the link; that nothing had begun would not.
    reply = site_poll(site, link, "{\"gone\": true}");
    reply_done(&reply);
    link = site_place_worker(site, OCEAN);
    reply = site_poll(site, link, "{}");
    reply_done(&reply);
    assert_why(site, job, "Z; it runs there");
    tell(site, link, job, "\"why\": \"\", \"change\": \"\", \"begun\": false");
    reply = site_poll(site, link, "{\"gone\": true}");
    reply_done(&reply);
    link = site_place_worker(site, OCEAN);
    reply = site_poll(site, link, "{}");
    reply_done(&reply);
    AUTO_FREE char *last = site_why(site, job);
    assert_non_null(strstr(last, "handed to site ocean"));
    assert_null(strstr(last, "begun"));
}

static int64_t jobs_at(const json_t *list, const char *place)
{
    size_t at = 0;
    const json_t *each = NULL;
    json_array_foreach(json_object_get(list, "places"), at, each)
    {
        if (strcmp(json_string_value(json_object_get(each, "place")), place) == 0) {
            return number_of(each, "jobs");
        }
    }
    return 0;
}

static struct reply list_places(struct site *site)
{
    return site_places_end(site_places_begin(site, 0, 0));
}

static void who_waits_for_places_hears_of_each_change(void **state)
{
    struct site *site = *state;
    struct reply reply = list_places(site);
    assert_int_equal(json_array_size(json_object_get(reply.document, "places")), 0);
    int64_t version = number_of(reply.document, "version");
    reply_done(&reply);
    struct listing *listing = site_places_begin(site, version, WAIT_US);
    int64_t job = job_at(site, OCEAN, "{\"command\": [\"p\"]}");
    (void)site_job(site, "{\"command\": [\"p\"]}");
    reply = site_places_end(listing);
    const json_t *ocean = json_array_get(json_object_get(reply.document, "places"), 0);
    assert_text(ocean, "place", OCEAN);
    assert_text(ocean, "name", "ocean");
    assert_text(ocean, "url", "https://ocean.example:7443");
    assert_int_equal(number_of(ocean, "jobs"), 1);
    version = number_of(reply.document, "version");
    reply_done(&reply);
    site_restart(site);
    reply = site_places_end(site_places_begin(site, version, WAIT_US));
    assert_int_equal(jobs_at(reply.document, OCEAN), 1); // Another life has another version.
    version = number_of(reply.document, "version");
    reply_done(&reply);
    listing = site_places_begin(site, version, WAIT_US);
    reply = site_cancel(site, job);
    reply_done(&reply);
    reply = site_places_end(listing);
    assert_int_equal(jobs_at(reply.document, OCEAN), 0);
    version = number_of(reply.document, "version");
    reply_done(&reply);
    reply = site_retry(site, job);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    reply = site_places_end(site_places_begin(site, version, WAIT_US));
    assert_int_equal(jobs_at(reply.document, OCEAN), 1);
    version = number_of(reply.document, "version");
    reply_done(&reply);
    listing = site_places_begin(site, version, WAIT_US);
    site_restart(site); // Who waits is answered when the site stops.
    reply = site_places_end(listing);
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    reply = site_places_end(site_places_begin(site, version, 1000));
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
}

static void a_link_finds_its_jobs_again_after_a_restart(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, OCEAN, "{\"command\": [\"p\"], \"count\": 10}");
    int64_t link = site_place_worker(site, OCEAN);
    struct reply reply = site_poll(site, link, "{}");
    const json_t *lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    int64_t number = json_integer_value(json_array_get(lease, 0));
    reply_done(&reply);
    site_restart(site);
    link = site_place_worker(site, OCEAN);
    AUTO_FREE char *held = memory_format("{\"leases\": [[%lld, %lld, 4, 10]], \"results\": []}",
                                         (long long)number, (long long)job);
    reply = site_poll(site, link, held);
    assert_int_equal(json_array_size(json_object_get(reply.document, "cancel")), 0);
    lease = json_array_get(json_object_get(reply.document, "leases"), 0);
    assert_int_equal(json_integer_value(json_array_get(lease, 2)), 0); // What it did not speak of.
    assert_int_equal(json_integer_value(json_array_get(lease, 3)), 4);
    reply_done(&reply);
    // A worker of this site is not given it, even when it says that it holds it.
    int64_t local = site_worker(site, "desk", 1);
    int64_t other = job_at(site, OCEAN, "{\"command\": [\"q\"]}");
    AUTO_FREE char *claimed = memory_format("{\"leases\": [[1, %lld, 0, 1]]}", (long long)other);
    reply = site_poll(site, local, claimed);
    assert_int_equal(json_array_size(json_object_get(reply.document, "cancel")), 1);
    reply_done(&reply);
}

static void links_that_are_lost_are_not_held_against_a_job(void **state)
{
    struct site *site = *state;
    int64_t job = job_at(site, OCEAN, "{\"command\": [\"p\"]}");
    for (int i = 0; i < LINKS_LOST; i++) {
        int64_t link = site_place_worker(site, OCEAN);
        struct reply reply = site_poll(site, link, "{}");
        assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), 1);
        reply_done(&reply);
        queue_worker_ended(site->queue, "link", LINK_PROCESS, "exit status 1");
        reply = site_poll(site, link, "{}");
        assert_int_equal(reply.status, NOT_FOUND);
    }
    assert_int_equal(site_run_all(site, site_place_worker(site, OCEAN)), 1);
    assert_job(site, job, "succeeded", 1);
}

static void a_job_elsewhere_gets_the_outputs_of_others(void **state)
{
    struct site *site = *state;
    struct blob_writer *writer = NULL;
    struct digest name;
    char digest[DIGEST_TEXT_SIZE];
    int64_t size = 0;
    assert_int_equal(blob_writer_new(site->blobs, &writer, NULL), OK);
    assert_int_equal(blob_writer_append(writer, TEXT("left"), NULL), OK);
    assert_int_equal(blob_writer_commit(writer, NULL, &name, &size, NULL), OK);
    int64_t source = site_job(site, "{\"command\": [\"s\"], \"outputs\": [\"*\"]}");
    AUTO_FREE char *document =
        memory_format("{\"command\": [\"c\"], \"input_from\": [%lld]}", (long long)source);
    int64_t job = job_at(site, OCEAN, document);
    int64_t local = site_worker(site, "desk", 1);
    struct reply reply = site_poll(site, local, "{}");
    int64_t lease = json_integer_value(
        json_array_get(json_array_get(json_object_get(reply.document, "leases"), 0), 0));
    reply_done(&reply);
    AUTO_FREE char *result = memory_format(
        "{\"results\":[{\"lease\":%lld,\"job\":%lld,\"tasks\":[[0,0,0,1,1,1,1,null,null,"
        "[[\"out\",\"%s\",4,420]]]]}]}",
        (long long)lease, (long long)source, digest_to_text(&name, digest));
    site_say(site, local, result);
    reply = site_poll(site, site_place_worker(site, OCEAN), "{\"wait_seconds\": 20}");
    const json_t *told = json_array_get(json_object_get(reply.document, "jobs"), 0);
    assert_int_equal(number_of(told, "job"), job);
    const json_t *spec = json_object_get(told, "spec");
    assert_null(json_object_get(spec, "input_from"));
    const json_t *file = json_array_get(json_object_get(spec, "files"), 0);
    assert_text(file, "name", "inputs/0/out");
    assert_text(file, "blob", digest);
    reply_done(&reply);
}

static int64_t held_job(struct site *site, const char *document)
{
    site->hold = (struct queue_hold){TEXT("its data is on its way: 3 of 10 GiB"), TEXT("wait")};
    int64_t job = job_at(site, "", document);
    site->hold = (struct queue_hold){0};
    return job;
}

static const char TWO_TASKS[] =
    "{\"command\": [\"p\"], \"count\": 2, \"data\": [{\"id\": \"t:two\"}]}";

static void a_held_job_starts_when_it_is_released(void **state)
{
    struct site *site = *state;
    int64_t job = held_job(site, TWO_TASKS);
    int64_t worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 0);
    assert_why(site, job, "its data is on its way: 3 of 10 GiB");
    struct reply reply = site_set_reason(site, job, "its data is on its way: 9 of 10 GiB", "soon");
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    site_restart(site);
    worker = site_worker(site, "desk", 1);
    assert_int_equal(site_run_all(site, worker), 0);
    assert_why(site, job, "9 of 10 GiB");
    assert_int_equal(queue_check_unused(site->queue, "t:two", NULL), OK);
    reply = site_release(site, job, &(struct prepare_destination){0});
    assert_int_equal(reply.status, OK);
    reply_done(&reply);
    struct error used = {0};
    assert_int_equal(queue_check_unused(site->queue, "t:two", &used), CONFLICT);
    site_restart(site);
    worker = site_worker(site, "desk", 1);
    reply = site_poll(site, worker, "{}");
    const json_t *told = json_array_get(json_object_get(reply.document, "jobs"), 0);
    const json_t *data = json_array_get(json_object_get(told, "data"), 0);
    assert_int_equal(json_array_size(json_object_get(data, "roots")), 1);
    reply_done(&reply);
}

static void a_held_job_may_be_released_to_another_place(void **state)
{
    struct site *site = *state;
    int64_t job = held_job(site, TWO_TASKS);
    const struct prepare_destination ocean = {.place = TEXT(OCEAN), .data = &TWO, .data_count = 1};
    struct reply reply = site_release(site, job, &ocean);
    assert_int_equal(reply.status, OK);
    assert_text(reply.document, "place", OCEAN);
    reply_done(&reply);
    reply = list_places(site);
    assert_int_equal(jobs_at(reply.document, OCEAN), 1);
    reply_done(&reply);
    assert_int_equal(site_run_all(site, site_worker(site, "desk", 4)), 0);
    site_restart(site);
    assert_int_equal(site_run_all(site, site_place_worker(site, OCEAN)), 2);
    assert_job(site, job, "succeeded", 2);
}

static void what_cannot_come_fails_the_job(void **state)
{
    struct site *site = *state;
    int64_t job = held_job(site, TWO_TASKS);
    struct reply reply = site_fail_held(site, job, "the only copy of t:two is gone");
    assert_text(reply.document, "state", "failed");
    assert_text(reply.document, "message", "the only copy of t:two is gone");
    reply_done(&reply);
    assert_why(site, job, "it failed: the only copy of t:two is gone");
    reply = site_retry(site, job);
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.fix, "submit it again"));
    site_restart(site);
    assert_job(site, job, "failed", 0);
}

static void what_is_not_held_is_not_released(void **state)
{
    struct site *site = *state;
    int64_t job = site_job(site, "{\"command\": [\"p\"]}");
    const struct prepare_destination here = {0};
    assert_int_equal(site_release(site, job, &here).status, CONFLICT);
    assert_int_equal(site_fail_held(site, job, "x").status, CONFLICT);
    assert_int_equal(site_set_reason(site, job, "x", "y").status, CONFLICT);
    assert_int_equal(site_release(site, 99, &here).status, NOT_FOUND);
    int64_t held = held_job(site, TWO_TASKS);
    assert_int_equal(site_set_reason(site, held, "", "").status, INVALID);
    struct reply reply = site_cancel(site, held);
    reply_done(&reply);
    assert_int_equal(site_release(site, held, &here).status, CONFLICT);
}

static void data_that_is_not_there_after_all_is_said_at_the_release(void **state)
{
    struct site *site = *state;
    int64_t job = held_job(site, TWO_TASKS);
    site->catalog.is_changed = true;
    struct reply reply = site_release(site, job, &(struct prepare_destination){0});
    assert_int_equal(reply.status, CONFLICT);
    assert_non_null(strstr(reply.error.fix, "lode data verify"));
    assert_why(site, job, "on its way");
}

static void a_link_and_its_jobs_are_no_part_of_the_sites_own_load(void **state)
{
    struct site *site = *state;
    int64_t deadline_us = clock_steady_us() + WAIT_US;
    struct queue_load_figures load = {0};
    (void)site_place_worker(site, OCEAN);
    (void)job_at(site, OCEAN, TWO_TASKS);
    (void)site_worker(site, "desk", 4);
    (void)site_job(site, "{\"command\": [\"p\"], \"count\": 5}");
    while (load.workers == 0 || load.tasks_waiting == 0) { // They are counted four times a second.
        assert_true(clock_steady_us() < deadline_us);
        (void)sched_yield();
        load = queue_load_figures(site->queue);
    }
    assert_int_equal(load.workers, 1);
    assert_int_equal(load.cpus, 4);
    assert_int_equal(load.cpus_busy, 0);
    assert_int_equal(load.tasks_waiting, 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, places_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_job_goes_to_the_worker_of_its_place_as_one_lease),
        TEST(what_was_computed_elsewhere_is_known_here_and_the_other_way_round),
        TEST(records_of_a_job_elsewhere_say_what_it_ran_over),
        TEST(data_of_which_nothing_is_known_is_refused),
        TEST(why_says_what_is_with_the_other_site),
        TEST(why_says_whether_anything_has_begun_at_the_other_site),
        TEST(who_waits_for_places_hears_of_each_change),
        TEST(a_link_finds_its_jobs_again_after_a_restart),
        TEST(links_that_are_lost_are_not_held_against_a_job),
        TEST(a_job_elsewhere_gets_the_outputs_of_others),
        TEST(a_held_job_starts_when_it_is_released),
        TEST(a_held_job_may_be_released_to_another_place),
        TEST(what_cannot_come_fails_the_job),
        TEST(what_is_not_held_is_not_released),
        TEST(data_that_is_not_there_after_all_is_said_at_the_release),
        TEST(a_link_and_its_jobs_are_no_part_of_the_sites_own_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
