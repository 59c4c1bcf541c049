#include "fetch/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/log.h"

#include <inttypes.h>
#include <unistd.h>

enum { ACTIVE_MAX = 4 };
#define RETRY_MIN_US INT64_C(100000)
#define RETRY_MAX_US INT64_C(2000000)
#define SOURCE_WAIT_US INT64_C(200000)
#define REACH_MAX_US INT64_C(3000000) // For the connection to another worker.
#define DENIED_MAX_US                                                                              \
    INT64_C(30000000) // A site that was started anew needs a while to know what its workers do.

struct fetches *fetches_new(struct input_cache *cache, void (*on_shared)(void *context),
                            void *context)
{
    struct fetches *fetches = NEW(struct fetches);
    fetches->cache = cache;
    fetches->on_shared = on_shared;
    fetches->context = context;
    return fetches;
}

static void free_fetch(struct fetch *fetch)
{
    part_close(&fetch->part);
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
    part_close(&fetch->part);
    fetch->source = (struct source_answer){.kind = SOURCE_SITE};
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
    part_init(&fetch->part, fetches->cache, &order->digest, order->size);
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
    return fetch->part.have;
}

static void finish(struct fetch *fetch, enum status status, const struct error *error)
{
    unlink_fetch(fetch);
    part_close(&fetch->part);
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
        if (part_open_whole(&fetch->part, &error) == OK) {
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

static void verify(struct fetch *fetch)
{
    enum part_read outcome = part_read_on(&fetch->part, INT64_MAX);
    if (outcome == PART_READ_MORE) {
        return;
    }
    bool is_good = part_is_right(&fetch->part) && outcome == PART_READ_ALL;
    if (!is_good) {
        char text[DIGEST_TEXT_SIZE];
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
    fetch->has_come = true;
    if (fetch->part.have + (int64_t)bytes.length > fetch->order.size) {
        (void)error_set(&fetch->fault, CORRUPT, "the site sends more of %s/%.200s than it lists",
                        fetch->data, fetch->path);
        return false;
    }
    return part_append(&fetch->part, bytes, &fetch->fault) == OK;
}

// What has come is of no use.
static void empty_part(struct fetch *fetch)
{
    struct error error = {0};
    if (part_empty(&fetch->part, &error) != OK) {
        log_line(LOG_LEVEL_ERROR, "event=cannot-empty-part path=\"%s\" detail=\"%s\"", fetch->path,
                 error.detail);
    }
}

// Other bytes came than those that the file was registered with.
static void take_wrong(struct fetch *fetch)
{
    struct error error = {0};
    empty_part(fetch);
    if (fetch->source.kind == SOURCE_WORKER) {
        fetch_blame_peer(fetch, false);
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
}

static void take_whole(struct fetch *fetch)
{
    struct error error = {0};
    if (!part_is_right(&fetch->part)) {
        take_wrong(fetch);
        return;
    }
    enum status status = part_keep(&fetch->part, fetch->order.modified_us, &error);
    if (status == OK) {
        log_line(LOG_LEVEL_INFO,
                 "event=input-fetched data=%s path=\"%s\" bytes=%" PRId64 " worker=%" PRId64,
                 fetch->data, fetch->path, fetch->order.size, fetch->source.worker);
        if (fetch_is_shared(fetch) && fetch->all->client) {
            fetch->all->on_shared(fetch->all->context);
            (void)fetches_tell(fetch->all, &fetch->order);
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
    if (fetch->source.kind == SOURCE_WORKER) {
        bool is_unreached =
            !fetch->has_come && (status == UNAVAILABLE || status == TIMEOUT || status == DENIED);
        fetch_blame_peer(fetch, is_unreached);
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
        take_wrong(fetch);
    } else if (fetch->fault.status != OK) {
        struct error error = fetch->fault;
        if (error.status == QUOTA) {
            error_fix(&error, "make room on this worker's disk, or lower its --cache-size");
        }
        finish(fetch, error.status, &error);
    } else if (answer->status != OK) {
        take_failure(fetch, answer->status, &answer->error);
    } else if (fetch->part.have < fetch->order.size) {
        try_again(fetch, clock_steady_us()); // It broke off.
    } else {
        take_whole(fetch);
    }
}

static void send(struct fetch *fetch, int64_t now_us)
{
    AUTO_BUFFER struct buffer target = {0};
    AUTO_FREE char *range =
        fetch->part.have > 0 ? memory_format("bytes=%" PRId64 "-", fetch->part.have) : NULL;
    if (lseek(fetch->part.fd, fetch->part.have, SEEK_SET) < 0) {
        try_again(fetch, now_us);
        return;
    }
    fetch_write_target(fetch, &target);
    if (fetch->part.have > 0) {
        log_line(LOG_LEVEL_INFO,
                 "event=input-resumed data=%s path=\"%s\" from=%" PRId64 " bytes=%" PRId64,
                 fetch->data, fetch->path, fetch->part.have, fetch->order.size);
    }
    const struct source_answer *source = &fetch->source;
    const struct http_peer peer = {source->url, source->fingerprint, source->pass};
    const struct http_ask ask = {.peer = source->kind == SOURCE_WORKER ? &peer : NULL,
                                 .method = "GET",
                                 .path = target.bytes,
                                 .range = range,
                                 .connect_timeout_us =
                                     source->kind == SOURCE_WORKER ? REACH_MAX_US : 0,
                                 .on_data = on_data,
                                 .context = fetch};
    fetch->step = STEP_SEND;
    fetch->heard_us = now_us;
    fetch->has_come = false;
    fetch->all->active++;
    fetch->call = http_client_start(fetch->all->client, &ask, on_call_end);
}

static void on_source(void *context, const struct http_answer *answer)
{
    struct fetch *fetch = context;
    struct error error = answer->error;
    int64_t now_us = clock_steady_us();
    fetch->call = NULL;
    fetch->all->active--;
    if (answer->status != OK) {
        take_failure(fetch, answer->status, &error);
        return;
    }
    enum status status = source_answer_read(answer->body, &fetch->source, &error);
    if (status != OK) {
        log_line(LOG_LEVEL_WARNING, "event=source-unread path=\"%s\" detail=\"%s\"", fetch->path,
                 error.detail);
        try_again(fetch, now_us);
        return;
    }
    if (fetch->source.kind == SOURCE_WAIT) {
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
    fetch->call = fetch_ask_site(fetch, false, on_source);
}

// Opens the part, and begins to read what is in it.
static void begin(struct fetch *fetch)
{
    struct error error = {0};
    enum status status = part_open(&fetch->part, &error);
    if (status != OK) {
        finish(fetch, status, &error);
        return;
    }
    fetch->step = STEP_TAKE_UP;
}

static void take_up(struct fetch *fetch, int64_t now_us)
{
    switch (part_read_on(&fetch->part, fetch->part.there)) {
    case PART_READ_MORE:
        return;
    case PART_READ_ALL:
        break;
    case PART_READ_FAILED:
        empty_part(fetch);
        try_again(fetch, now_us);
        return;
    }
    if (fetch->part.have == fetch->order.size) {
        take_whole(fetch); // An empty one, or whole already.
    } else if (fetch->all->client && fetch->all->worker != 0 && fetch->all->active < ACTIVE_MAX) {
        (fetch_is_shared(fetch) ? ask : send)(fetch, now_us);
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
            if (fetch->source.kind == SOURCE_WORKER) {
                fetch_blame_peer(fetch, !fetch->has_come);
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
        return fetch->part.have < fetch->part.there ||
                       (fetch->all->client && fetch->all->worker != 0)
                   ? 0
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
