#include "world.h"
#include "../cmocka_all.h"
#include "../serve.h"
#include "../store/fixture.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_US = 5000 };

const char *const PATHS[FILE_COUNT] = {"a.nc", "deep/er/b c.nc", "empty"};
const size_t SIZES[FILE_COUNT] = {FILE_SIZE_MAX, 1000, 0};

static void list_files(struct http_request *request, void *context)
{
    struct world *world = context;
    AUTO_BUFFER struct buffer body = {0};
    char text[DIGEST_TEXT_SIZE];
    atomic_fetch_add(&world->lists_asked, 1);
    if (world->mischief == SILENT_ABOUT_LIST) {
        return; // Answered by the end of the server alone.
    }
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

void open_site(struct world *world)
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

void close_site(struct world *world)
{
    transfers_close(TAKE(world->transfers));
    store_close(TAKE(world->store));
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

int make_world(void **state)
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
    world->server = serve(world->folder, ROUTES, sizeof ROUTES / sizeof ROUTES[0], world,
                          world->url, sizeof world->url);
    open_site(world);
    *state = world;
    return 0;
}

int end_world(void **state)
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

int64_t order(struct world *world, const char *id)
{
    AUTO_BUFFER struct buffer document = {0};
    AUTO_JSON json_t *transfer = NULL;
    const struct transfer_request request = {.id = text_of(id), .owner = TEXT("ada")};
    assert_int_equal(transfers_order(world->transfers, &request, &document, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&document), &transfer, NULL), OK);
    return json_integer_value(json_object_get(transfer, "id"));
}

json_t *show(struct world *world, int64_t number)
{
    AUTO_BUFFER struct buffer document = {0};
    json_t *transfer = NULL;
    assert_int_equal(transfers_show(world->transfers, number, &document, NULL), OK);
    assert_int_equal(json_parse(buffer_text(&document), &transfer, NULL), OK);
    return transfer;
}

void await_text(struct world *world, int64_t number, const char *field, const char *wanted)
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

void assert_copied(const struct world *world)
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

enum status order_content(struct world *world, const char *id, const struct digest *content,
                          struct error *error)
{
    AUTO_BUFFER struct buffer document = {0};
    const struct transfer_request request = {
        .id = text_of(id), .owner = TEXT("ada"), .content = content};
    return transfers_order(world->transfers, &request, &document, error);
}
