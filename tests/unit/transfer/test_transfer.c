#include "../cmocka_all.h"
#include "../store/fixture.h"

#include "base/json.h"
#include "base/memory.h"
#include "http/server.h"
#include "os/clock.h"
#include "os/file.h"
#include "transfer/transfer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { FILE_COUNT = 3, FILE_SIZE_MAX = 3 << 20, PATIENCE_US = 60000000, LOOK_US = 5000 };

static const char *const PATHS[FILE_COUNT] = {"a.nc", "deep/er/b c.nc", "empty"};
static const size_t SIZES[FILE_COUNT] = {FILE_SIZE_MAX, 1000, 0};

// What the source does wrong.
enum mischief { HONEST, OTHER_BYTES, OTHER_LIST, ENDLESS_LIST, HUGE_SIZES, CUTS_ONCE, SILENT };

// A source of one dataset, and the site that copies from it.
struct world {
    char *folder;
    struct fingerprint fingerprint;
    struct http_server *server;
    char url[64];
    char *bytes;
    struct digest digest;
    _Atomic int mischief;
    _Atomic int64_t served_bytes;
    _Atomic int requests;
    struct store *store;
    struct transfers *transfers;
    _Atomic bool is_registered;
    char registered[600];
    bool has_liar;            // A second source, tried first, that is not there.
    _Atomic bool is_in_doubt; // Sites say different content of everything.
    _Atomic int doubts;       // How often that was found out.
};

static void list_files(struct http_request *request, void *context)
{
    struct world *world = context;
    AUTO_BUFFER struct buffer body = {0};
    char text[DIGEST_TEXT_SIZE];
    buffer_append_string(&body, "{\"files\":[");
    for (size_t i = 0; i < FILE_COUNT; i++) {
        struct digest digest = digest_of(world->bytes, SIZES[i]);
        int64_t size = world->mischief == HUGE_SIZES ? INT64_MAX : (int64_t)SIZES[i];
        const char *path = world->mischief == OTHER_LIST && SIZES[i] == 0 ? "vacant" : PATHS[i];
        buffer_printf(&body, "%s{\"path\":\"%s\",\"size_bytes\":%lld,\"digest\":\"%s\"}",
                      i > 0 ? "," : "", path, (long long)size, digest_to_text(&digest, text));
    }
    buffer_append_string(&body, world->mischief == ENDLESS_LIST ? "],\"next\":\"a\"}"
                                                                : "],\"next\":null}");
    const struct http_response response = {
        .code = 200, .content_type = "application/json", .body = buffer_text(&body)};
    http_reply(request->exchange, &response);
}

static size_t size_of(struct text path)
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        if (text_equal(path, text_of(PATHS[i]))) {
            return SIZES[i];
        }
    }
    return 0;
}

static void send_content(struct http_request *request, void *context)
{
    struct world *world = context;
    struct text range = http_header(request, "Range");
    int64_t from = 0;
    atomic_fetch_add(&world->requests, 1);
    if (world->mischief == SILENT) {
        return; // Answered by the end of the server alone.
    }
    if (range.length > 0) {
        (void)text_to_int64(text_slice(range, strlen("bytes="), range.length - 1), &from);
    }
    struct text body = {world->bytes + from, size_of(request->parameters[1]) - (size_t)from};
    AUTO_BUFFER struct buffer copy = {0};
    buffer_append_text(&copy, body);
    if (world->mischief == OTHER_BYTES && copy.length > 0) {
        copy.bytes[0] = (char)(copy.bytes[0] ^ 1);
    }
    if (world->mischief == CUTS_ONCE && body.length > FILE_SIZE_MAX / 2) {
        copy.length = FILE_SIZE_MAX / 2;
        world->mischief = HONEST;
    }
    atomic_fetch_add(&world->served_bytes, (int64_t)copy.length);
    const struct http_response response = {.code = from > 0 ? 206 : 200,
                                           .content_type = "application/octet-stream",
                                           .body = buffer_text(&copy)};
    http_reply(request->exchange, &response);
}

