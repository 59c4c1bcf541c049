#include "fetch/transfer.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "protocol/lease_wait.h"

#include <errno.h>
#include <fcntl.h>

enum { CODE_NO_ROOM = 507, ACTIVE_MAX = 4, HASH_BLOCK = 256 << 10, HASH_BLOCKS_A_TURN = 16 };
#define RETRY_MIN_US INT64_C(100000)
#define RETRY_MAX_US INT64_C(2000000)

enum step { STEP_HASH, STEP_WAIT, STEP_SEND };

struct transfer {
    struct transfer *next;
    struct transfers *all;
    enum step step;
    bool is_download;
    int fd; // Content of an upload, or the file of a download; -1: `bytes`.
    struct buffer bytes;
    struct digest_stream *hash;
    struct digest digest;
    int64_t size;
    char *path; // Of a download.
    unsigned mode;
    bool ends_when_full;
    int64_t retry_us; // Steady time before which it is not tried again.
    int64_t pause_us;
    int64_t
        refused_us; // Since when the site says that there is no lease to send for; 0: it does not.
    struct error fault; // Of writing a download.
    struct http_call *call;
    transfer_done done;
    void *context;
};

struct transfers {
    struct http_client *client;
    struct transfer *first; // In order of arrival.
    struct transfer *last;
    size_t count;
    size_t active; // With a call under way.
};

struct transfers *transfers_new(void)
{
    return NEW(struct transfers);
}

static void free_transfer(struct transfer *transfer)
{
    file_close_local(&transfer->fd);
    digest_stream_free(transfer->hash);
    buffer_done(&transfer->bytes);
    free(transfer->path);
    free(transfer);
}

void transfers_free(struct transfers *transfers)
{
    if (!transfers) {
        return;
    }
    while (transfers->first) {
        struct transfer *transfer = transfers->first;
        transfers->first = transfer->next;
        if (transfer->call && transfers->client) {
            http_client_cancel(transfers->client, transfer->call);
        }
        free_transfer(transfer);
    }
    free(transfers);
}

void transfers_set_client(struct transfers *transfers, struct http_client *client)
{
    for (struct transfer *at = transfers->first; at; at = at->next) {
        if (at->call && transfers->client) {
            http_client_cancel(transfers->client, at->call);
        }
        at->call = NULL;
        at->step = at->step == STEP_SEND ? STEP_WAIT : at->step;
    }
    transfers->active = 0;
    transfers->client = client;
}

static struct transfer *add(struct transfers *transfers, transfer_done done, void *context)
{
    struct transfer *transfer = NEW(struct transfer);
    transfer->all = transfers;
    transfer->fd = -1;
    transfer->step = STEP_WAIT;
    transfer->pause_us = RETRY_MIN_US;
    transfer->done = done;
    transfer->context = context;
    if (transfers->last && transfers->first) {
        transfers->last->next = transfer;
    } else {
        transfers->first = transfer;
    }
    transfers->last = transfer;
    transfers->count++;
    return transfer;
}

void transfers_upload_file(struct transfers *transfers, int fd, transfer_done done, void *context)
{
    struct transfer *transfer = add(transfers, done, context);
    transfer->fd = fd;
    transfer->hash = digest_stream_new();
    transfer->step = STEP_HASH;
}

void transfers_upload_bytes(struct transfers *transfers, struct text bytes,
                            const struct digest *digest, transfer_done done, void *context)
{
    struct transfer *transfer = add(transfers, done, context);
    buffer_append_text(&transfer->bytes, bytes);
    transfer->digest = *digest;
    transfer->size = (int64_t)bytes.length;
}

void transfers_download(struct transfers *transfers, const struct download *download,
                        transfer_done done, void *context)
{
    struct transfer *transfer = add(transfers, done, context);
    transfer->is_download = true;
    transfer->path = memory_copy_string(download->path);
    transfer->mode = download->mode;
    transfer->ends_when_full = download->ends_when_full;
    if (digest_from_text(text_of(download->digest), &transfer->digest, &transfer->fault) == OK) {
        transfer->fault.status = OK;
    }
}

// Takes it off the list and tells its owner.
static void finish(struct transfer *transfer, enum status status, const struct error *error)
{
    struct transfers *all = transfer->all;
    struct transfer **at = &all->first;
    struct transfer *before = NULL;
    while (*at != transfer) {
        before = *at;
        at = &before->next;
    }
    *at = transfer->next;
    if (all->last == transfer) {
        all->last = before;
    }
    all->count--;
    const struct transfer_end end = {status, error, &transfer->digest, transfer->size};
    transfer->done(transfer->context, &end);
    free_transfer(transfer);
}

