#include "worker/fetch.h"

#include "base/hex.h"
#include "base/json.h"
#include "base/memory.h"
#include "crypto/pass.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

#include <errno.h>
#include <inttypes.h>

enum { URL_SIZE_MAX = 300 };
enum {
    ACTIVE_MAX = 4,
    READ_BLOCK = 256 << 10,
    BLOCKS_A_TURN = 16,
    FAILED_MAX = 16,
    SOURCE_BYTES_MIN = 1 << 20
};
#define RETRY_MIN_US INT64_C(100000)
#define RETRY_MAX_US INT64_C(2000000)
#define SILENCE_MAX_US                                                                             \
    INT64_C(20000000) // A connection that brings nothing for so long is given up.
#define SOURCE_WAIT_US INT64_C(200000)
#define DENIED_MAX_US                                                                              \
    INT64_C(30000000) // A site that was started anew needs a while to know what its workers do.

enum step {
    STEP_LOOK,    // Is it in the cache?
    STEP_VERIFY,  // It is there, from an earlier life.
    STEP_WAIT,    // To be asked for.
    STEP_TAKE_UP, // What has come of it earlier is read.
    STEP_ASK,     // The site is asked who sends it.
    STEP_SEND,    // The site, or another worker, sends.
};

struct fetch {
    struct fetch *next;
    struct fetches *all;
    struct fetch_order order; // Its texts are the next two.
    char *data;
    char *path;
    enum step step;
    int fd; // Of the part, or of the file that is verified.
    struct digest_stream *hash;
    int64_t have;  // Bytes of the part that are in `hash`.
    int64_t there; // Bytes in the part as it was found.
    int64_t reserved;
    bool has_part;
    int64_t retry_us; // Steady time before which it is not tried again.
    int64_t pause_us;
    int64_t heard_us;
    int64_t denied_us; // Since when the site says no; 0: it does not.
    struct http_peer
        peer; // Another worker that sends; its texts are the next three. No URL: the site does.
    char *peer_url;
    char *peer_pin;
    char *peer_pass;
    int64_t peer_worker;
    int64_t failed[FAILED_MAX]; // Workers that it could not be had from.
    size_t failed_count;
    int wrongs; // Times that other bytes came.
    struct error fault;
    struct http_call *call;
    fetch_done done;
    void *context;
};

struct fetches {
    struct input_cache *cache;
    struct http_client *client;
    int64_t worker;
    struct fetch *first; // In order of arrival.
    size_t active;       // With a call under way.
};

struct fetches *fetches_new(struct input_cache *cache)
{
    struct fetches *fetches = NEW(struct fetches);
    fetches->cache = cache;
    return fetches;
}

static void close_files(struct fetch *fetch)
{
    file_close_local(&fetch->fd);
    fetch->fd = -1;
    digest_stream_free(TAKE(fetch->hash));
    if (fetch->has_part) {
        input_cache_leave_part(fetch->all->cache, &fetch->order.digest);
        fetch->has_part = false;
    }
    input_cache_release(fetch->all->cache, fetch->reserved);
    fetch->reserved = 0;
}

static void drop_peer(struct fetch *fetch)
{
    free(TAKE(fetch->peer_url));
    free(TAKE(fetch->peer_pin));
    free(TAKE(fetch->peer_pass));
    fetch->peer = (struct http_peer){0};
    fetch->peer_worker = 0;
}

static void free_fetch(struct fetch *fetch)
{
    close_files(fetch);
    drop_peer(fetch);
    free(fetch->data);
    free(fetch->path);
    free(fetch);
}

static void stop_call(struct fetch *fetch)
{
    if (fetch->call) {
        fetch->all->active--;
        http_client_cancel(fetch->all->client, TAKE(fetch->call));
    }
}

// Back to the beginning; what has come stays.
static void rest(struct fetch *fetch, int64_t retry_us)
{
    stop_call(fetch);
    close_files(fetch);
    drop_peer(fetch);
    fetch->step = STEP_LOOK;
    fetch->retry_us = retry_us;
}

void fetches_free(struct fetches *fetches)
{
    while (fetches && fetches->first) {
        struct fetch *fetch = fetches->first;
        fetches->first = fetch->next;
        stop_call(fetch);
        free_fetch(fetch);
    }
    free(fetches);
}

