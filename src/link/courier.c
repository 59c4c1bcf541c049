// Blobs on their way between home and a place: looked for where they are to go, fetched into a file, verified, and sent.
#include "link/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "protocol/lease_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LOOK_SIZE_MIN = 64 << 10, // A smaller one is sent rather than asked for.
    WRONG_BYTES_MAX = 3,      // So often other bytes than the digest's are taken for an accident.
    BLOCK_SIZE = 256 << 10,
};
#define CALL_LEAST_US INT64_C(60000000)
#define BYTES_EACH_SECOND_LEAST 16384 // Slower than this is not there.

enum copy_step { COPY_LOOKS, COPY_FETCHES, COPY_CUTS, COPY_SENDS };

struct copy {
    struct copy *next;
    struct link *link;
    struct copy_order order;
    char *owner;
    enum copy_step step;
    struct http_call *call;
    char *path; // Of its file.
    int fd;
    struct digest_stream *hash;
    struct wire_blob blob; // As it is to arrive.
    struct error fault;
    int wrong;
    int64_t refused_us; // Since when home says that there is no lease to send for; 0: it does not.
    bool is_over;       // To be freed.
};

void copy_start(struct link *link, const struct copy_order *order)
{
    struct copy *copy = NEW(struct copy);
    copy->link = link;
    copy->order = *order;
    copy->owner = memory_copy_string(order->owner);
    copy->blob = (struct wire_blob){order->digest, order->size};
    copy->fd = -1;
    copy->path = memory_format("%s/%" PRId64, link->blobs, ++link->copy_last);
    bool may_be_there = order->size < 0 || order->size > LOOK_SIZE_MIN;
    copy->step = may_be_there && !order->is_cut ? COPY_LOOKS : COPY_FETCHES;
    struct copy **last = &link->copies;
    while (*last) {
        last = &(*last)->next;
    }
    *last = copy;
    link_wake(link, 0);
}

static void stop_call(struct copy *copy)
{
    if (copy->call) {
        copy->order.place->copies_active--;
        http_client_cancel(copy->link->client, TAKE(copy->call));
    }
}

static void free_copy(struct copy *copy)
{
    stop_call(copy);
    file_close_local(&copy->fd);
    (void)unlink(copy->path);
    digest_stream_free(copy->hash);
    free(copy->path);
    free(copy->owner);
    free(copy);
}

void copies_forget(struct link *link, const void *context)
{
    for (struct copy *copy = link->copies; copy; copy = copy->next) {
        if (copy->order.context == context && !copy->is_over) {
            stop_call(copy);
            copy->is_over = true;
        }
    }
}

void copies_free(struct link *link)
{
    while (link->copies) {
        struct copy *copy = link->copies;
        link->copies = copy->next;
        free_copy(copy);
    }
}

static void finish(struct copy *copy, enum status status, const struct error *error)
{
    copy->is_over = true;
    copy->order.done(copy->order.context, status, error, &copy->blob);
}

static bool is_at_place(const struct copy *copy)
{
    return (copy->step == COPY_FETCHES) == copy->order.is_homeward;
}

static bool is_passing(struct copy *copy, const struct http_answer *answer)
{
    bool is_sent_home = copy->step == COPY_SENDS && !is_at_place(copy);
    return (is_sent_home && lease_is_awaited(&copy->refused_us, answer->code, clock_steady_us())) ||
           answer->code == 0 || answer->code >= 500 || answer->code == 401 || answer->code == 408 ||
           answer->code == 429 || (answer->code == 403 && is_at_place(copy));
}

// What can pass by itself is tried again later; else the copy is over.
static void take_failure(struct copy *copy, const struct http_answer *answer)
{
    struct error error = answer->error;
    error.status = answer->status;
    if (!is_passing(copy, answer)) {
        finish(copy, error.status, &error);
    } else if (is_at_place(copy)) {
        place_failed(copy->order.place, &error);
    } else {
        link_home_failed(copy->link, &error);
    }
}

static void note_answer(struct copy *copy)
{
    if (is_at_place(copy)) {
        place_answered(copy->order.place);
    } else {
        link_home_answered(copy->link);
    }
}