static const struct http_route ROUTES[] = {
    {.method = "GET", .pattern = "/v1/datasets/{id}/files", .handle = list_files},
    {.method = "GET", .pattern = "/v1/datasets/{id}/content/{path...}", .handle = send_content},
};

static int64_t whole_size(void)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < FILE_COUNT; i++) {
        bytes += (int64_t)SIZES[i];
    }
    return bytes;
}

static enum status find_sources(void *context, const struct transfer_wish *wish,
                                struct arena *arena, struct transfer_source *out, size_t max,
                                size_t *count, struct error *error)
{
    struct world *world = context;
    (void)arena;
    (void)max;
    if (world->is_in_doubt && !wish->content && !wish->site[0]) {
        atomic_fetch_add(&world->doubts, 1);
        return error_set(error, CONFLICT, "different content of %.*s", TEXT_ARGS(wish->id));
    }
    if (!text_equal(wish->id, TEXT("s:sea"))) {
        return error_set(error, NOT_FOUND, "nobody has %.*s", TEXT_ARGS(wish->id));
    }
    *count = 0;
    if (wish->content && !digest_equal(wish->content, &world->digest)) {
        return OK;
    }
    if (world->has_liar) {
        out[(*count)++] = (struct transfer_source){.site = world->fingerprint,
                                                   .name = "gone",
                                                   .url = "https://127.0.0.1:1",
                                                   .id = "s:sea",
                                                   .digest = world->digest};
    }
    out[(*count)++] = (struct transfer_source){.site = world->fingerprint,
                                               .name = "ocean",
                                               .url = world->url,
                                               .id = "s:sea",
                                               .digest = world->digest,
                                               .file_count = FILE_COUNT,
                                               .size_bytes = whole_size()};
    return OK;
}

static enum status take_replica(void *context, struct text id, const char *folder,
                                const struct digest *digest, struct error *error)
{
    struct world *world = context;
    (void)error;
    assert_true(text_equal(id, TEXT("s:sea")));
    assert_true(digest_equal(digest, &world->digest));
    (void)snprintf(world->registered, sizeof world->registered, "%s", folder);
    world->is_registered = true;
    return OK;
}

static bool is_here(void *context, struct text id, struct digest *content)
{
    const struct world *world = context;
    *content = world->digest;
    return text_equal(id, TEXT("s:here")) || world->is_registered;
}

static bool has_files(void *context, struct text path)
{
    const struct world *world = context;
    return world->is_registered && text_equal(path, text_of(world->registered));
}

static const struct transfer_ops OPS = {.sources = find_sources,
                                        .register_replica = take_replica,
                                        .is_here = is_here,
                                        .has_files = has_files};