void fetches_set_site(struct fetches *fetches, struct http_client *client, int64_t worker)
{
    for (struct fetch *at = fetches->first; at; at = at->next) {
        if (at->call) {
            rest(at, 0);
        }
    }
    fetches->client = client;
    fetches->worker = worker;
}

struct fetch *fetches_order(struct fetches *fetches, const struct fetch_order *order,
                            fetch_done done, void *context)
{
    struct fetch *fetch = NEW(struct fetch);
    struct fetch **end = &fetches->first;
    fetch->all = fetches;
    fetch->order = *order;
    fetch->data = memory_copy_string(order->data);
    fetch->path = memory_copy_string(order->path);
    fetch->order.data = fetch->data;
    fetch->order.path = fetch->path;
    fetch->fd = -1;
    fetch->pause_us = RETRY_MIN_US;
    fetch->done = done;
    fetch->context = context;
    while (*end) {
        end = &(*end)->next;
    }
    *end = fetch;
    return fetch;
}

static void unlink_fetch(const struct fetch *fetch)
{
    struct fetch **at = &fetch->all->first;
    while (*at != fetch) {
        at = &(*at)->next;
    }
    *at = fetch->next;
}

void fetch_cancel(struct fetch *fetch)
{
    unlink_fetch(fetch);
    stop_call(fetch);
    free_fetch(fetch);
}

int64_t fetch_have(const struct fetch *fetch)
{
    return fetch->have;
}

static void finish(struct fetch *fetch, enum status status, const struct error *error)
{
    unlink_fetch(fetch);
    close_files(fetch);
    if (status != OK) {
        log_line(LOG_LEVEL_WARNING,
                 "event=input-failed job=%" PRId64 " data=%s path=\"%s\" detail=\"%s\"",
                 fetch->order.job, fetch->data, fetch->path, error->detail);
    }
    fetch->done(fetch->context, status, error);
    free_fetch(fetch);
}

// Somebody else fetches it already.
static bool is_under_way(const struct fetch *fetch)
{
    for (const struct fetch *at = fetch->all->first; at; at = at->next) {
        if (at != fetch && at->step != STEP_LOOK &&
            digest_equal(&at->order.digest, &fetch->order.digest)) {
            return true;
        }
    }
    return false;
}

static void look(struct fetch *fetch)
{
    struct error error = {0};
    const struct digest *digest = &fetch->order.digest;
    if (is_under_way(fetch)) {
        return;
    }
    switch (input_cache_find(fetch->all->cache, digest)) {
    case CACHED:
        finish(fetch, OK, &error);
        return;
    case CACHED_DOUBTFUL:
        if (input_cache_open_file(fetch->all->cache, digest, &fetch->fd, &error) == OK) {
            fetch->hash = digest_stream_new();
            fetch->have = 0;
            fetch->step = STEP_VERIFY;
        } else {
            input_cache_judge(fetch->all->cache, digest, false);
        }
        return;
    case CACHED_NOT:
        fetch->step = STEP_WAIT;
        return;
    }
}

// Reads on for the digest. 1: there is more; 0: that was all up to `end`; -1: it cannot be read.
static int hash_some(struct fetch *fetch, int64_t end)
{
    AUTO_FREE char *block = memory_new(READ_BLOCK, 1);
    for (int i = 0; i < BLOCKS_A_TURN && fetch->have < end; i++) {
        int64_t most = end - fetch->have < READ_BLOCK ? end - fetch->have : READ_BLOCK;
        ssize_t got = pread(fetch->fd, block, (size_t)most, fetch->have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? 0 : -1;
        }
        digest_stream_update(fetch->hash, block, (size_t)got);
        fetch->have += got;
    }
    return fetch->have < end ? 1 : 0;
}

static void verify(struct fetch *fetch)
{
    int outcome = hash_some(fetch, INT64_MAX);
    if (outcome == 1) {
        return;
    }
    char text[DIGEST_TEXT_SIZE];
    struct digest digest = digest_stream_finish(TAKE(fetch->hash));
    bool is_good = outcome == 0 && digest_equal(&digest, &fetch->order.digest);
    if (!is_good) {
        log_line(LOG_LEVEL_WARNING,
                 "event=cache-corrupt digest=%s detail=\"it is removed and fetched anew\"",
                 digest_to_text(&fetch->order.digest, text));
    }
    input_cache_judge(fetch->all->cache, &fetch->order.digest, is_good);
    rest(fetch, 0);
}

