// Of whom a file is asked, in which words, and who is not to be named for it again.
#include "fetch/state.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/log.h"

#include <inttypes.h>

enum { SOURCE_BYTES_MIN = 1 << 20 };

bool fetch_is_shared(const struct fetch *fetch)
{
    return fetch->order.size >= SOURCE_BYTES_MIN;
}

void fetch_blame_peer(struct fetch *fetch, bool is_unreached)
{
    log_line(LOG_LEVEL_WARNING, "event=worker-failed worker=%" PRId64 " path=\"%s\"",
             fetch->source.worker, fetch->path);
    fetch->failed[fetch->failed_count++ % FAILED_MAX] = fetch->source.worker;
    if (is_unreached) {
        unreached_add(&fetch->all->unreached, fetch->source.worker, clock_steady_us());
    }
}

static void write_question(const struct fetch *fetch, bool has_it, struct buffer *out)
{
    char digest[DIGEST_TEXT_SIZE];
    size_t count = fetch->failed_count < FAILED_MAX ? fetch->failed_count : FAILED_MAX;
    buffer_printf(out, "{\"job\":%" PRId64 ",\"digest\":\"%s\",\"has_it\":%s,\"failed\":[",
                  fetch->order.job, digest_to_text(&fetch->order.digest, digest),
                  has_it ? "true" : "false");
    for (size_t i = 0; i < count; i++) {
        buffer_printf(out, "%s%" PRId64, i > 0 ? "," : "", fetch->failed[i]);
    }
    buffer_append_byte(out, ']');
    unreached_write(&fetch->all->unreached, clock_steady_us(), out);
    buffer_append_byte(out, '}');
}

struct http_call *fetch_ask_site(struct fetch *fetch, bool has_it,
                                 void (*done)(void *context, const struct http_answer *answer))
{
    AUTO_BUFFER struct buffer body = {0};
    AUTO_FREE char *path = memory_format("/v1/workers/%" PRId64 "/sources", fetch->all->worker);
    write_question(fetch, has_it, &body);
    const struct http_ask ask = {.method = "POST",
                                 .path = path,
                                 .body = buffer_text(&body),
                                 .timeout_us = SILENCE_MAX_US,
                                 .context = fetch};
    return http_client_start(fetch->all->client, &ask, done);
}

static void take_nothing(void *context, const struct http_answer *answer)
{
    (void)context;
    (void)answer;
}

bool fetches_tell(struct fetches *fetches, const struct fetch_order *order)
{
    struct fetch told = {.all = fetches, .order = *order};
    bool is_wanted = fetch_is_shared(&told) && fetches->client && fetches->worker != 0;
    if (is_wanted) {
        (void)fetch_ask_site(&told, true, take_nothing);
    }
    return is_wanted;
}

void fetch_write_target(const struct fetch *fetch, struct buffer *out)
{
    char digest[DIGEST_TEXT_SIZE];
    if (fetch->source.kind == SOURCE_WORKER) {
        buffer_printf(out, "/v1/blobs/%s", digest_to_text(&fetch->order.digest, digest));
        return;
    }
    buffer_printf(out, "/v1/workers/%" PRId64 "/jobs/%" PRId64 "/data/", fetch->all->worker,
                  fetch->order.job);
    percent_append(out, text_of(fetch->data));
    struct text rest_of_path = text_of(fetch->path);
    for (struct text part; text_next_part(&rest_of_path, '/', &part);) {
        buffer_append_byte(out, '/');
        percent_append(out, part);
    }
    buffer_printf(out, "?digest=%s", digest_to_text(&fetch->order.digest, digest));
}