static void open_site(struct world *world)
{
    AUTO_FREE char *path = memory_format("%s/site.db", world->folder);
    const struct store_options store = {.url = path,
                                        .migrations = TRANSFER_MIGRATIONS,
                                        .migration_count = TRANSFER_MIGRATION_COUNT};
    struct error error = {0};
    if (store_open(&store, &world->store, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    const struct transfers_options options = {
        .store = world->store, .directory = world->folder, .ops = &OPS, .context = world};
    assert_int_equal(transfers_open(&options, &world->transfers, NULL), OK);
}

static void close_site(struct world *world)
{
    transfers_close(TAKE(world->transfers));
    store_close(TAKE(world->store));
}

static void start_server(struct world *world)
{
    AUTO_FREE char *key = memory_format("%s/key.pem", world->folder);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", world->folder);
    const struct http_server_options options = {
        .address = "127.0.0.1:0",
        .key_path = key,
        .certificate_path = certificate,
        .loops = 1,
        .routes = ROUTES,
        .route_count = sizeof ROUTES / sizeof ROUTES[0],
        .context = world,
    };
    assert_int_equal(http_server_start(&options, &world->server, NULL), OK);
    (void)snprintf(world->url, sizeof world->url, "https://127.0.0.1:%d",
                   http_server_port(world->server));
}

// The digest of the dataset: that of its list of files.
static struct digest content_digest(const struct world *world)
{
    AUTO_BUFFER struct buffer list = {0};
    char text[DIGEST_TEXT_SIZE];
    for (size_t i = 0; i < FILE_COUNT; i++) {
        struct digest digest = digest_of(world->bytes, SIZES[i]);
        buffer_printf(&list, "%s %zu %s\n", digest_to_text(&digest, text) + strlen("sha256:"),
                      SIZES[i], PATHS[i]);
    }
    return digest_of(list.bytes, list.length);
}

static int make_world(void **state)
{
    struct world *world = NEW(struct world);
    void *folder = NULL;
    (void)fixture_folder_new(&folder);
    world->folder = folder;
    world->bytes = memory_new(1, FILE_SIZE_MAX);
    for (size_t i = 0; i < FILE_SIZE_MAX; i++) {
        world->bytes[i] = (char)(i * 7 + i / 253);
    }
    world->digest = content_digest(world);
    assert_int_equal(key_ensure(world->folder, "test", &world->fingerprint, NULL), OK);
    start_server(world);
    open_site(world);
    *state = world;
    return 0;
}

static int end_world(void **state)
{
    struct world *world = *state;
    close_site(world);
    http_server_stop(world->server, 0);
    http_server_free(world->server);
    void *folder = world->folder;
    (void)fixture_folder_free(&folder);
    free(world->bytes);
    free(world);
    return 0;
}

static int64_t order(struct world *world, const char *id)
{
    AUTO_BUFFER struct buffer document = {0};
    AUTO_JSON json_t *transfer = NULL;
    const struct transfer_request request = {.id = text_of(id), .owner = TEXT("ada")};
    assert_int_equal(transfers_order(world->transfers, &request, &document, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&document), &transfer, NULL), OK);
    return json_integer_value(json_object_get(transfer, "id"));
}

static json_t *show(struct world *world, int64_t number)
{
    AUTO_BUFFER struct buffer document = {0};
    json_t *transfer = NULL;
    assert_int_equal(transfers_show(world->transfers, number, &document, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&document), &transfer, NULL), OK);
    return transfer;
}

// Waits until the field's text holds `wanted`.
static void await_text(struct world *world, int64_t number, const char *field, const char *wanted)
{
    int64_t deadline_us = clock_steady_us() + PATIENCE_US;
    for (;;) {
        AUTO_JSON json_t *transfer = show(world, number);
        const char *text = json_string_value(json_object_get(transfer, field));
        if (strstr(text, wanted)) {
            return;
        }
        if (clock_steady_us() > deadline_us) {
            fail_msg("%s is \"%s\", not \"%s\"", field, text, wanted);
        }
        (void)usleep(LOOK_US);
    }
}

static void assert_copied(const struct world *world)
{
    assert_true(world->is_registered);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        AUTO_BUFFER struct buffer content = {0};
        AUTO_FREE char *path = memory_format("%s/%s", world->registered, PATHS[i]);
        assert_int_equal(file_read(path, FILE_SIZE_MAX, &content, NULL), OK);
        assert_int_equal(content.length, SIZES[i]);
        assert_true(SIZES[i] == 0 || memcmp(content.bytes, world->bytes, SIZES[i]) == 0);
    }
}

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

static enum status order_as(struct world *world, const char *owner, int number, struct error *error)
{
    AUTO_BUFFER struct buffer document = {0};
    AUTO_FREE char *id = memory_format("s:none-%d", number);
    const struct transfer_request request = {
        .id = text_of(id), .owner = text_of(owner), .is_guest = true};
    return transfers_order(world->transfers, &request, &document, error);
}