static void on_looked(void *context, const struct http_answer *answer)
{
    struct copy *copy = context;
    copy->call = NULL;
    copy->order.place->copies_active--;
    if (answer->status == OK) {
        note_answer(copy);
        finish(copy, OK, NULL);
    } else if (answer->code == 404) {
        note_answer(copy);
        copy->step = COPY_FETCHES;
    } else {
        take_failure(copy, answer);
    }
}

static enum status open_file(struct copy *copy)
{
    file_close_local(&copy->fd);
    copy->fd = open(copy->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (copy->fd < 0) {
        return error_set_errno(&copy->fault, errno, "cannot create %s", copy->path);
    }
    digest_stream_free(copy->hash);
    copy->hash = digest_stream_new();
    copy->blob.size = 0;
    copy->fault = (struct error){0};
    return OK;
}

static enum status take_bytes(struct copy *copy, struct text bytes)
{
    copy->blob.size += (int64_t)bytes.length;
    int64_t most = copy->order.size >= 0 ? copy->order.size : copy->order.size_max;
    if (copy->blob.size > most || copy->blob.size > copy->order.size_max) {
        return error_set(&copy->fault, CORRUPT, "a file has more bytes than was said");
    }
    digest_stream_update(copy->hash, bytes.bytes, bytes.length);
    return file_write_all(copy->fd, bytes, &copy->fault);
}

static bool on_fetched_some(void *context, struct text bytes)
{
    struct copy *copy = context;
    enum status status = take_bytes(copy, bytes);
    copy->fault.status = status;
    return status == OK;
}

static void on_fetched(void *context, const struct http_answer *answer)
{
    struct copy *copy = context;
    copy->call = NULL;
    copy->order.place->copies_active--;
    if (copy->fault.status != OK && copy->fault.status != CORRUPT) {
        finish(copy, copy->fault.status, &copy->fault);
        return;
    }
    if (copy->fault.status == OK && answer->status != OK) {
        take_failure(copy, answer);
        return;
    }
    note_answer(copy);
    struct digest digest = digest_stream_finish(TAKE(copy->hash));
    if (copy->fault.status == OK && digest_equal(&digest, &copy->order.digest)) {
        copy->step = copy->order.is_cut ? COPY_CUTS : COPY_SENDS;
        return;
    }
    struct error error = {0};
    (void)error_set(&error, CORRUPT, "other bytes came than those of its digest");
    error.status = CORRUPT;
    if (++copy->wrong >= WRONG_BYTES_MAX) {
        finish(copy, CORRUPT, &error);
    } else {
        place_failed(copy->order.place, &error);
    }
}

static void on_sent(void *context, const struct http_answer *answer)
{
    struct copy *copy = context;
    copy->call = NULL;
    copy->order.place->copies_active--;
    if (answer->status == OK) {
        note_answer(copy);
        finish(copy, OK, NULL);
    } else {
        take_failure(copy, answer);
    }
}

// The lines that are wanted, in a file that takes the place of the whole one.
struct cut {
    int out_fd;
    int64_t skip;
    int64_t count;
    struct digest_stream *hash;
    int64_t size;
};

static enum status cut_block(struct cut *cut, struct text block, struct error *error)
{
    size_t at = 0;
    while (at < block.length && cut->count > 0) {
        size_t end = text_find_byte(block, at, '\n');
        bool is_whole = end < block.length;
        end = is_whole ? end + 1 : end;
        if (cut->skip == 0) {
            struct text part = text_slice(block, at, end);
            TRY(file_write_all(cut->out_fd, part, error));
            digest_stream_update(cut->hash, part.bytes, part.length);
            cut->size += (int64_t)part.length;
            cut->count -= is_whole;
        }
        cut->skip -= is_whole && cut->skip > 0;
        at = end;
    }
    return OK;
}

static enum status cut_file(int fd, struct cut *cut, struct error *error)
{
    AUTO_FREE char *block = memory_new(BLOCK_SIZE, 1);
    int64_t offset = 0;
    ssize_t got = 0;
    while ((got = pread(fd, block, BLOCK_SIZE, offset)) > 0) {
        TRY(cut_block(cut, (struct text){block, (size_t)got}, error));
        offset += got;
    }
    if (got < 0) {
        return error_set_errno(error, errno, "cannot read a file of answers");
    }
    return cut->count == 0 ? OK
                           : error_set(error, CORRUPT, "there are fewer answers than was said");
}

static void cut_lines(struct copy *copy)
{
    AUTO_FREE char *path = memory_format("%s.cut", copy->path);
    AUTO_CLOSE int out_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct error error = {0};
    struct cut cut = {.out_fd = out_fd,
                      .skip = copy->order.cut_skip,
                      .count = copy->order.cut_count,
                      .hash = digest_stream_new()};
    enum status status = out_fd < 0 ? error_set_errno(&error, errno, "cannot create %s", path)
                                    : cut_file(copy->fd, &cut, &error);
    (void)unlink(path);
    struct digest digest = digest_stream_finish(cut.hash);
    if (status != OK) {
        finish(copy, status, &error);
        return;
    }
    file_close_local(&copy->fd);
    copy->fd = file_take_fd(&out_fd);
    copy->blob = (struct wire_blob){digest, cut.size};
    copy->step = COPY_SENDS;
}

static void start_call(struct copy *copy)
{
    static const struct {
        const char *method;
        void (*done)(void *context, const struct http_answer *answer);
    } STEPS[] = {
        [COPY_LOOKS] = {"HEAD", on_looked},
        [COPY_FETCHES] = {"GET", on_fetched},
        [COPY_SENDS] = {"PUT", on_sent},
    };
    char digest[DIGEST_TEXT_SIZE];
    char path[DIGEST_TEXT_SIZE + 16];
    const struct copy_order *order = &copy->order;
    bool is_fetch = copy->step == COPY_FETCHES;
    int64_t size = is_fetch && order->size < 0 ? 0 : copy->blob.size;
    if (is_fetch && open_file(copy) != OK) {
        finish(copy, copy->fault.status == OK ? INTERNAL : copy->fault.status, &copy->fault);
        return;
    }
    (void)snprintf(path, sizeof path, "/v1/blobs/%s", digest_to_text(&copy->blob.digest, digest));
    bool is_send = copy->step == COPY_SENDS;
    const struct http_ask ask = {
        .peer = is_at_place(copy) ? &order->place->peer : &copy->link->home,
        .user = is_at_place(copy) ? copy->owner : NULL,
        .method = STEPS[copy->step].method,
        .path = path,
        .content_type = is_send ? "application/octet-stream" : NULL,
        .has_body_fd = is_send,
        .body_fd = copy->fd,
        .body_size = is_send ? copy->blob.size : 0,
        .on_data = is_fetch ? on_fetched_some : NULL,
        // Of one whose size nobody said, the end is left to the peer, which is held to more than a trickle.
        .timeout_us = is_fetch && order->size < 0
                          ? 0
                          : CALL_LEAST_US + size / BYTES_EACH_SECOND_LEAST * 1000000,
        .answer_size_max = ANSWER_BYTES_MAX,
        .context = copy,
    };
    order->place->copies_active++;
    copy->call = http_client_start(copy->link->client, &ask, STEPS[copy->step].done);
}

static void work(struct copy *copy, int64_t now_us)
{
    struct place *place = copy->order.place;
    int64_t retry_us = is_at_place(copy) ? place->retry_us : copy->link->home_retry_us;
    if (copy->step == COPY_CUTS) {
        cut_lines(copy);
        link_wake(copy->link, 0);
    } else if (retry_us > now_us) {
        link_wake(copy->link, retry_us);
    } else if (place->copies_active < COPIES_ACTIVE_MAX) {
        start_call(copy);
    }
}

void copies_work(struct link *link, int64_t now_us)
{
    for (struct copy *copy = link->copies; copy; copy = copy->next) {
        if (!copy->is_over && !copy->call) {
            work(copy, now_us);
        }
    }
    for (struct copy **at = &link->copies; *at;) {
        struct copy *copy = *at;
        if (copy->is_over) {
            *at = copy->next;
            free_copy(copy);
        } else {
            at = &copy->next;
        }
    }
}