static bool on_data(void *context, struct text bytes)
{
    struct fetch *fetch = context;
    fetch->heard_us = clock_steady_us();
    if (fetch->have + (int64_t)bytes.length > fetch->order.size) {
        (void)error_set(&fetch->fault, CORRUPT, "the site sends more of %s/%.200s than it lists",
                        fetch->data, fetch->path);
        return false;
    }
    if (file_write_all(fetch->fd, bytes, &fetch->fault) != OK) {
        return false;
    }
    digest_stream_update(fetch->hash, bytes.bytes, bytes.length);
    fetch->have += (int64_t)bytes.length;
    return true;
}

// What has come is of no use.
static void empty_part(struct fetch *fetch)
{
    if (ftruncate(fetch->fd, 0) < 0) {
        log_line(LOG_LEVEL_ERROR, "event=cannot-empty-part path=\"%s\"", fetch->path);
    }
}

// Not to be asked again for this file.
static void blame_peer(struct fetch *fetch)
{
    log_line(LOG_LEVEL_WARNING, "event=worker-failed worker=%" PRId64 " path=\"%s\"",
             fetch->peer_worker, fetch->path);
    fetch->failed[fetch->failed_count++ % FAILED_MAX] = fetch->peer_worker;
}

static void take_nothing(void *context, const struct http_answer *answer)
{
    (void)context;
    (void)answer;
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
    buffer_append_string(out, "]}");
}