static void a_site_has_so_many_copies_on_order_at_most(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    for (int i = 0; i < TRANSFERS_GUEST_MAX; i++) {
        const char *owner = i % 2 == 0 ? "ada@0123456789abcdef" : "bob@0123456789abcdef";
        assert_int_equal(order_as(world, owner, i, NULL), OK);
    }
    assert_int_equal(order_as(world, "ada@0123456789abcdef", 0, NULL), OK); // That is there.
    assert_int_equal(order_as(world, "eve@0123456789abcdef", 1000, &error), QUOTA);
    assert_non_null(strstr(error.detail, "64 copies on order"));
    assert_true(error.fix[0] != '\0');
    assert_int_equal(order_as(world, "eve@fedcba9876543210", 1000, NULL), OK);
    assert_true(order(world, "s:none-1001") > 0);
}

static void what_is_here_is_done_at_once(void **state)
{
    struct world *world = *state;
    AUTO_JSON json_t *transfer = show(world, order(world, "s:here"));
    assert_string_equal(json_string_value(json_object_get(transfer, "state")), "done");
    assert_int_equal(world->requests, 0);
}

static enum status order_content(struct world *world, const char *id, const struct digest *content,
                                 struct error *error)
{
    AUTO_BUFFER struct buffer document = {0};
    const struct transfer_request request = {
        .id = text_of(id), .owner = TEXT("ada"), .content = content};
    return transfers_order(world->transfers, &request, &document, error);
}

static void what_sites_say_differently_is_not_ordered_unless_one_is_named(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    AUTO_BUFFER struct buffer page = {0};
    world->is_in_doubt = true;
    assert_int_equal(order_content(world, "s:sea", NULL, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "different content of s:sea"));
    assert_int_equal(transfers_list(world->transfers, 0, 10, &page, NULL), OK);
    assert_non_null(strstr(page.bytes, "\"transfers\":[]"));
    assert_int_equal(order_content(world, "s:sea", &world->digest, &error), OK);
    await_text(world, 1, "state", "done");
    assert_copied(world);
    const struct transfer_request from = {
        .id = TEXT("s:none"), .owner = TEXT("ada"), .from = &world->fingerprint};
    assert_int_equal(transfers_order(world->transfers, &from, &page, &error), OK);
}

static void what_has_come_into_question_fails_at_once(void **state)
{
    struct world *world = *state;
    int64_t number = order(world, "s:soil");
    await_text(world, number, "problem", "nobody has s:soil");
    world->is_in_doubt = true;
    await_text(world, number, "state", "failed");
    await_text(world, number, "problem", "different content of s:soil");
    assert_int_equal(world->doubts, 1);
}

static void the_content_that_is_wished_is_known_after_a_restart(void **state)
{
    struct world *world = *state;
    struct digest other = digest_of("other", strlen("other"));
    assert_int_equal(order_content(world, "s:sea", &other, NULL), OK);
    await_text(world, 1, "problem", "with the content that was named");
    close_site(world);
    open_site(world);
    await_text(world, 1, "problem", "with the content that was named");
    await_text(world, 1, "state", "waiting");
    assert_false(world->is_registered);
}