static void hash_some(struct transfer *transfer)
{
    AUTO_FREE char *block = memory_new(HASH_BLOCK, 1);
    for (int i = 0; i < HASH_BLOCKS_A_TURN; i++) {
        ssize_t got = pread(transfer->fd, block, HASH_BLOCK, transfer->size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            struct error error;
            enum status status = error_set_errno(&error, errno, "cannot read an output file");
            finish(transfer, status, &error);
            return;
        }
        if (got == 0) {
            transfer->digest = digest_stream_finish(TAKE(transfer->hash));
            transfer->step = STEP_WAIT;
            return;
        }
        digest_stream_update(transfer->hash, block, (size_t)got);
        transfer->size += got;
    }
}

static void try_later(struct transfer *transfer)
{
    transfer->step = STEP_WAIT;
    transfer->fault.status = OK;
    transfer->retry_us = clock_steady_us() + transfer->pause_us;
    transfer->pause_us =
        transfer->pause_us * 2 < RETRY_MAX_US ? transfer->pause_us * 2 : RETRY_MAX_US;
}

static void on_call_end(void *context, const struct http_answer *answer)
{
    struct transfer *transfer = context;
    transfer->call = NULL;
    transfer->all->active--;
    enum status status = answer->status;
    const struct error *error = &answer->error;
    if (transfer->fault.status != OK) {
        status = transfer->fault.status;
        error = &transfer->fault;
    }
    // A disk that is full, here or at the site, has room again some time, as a site that is away comes back.
    bool is_full = transfer->is_download
                       ? transfer->fault.status == QUOTA && !transfer->ends_when_full
                       : answer->code == CODE_NO_ROOM;
    if (status == UNAVAILABLE || status == TIMEOUT || status == BUSY || is_full ||
        (!transfer->is_download &&
         lease_is_awaited(&transfer->refused_us, answer->code, clock_steady_us()))) {
        try_later(transfer);
        return;
    }
    if (status == OK && transfer->is_download) {
        struct digest digest = digest_stream_finish(TAKE(transfer->hash));
        struct error wrong;
        if (!digest_equal(&digest, &transfer->digest)) {
            status =
                error_set(&wrong, CORRUPT, "the site sent other bytes than %s's", transfer->path);
            finish(transfer, status, &wrong);
            return;
        }
    }
    finish(transfer, status, error);
}

static bool on_data(void *context, struct text bytes)
{
    struct transfer *transfer = context;
    digest_stream_update(transfer->hash, bytes.bytes, bytes.length);
    transfer->size += (int64_t)bytes.length;
    return file_write_all(transfer->fd, bytes, &transfer->fault) == OK;
}

static enum status open_download(struct transfer *transfer)
{
    file_close_local(&transfer->fd);
    (void)unlink(transfer->path);
    transfer->fd =
        open(transfer->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)transfer->mode);
    if (transfer->fd < 0 || fchmod(transfer->fd, (mode_t)transfer->mode) < 0) {
        return error_set_errno(&transfer->fault, errno, "cannot create %s", transfer->path);
    }
    digest_stream_free(transfer->hash);
    transfer->hash = digest_stream_new();
    transfer->size = 0;
    return OK;
}

static void send(struct transfer *transfer)
{
    char digest[DIGEST_TEXT_SIZE];
    char path[DIGEST_TEXT_SIZE + 16] = "/v1/blobs/";
    (void)digest_to_text(&transfer->digest, digest);
    memcpy(path + sizeof "/v1/blobs/" - 1, digest, DIGEST_TEXT_SIZE);
    struct http_ask ask = {
        .method = "PUT", .path = path, .content_type = "application/octet-stream"};
    ask.context = transfer;
    if (transfer->is_download) {
        ask.method = "GET";
        ask.content_type = NULL;
        ask.on_data = on_data;
        if (transfer->fault.status == OK && open_download(transfer) == QUOTA &&
            !transfer->ends_when_full) {
            try_later(transfer);
            return;
        }
        if (transfer->fault.status != OK) {
            finish(transfer, transfer->fault.status, &transfer->fault);
            return;
        }
    } else if (transfer->fd >= 0) {
        ask.has_body_fd = true;
        ask.body_fd = transfer->fd;
        ask.body_size = transfer->size;
    } else {
        ask.body = buffer_text(&transfer->bytes);
    }
    transfer->step = STEP_SEND;
    transfer->all->active++;
    transfer->call = http_client_start(transfer->all->client, &ask, on_call_end);
}

int64_t transfers_work(struct transfers *transfers, int64_t now_us)
{
    int64_t delay_us = -1;
    bool has_hashed = false;
    struct transfer *next = NULL;
    for (struct transfer *at = transfers->first; at; at = next) {
        next = at->next;
        if (at->step == STEP_HASH) {
            if (!has_hashed) {
                hash_some(at);
            }
            has_hashed = true;
            delay_us = 0;
        } else if (at->step == STEP_WAIT && at->retry_us > now_us) {
            int64_t left_us = at->retry_us - now_us;
            delay_us = delay_us < 0 || left_us < delay_us ? left_us : delay_us;
        } else if (at->step == STEP_WAIT && transfers->client && transfers->active < ACTIVE_MAX) {
            send(at);
        }
    }
    return delay_us;
}

size_t transfers_count(const struct transfers *transfers)
{
    return transfers->count;
}