static struct http_call *ask_site(struct fetch *fetch, bool has_it,
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

// Is it large enough to be worth the question who sends it?
static bool is_shared(const struct fetch *fetch)
{
    return fetch->order.size >= SOURCE_BYTES_MIN;
}

static void take_whole(struct fetch *fetch)
{
    struct error error = {0};
    struct digest digest = digest_stream_finish(TAKE(fetch->hash));
    if (!digest_equal(&digest, &fetch->order.digest)) {
        empty_part(fetch);
        if (fetch->peer_url) {
            blame_peer(fetch);
            rest(fetch, 0);
            return;
        }
        if (++fetch->wrongs < 2) { // What an earlier life has left may be to blame.
            rest(fetch, 0);
            return;
        }
        (void)error_set(&error, INVALID,
                        "input file %s/%.200s has another content than it was registered with",
                        fetch->data, fetch->path);
        error_fix(&error, "lode data verify, with --full, finds what was changed");
        finish(fetch, INVALID, &error);
        return;
    }
    fetch->has_part = false;
    enum status status = input_cache_keep(fetch->all->cache, &digest, fetch->reserved,
                                          fetch->order.modified_us, &error);
    if (status == OK) {
        fetch->reserved = 0;
        log_line(LOG_LEVEL_INFO,
                 "event=input-fetched data=%s path=\"%s\" bytes=%" PRId64 " worker=%" PRId64,
                 fetch->data, fetch->path, fetch->order.size, fetch->peer_worker);
        if (is_shared(fetch) && fetch->all->client) {
            (void)ask_site(fetch, true, take_nothing);
        }
    }
    finish(fetch, status, &error);
}

static void try_again(struct fetch *fetch, int64_t now_us)
{
    rest(fetch, now_us + fetch->pause_us);
    fetch->pause_us = fetch->pause_us * 2 < RETRY_MAX_US ? fetch->pause_us * 2 : RETRY_MAX_US;
}

// Is the site's answer final? What it says of a file that it has no more as it was is the input's fault; a worker or job that it does not
// know (yet) may be known a moment later.
static void take_failure(struct fetch *fetch, enum status status, const struct error *error)
{
    int64_t now_us = clock_steady_us();
    if (fetch->peer_url) {
        blame_peer(fetch);
        rest(fetch, now_us);
        return;
    }
    if (status == DENIED && fetch->denied_us == 0) {
        fetch->denied_us = now_us;
    }
    bool may_change = status == UNAVAILABLE || status == TIMEOUT || status == BUSY ||
                      (status == DENIED && now_us - fetch->denied_us < DENIED_MAX_US);
    if (may_change) {
        try_again(fetch, now_us);
        return;
    }
    struct error final = *error;
    bool is_input = status == CONFLICT || status == NOT_FOUND;
    finish(fetch, is_input ? INVALID : status, &final);
}

static void on_call_end(void *context, const struct http_answer *answer)
{
    struct fetch *fetch = context;
    fetch->call = NULL;
    fetch->all->active--;
    if (fetch->fault.status == CORRUPT) {
        fetch->fault = (struct error){0};
        fetch->have = 0;
        digest_stream_free(fetch->hash);
        fetch->hash = digest_stream_new(); // Of nothing: not what it should be.
        take_whole(fetch);
    } else if (fetch->fault.status != OK) {
        struct error error = fetch->fault;
        if (error.status == QUOTA) {
            error_fix(&error, "make room on this worker's disk, or lower its --cache-size");
        }
        finish(fetch, error.status, &error);
    } else if (answer->status != OK) {
        take_failure(fetch, answer->status, &answer->error);
    } else if (fetch->have < fetch->order.size) {
        try_again(fetch, clock_steady_us()); // It broke off.
    } else {
        take_whole(fetch);
    }
}

static void write_target(const struct fetch *fetch, struct buffer *out)
{
    char digest[DIGEST_TEXT_SIZE];
    if (fetch->peer_url) {
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

static void send(struct fetch *fetch, int64_t now_us)
{
    AUTO_BUFFER struct buffer target = {0};
    AUTO_FREE char *range =
        fetch->have > 0 ? memory_format("bytes=%" PRId64 "-", fetch->have) : NULL;
    if (lseek(fetch->fd, fetch->have, SEEK_SET) < 0) {
        try_again(fetch, now_us);
        return;
    }
    write_target(fetch, &target);
    if (fetch->have > 0) {
        log_line(LOG_LEVEL_INFO,
                 "event=input-resumed data=%s path=\"%s\" from=%" PRId64 " bytes=%" PRId64,
                 fetch->data, fetch->path, fetch->have, fetch->order.size);
    }
    const struct http_ask ask = {.peer = fetch->peer_url ? &fetch->peer : NULL,
                                 .method = "GET",
                                 .path = target.bytes,
                                 .range = range,
                                 .on_data = on_data,
                                 .context = fetch};
    fetch->step = STEP_SEND;
    fetch->heard_us = now_us;
    fetch->all->active++;
    fetch->call = http_client_start(fetch->all->client, &ask, on_call_end);
}

static enum status read_peer(struct fetch *fetch, const json_t *document, struct error *error)
{
    struct text url;
    struct text pin;
    struct text pass;
    TRY(json_field_int64(document, "worker", JSON_REQUIRED, 1, INT64_MAX, &fetch->peer_worker,
                         error));
    TRY(json_field_text(document, "url", JSON_REQUIRED, URL_SIZE_MAX, &url, error));
    TRY(json_field_text(document, "fingerprint", JSON_REQUIRED, DIGEST_TEXT_SIZE, &pin, error));
    TRY(json_field_text(document, "pass", JSON_REQUIRED, PASS_SIZE, &pass, error));
    fetch->peer_url = text_copy(url);
    fetch->peer_pin = text_copy(pin);
    fetch->peer_pass = text_copy(pass);
    fetch->peer = (struct http_peer){fetch->peer_url, fetch->peer_pin, fetch->peer_pass};
    return OK;
}

static void on_source(void *context, const struct http_answer *answer)
{
    struct fetch *fetch = context;
    struct error error = answer->error;
    AUTO_JSON json_t *document = NULL;
    struct text from = TEXT("");
    int64_t now_us = clock_steady_us();
    fetch->call = NULL;
    fetch->all->active--;
    if (answer->status != OK) {
        take_failure(fetch, answer->status, &error);
        return;
    }
    enum status status = json_parse(answer->body, &document, &error);
    if (status == OK) {
        status = json_field_text(document, "from", JSON_REQUIRED, 16, &from, &error);
    }
    if (status == OK && text_equal(from, TEXT("worker"))) {
        status = read_peer(fetch, document, &error);
    }
    if (status != OK || text_equal(from, TEXT("wait"))) {
        rest(fetch, now_us + SOURCE_WAIT_US); // Somebody may have it by then.
        return;
    }
    send(fetch, now_us);
}

static void ask(struct fetch *fetch, int64_t now_us)
{
    fetch->step = STEP_ASK;
    fetch->heard_us = now_us;
    fetch->all->active++;
    fetch->call = ask_site(fetch, false, on_source);
}

// Opens the part, and begins to read what is in it.
static void begin(struct fetch *fetch)
{
    struct error error = {0};
    enum status status = input_cache_reserve(fetch->all->cache, fetch->order.size, &error);
    if (status == OK) {
        fetch->reserved = fetch->order.size;
        status = input_cache_open_part(fetch->all->cache, &fetch->order.digest, &fetch->fd,
                                       &fetch->there, &error);
    }
    if (status != OK) {
        finish(fetch, status, &error);
        return;
    }
    fetch->has_part = true;
    fetch->hash = digest_stream_new();
    fetch->have = 0;
    if (fetch->there > fetch->order.size) {
        empty_part(fetch);
        fetch->there = 0;
    }
    fetch->step = STEP_TAKE_UP;
}

static void take_up(struct fetch *fetch, int64_t now_us)
{
    switch (hash_some(fetch, fetch->there)) {
    case 1:
        return;
    case 0:
        break;
    default:
        empty_part(fetch);
        try_again(fetch, now_us);
        return;
    }
    if (fetch->have == fetch->order.size) {
        take_whole(fetch); // An empty one, or whole already.
    } else if (fetch->all->client && fetch->all->worker != 0 && fetch->all->active < ACTIVE_MAX) {
        (is_shared(fetch) ? ask : send)(fetch, now_us);
    }
}

static bool may_begin(const struct fetch *fetch)
{
    size_t begun = 0;
    for (const struct fetch *at = fetch->all->first; at; at = at->next) {
        begun += at->step >= STEP_TAKE_UP;
    }
    return begun < ACTIVE_MAX && fetch->all->client && fetch->all->worker != 0;
}

// One step of one order. It may be gone afterwards.
static void work(struct fetch *fetch, int64_t now_us)
{
    switch (fetch->step) {
    case STEP_LOOK:
        if (now_us >= fetch->retry_us) {
            look(fetch);
        }
        break;
    case STEP_VERIFY:
        verify(fetch);
        break;
    case STEP_WAIT:
        if (may_begin(fetch)) {
            begin(fetch);
        }
        break;
    case STEP_TAKE_UP:
        take_up(fetch, now_us);
        break;
    case STEP_ASK:
        break;
    case STEP_SEND:
        if (now_us - fetch->heard_us > SILENCE_MAX_US) {
            if (fetch->peer_url) {
                blame_peer(fetch);
            }
            try_again(fetch, now_us);
        }
        break;
    }
}

static int64_t least_delay(int64_t a_us, int64_t b_us)
{
    return a_us < 0 || b_us < a_us ? b_us : a_us;
}

// Until it has something to do by itself; -1: never.
static int64_t delay_of(const struct fetch *fetch, int64_t now_us)
{
    switch (fetch->step) {
    case STEP_LOOK:
        return is_under_way(fetch) ? -1 : fetch->retry_us > now_us ? fetch->retry_us - now_us : 0;
    case STEP_VERIFY:
        return 0;
    case STEP_WAIT:
        return may_begin(fetch) ? 0 : -1;
    case STEP_TAKE_UP:
        return fetch->have < fetch->there || (fetch->all->client && fetch->all->worker != 0) ? 0
                                                                                             : -1;
    case STEP_ASK:
        return -1;
    case STEP_SEND:
        return SILENCE_MAX_US / 4;
    }
    return -1;
}

int64_t fetches_work(struct fetches *fetches, int64_t now_us)
{
    int64_t delay_us = -1;
    struct fetch *next = NULL;
    for (struct fetch *at = fetches->first; at; at = next) {
        next = at->next;
        work(at, now_us);
    }
    for (const struct fetch *at = fetches->first; at; at = at->next) {
        int64_t own_us = delay_of(at, now_us);
        delay_us = own_us < 0 ? delay_us : least_delay(delay_us, own_us);
    }
    return delay_us;
}