static void what_is_here_is_not_another_content(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    struct digest other = digest_of("other", strlen("other"));
    assert_int_equal(order_content(world, "s:here", &other, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "s:here is here with other content, sha256:"));
    assert_non_null(strstr(error.fix, "lode data remove s:here"));
    assert_int_equal(order_content(world, "s:here", &world->digest, &error), OK);
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

static void the_same_order_is_one_transfer(void **state)
{
    struct world *world = *state;
    world->mischief = SILENT;
    int64_t number = order(world, "s:sea");
    assert_int_equal(order(world, "s:sea"), number);
}

static void another_content_of_what_is_under_way_is_refused(void **state)
{
    struct world *world = *state;
    struct error error = {0};
    struct digest other = digest_of("other", strlen("other"));
    world->mischief = SILENT;
    assert_int_equal(order_content(world, "s:sea", &world->digest, NULL), OK);
    assert_int_equal(order_content(world, "s:sea", &world->digest, NULL), OK);
    assert_int_equal(order_content(world, "s:sea", NULL, NULL), OK);
    assert_int_equal(order_content(world, "s:sea", &other, &error), CONFLICT);
    assert_non_null(strstr(error.detail, "transfer 1 brings other content of s:sea, sha256:"));
    assert_non_null(strstr(error.fix, "1"));
}

enum { ORDERERS = 4, ORDERS = 50 };

struct orderer {
    struct world *world;
    pthread_barrier_t *begin;
    int64_t numbers[ORDERS];
};

static void *order_all(void *context)
{
    struct orderer *orderer = context;
    for (int i = 0; i < ORDERS; i++) {
        AUTO_FREE char *id = memory_format("s:none-%d", i);
        (void)pthread_barrier_wait(orderer->begin);
        orderer->numbers[i] = order(orderer->world, id);
    }
    return NULL;
}

static void the_same_order_of_several_at_once_is_one_transfer(void **state)
{
    struct orderer orderers[ORDERERS];
    pthread_t threads[ORDERERS];
    pthread_barrier_t begin;
    assert_int_equal(pthread_barrier_init(&begin, NULL, ORDERERS), 0);
    for (int i = 0; i < ORDERERS; i++) {
        orderers[i] = (struct orderer){.world = *state, .begin = &begin};
        assert_int_equal(pthread_create(&threads[i], NULL, order_all, &orderers[i]), 0);
    }
    for (int i = 0; i < ORDERERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (int i = 1; i < ORDERERS; i++) {
        assert_memory_equal(orderers[i].numbers, orderers[0].numbers, sizeof orderers[0].numbers);
    }
    (void)pthread_barrier_destroy(&begin);
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

static void lists_are_paged_from_the_newest(void **state)
{
    struct world *world = *state;
    (void)order(world, "s:here");
    int64_t last = order(world, "s:here");
    AUTO_BUFFER struct buffer page = {0};
    assert_int_equal(transfers_list(world->transfers, 0, 1, &page, NULL), OK);
    assert_non_null(strstr(page.bytes, "\"next\":\"2\""));
    buffer_clear(&page);
    assert_int_equal(transfers_list(world->transfers, last, 10, &page, NULL), OK);
    assert_non_null(strstr(page.bytes, "{\"id\":1,"));
    assert_null(strstr(page.bytes, "{\"id\":2,"));
}

int main(void)
{
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_replica_is_copied_verified_and_registered),
        IN_A_WORLD(a_replica_that_is_not_registered_any_more_is_removed),
        IN_A_WORLD(what_lode_did_not_copy_stays),
        IN_A_WORLD(what_was_going_when_the_site_died_goes_at_its_next_start),
        IN_A_WORLD(a_site_has_so_many_copies_on_order_at_most),
        IN_A_WORLD(what_is_here_is_done_at_once),
        IN_A_WORLD(what_sites_say_differently_is_not_ordered_unless_one_is_named),
        IN_A_WORLD(what_has_come_into_question_fails_at_once),
        IN_A_WORLD(the_content_that_is_wished_is_known_after_a_restart),
        IN_A_WORLD(what_is_here_is_not_another_content),
        IN_A_WORLD(a_cut_file_goes_on_where_it_was),
        IN_A_WORLD(other_bytes_than_signed_are_refused),
        IN_A_WORLD(another_list_than_signed_is_refused),
        IN_A_WORLD(a_list_beyond_what_was_signed_for_is_refused),
        IN_A_WORLD(sizes_beyond_what_was_signed_for_are_refused),
        IN_A_WORLD(a_source_that_is_gone_is_passed_over),
        IN_A_WORLD(data_that_nobody_has_is_tried_again_with_the_reason),
        IN_A_WORLD(the_same_order_is_one_transfer),
        IN_A_WORLD(another_content_of_what_is_under_way_is_refused),
        IN_A_WORLD(the_same_order_of_several_at_once_is_one_transfer),
        IN_A_WORLD(a_cancelled_one_ends),
        IN_A_WORLD(a_restart_takes_it_up),
        IN_A_WORLD(those_who_wait_hear_of_the_end),
        IN_A_WORLD(lists_are_paged_from_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
