// What the site says of itself: GET /v1/site, /v1/status, /v1/whoami, /v1/openapi.json.
#include "api/api.h"

#include "base/calendar.h"
#include "identity/known_workers.h"
#include "os/clock.h"
#include "os/file.h"
#include "queue/queue.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdio.h>

enum { PROTOCOL_VERSION = 1 };

static void get_site(struct api_call *call)
{
    const struct api *api = call->api;
    api_reply_value(call, 200,
                    json_pack("{s:s, s:s, s:s, s:i}", "name", api->name, "fingerprint",
                              api->fingerprint, "version", LODE_VERSION, "protocol",
                              PROTOCOL_VERSION));
}

// What is resident of the process but for files that it has mapped, which the kernel takes away when it needs the room.
static int64_t own_bytes(void)
{
    AUTO_BUFFER struct buffer text = {0};
    struct text part;
    int64_t resident = 0;
    int64_t mapped = 0;
    if (file_read("/proc/self/statm", 256, &text, NULL) != OK) {
        return 0;
    }
    // The second and the third number (proc(5)).
    struct text rest = buffer_text(&text);
    (void)text_next_part(&rest, ' ', &part);
    if (!text_next_part(&rest, ' ', &part) || !text_to_int64(part, &resident) ||
        !text_next_part(&rest, ' ', &part) || !text_to_int64(part, &mapped)) {
        return 0;
    }
    return (resident - mapped) * (int64_t)sysconf(_SC_PAGESIZE);
}

static json_t *describe_worker_keys(const struct api *api)
{
    struct known_workers_figures figures = known_workers_count(api->known_workers);
    return json_pack("{s:b, s:I, s:I, s:I, s:I}", "open", known_workers_is_open(api->known_workers),
                     "accepted", (json_int_t)figures.accepted, "pending",
                     (json_int_t)figures.pending, "refused", (json_int_t)figures.refused, "rivals",
                     (json_int_t)figures.rivals);
}

static void get_status(struct api_call *call)
{
    const struct api *api = call->api;
    char started[CALENDAR_TEXT_SIZE];
    struct store_figures figures = store_figures(api->store);
    json_t *status = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:I, s:{s:I, s:I}, s:{s:I, s:I}}", "name", api->name,
        "fingerprint", api->fingerprint, "url", api->url, "version", LODE_VERSION, "started_at",
        calendar_format(api->started_us, started), "uptime_seconds",
        (json_int_t)((clock_real_us() - api->started_us) / 1000000), "directory",
        json_from_text(text_of(api->directory)), "memory_bytes", (json_int_t)own_bytes(), "store",
        "commits", (json_int_t)figures.commits, "writes", (json_int_t)figures.writes, "inputs",
        "files_sent", (json_int_t)atomic_load(&api->input_files_sent), "bytes_sent",
        (json_int_t)atomic_load(&api->input_bytes_sent));
    if (api->describe_announcement) {
        (void)json_object_set_new(status, "announcement",
                                  api->describe_announcement(api->announcement));
    }
    if (api->describe_reach) {
        (void)json_object_set_new(status, "reached_at", api->describe_reach(api->reach));
    }
    struct error error = {0};
    enum status read = queue_describe(api->queue, status, &error);
    if (read != OK) {
        json_decref(status);
        error.status = read;
        api_reply_error(call, &error);
        return;
    }
    (void)json_object_set_new(status, "worker_keys", describe_worker_keys(api));
    api_reply_value(call, 200, status);
}

static void get_whoami(struct api_call *call)
{
    json_t *answer = json_object();
    (void)json_object_set_new(answer, "principal", json_from_text(call->principal.name));
    (void)json_object_set_new(answer, "role", json_string(role_name(call->principal.role)));
    // Who showed a key has none.
    (void)json_object_set_new(answer, "token",
                              call->token ? json_sprintf("%lld", (long long)call->token->id)
                                          : json_null());
    api_reply_value(call, 200, answer);
}

static void get_openapi(struct api_call *call)
{
    if (call->api->openapi.length == 0) {
        struct error error = {0};
        (void)error_set(&error, NOT_FOUND, "openapi.json is not installed beside this program");
        api_reply_error(call, &error);
        return;
    }
    api_reply_json(call, 200, call->api->openapi);
}

const struct api_route API_SITE_ROUTES[] = {
    {.method = "GET", .pattern = "/v1/site", .is_public = true, .handle = get_site},
    {.method = "GET",
     .pattern = "/v1/status",
     .action = ACTION_SITE_READ,
     .place = API_ON_POOL,
     .handle = get_status},
    {.method = "GET", .pattern = "/v1/whoami", .action = ACTION_SITE_READ, .handle = get_whoami},
    {.method = "GET",
     .pattern = "/v1/openapi.json",
     .action = ACTION_SITE_READ,
     .handle = get_openapi},
    {.method = NULL},
};
