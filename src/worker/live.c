// The output of tasks that run for a while, sent on as it comes.
#include "worker/state.h"

#include "base/hex.h"
#include "os/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    LIVE_BLOCK = 32 << 10,
    LIVE_AGAIN_MAX = 512 << 10, // Bytes of one stream; as many as a site leaves of a long one.
};
#define LIVE_US INT64_C(100000)

static int open_log(const struct seat *seat, const char *prefix, int64_t number)
{
    char name[40];
    (void)snprintf(name, sizeof name, "%s-%" PRId64, prefix, number);
    return openat(slot_logs_fd(seat->slot), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

void live_start(struct seat *seat, int64_t index, int64_t out_file, int64_t err_file)
{
    live_stop(seat);
    seat->live_job = seat->job->spec->id;
    seat->live_index = index;
    seat->live_out.fd = open_log(seat, "out", out_file);
    seat->live_err.fd = open_log(seat, "err", err_file);
    seat->worker->live_next_us = 0;
}

void live_stop(struct seat *seat)
{
    file_close_local(&seat->live_out.fd);
    file_close_local(&seat->live_err.fd);
    seat->live_out = (struct live_file){.fd = -1};
    seat->live_err = (struct live_file){.fd = -1};
    seat->live_job = -1;
}

// Another life of the site has nothing of what was sent before. Followers that have it tell it by its offsets.
void live_send_again(struct worker *worker)
{
    entries_done(&worker->logs);
    for (size_t i = 0; i < worker->seat_count; i++) {
        struct live_file *files[2] = {&worker->seats[i]->live_out, &worker->seats[i]->live_err};
        for (int k = 0; k < 2; k++) {
            int64_t left_out = files[k]->offset - LIVE_AGAIN_MAX;
            files[k]->offset = left_out > 0 ? left_out : 0;
        }
    }
    worker->live_next_us = 0;
}

static void read_file(struct seat *seat, struct live_file *file, const char *stream)
{
    char block[LIVE_BLOCK];
    struct entries *logs = &seat->worker->logs;
    ssize_t got = 0;
    while (file->fd >= 0 && logs->text.length < LOGS_MAX &&
           (got = pread(file->fd, block, sizeof block, file->offset)) > 0) {
        struct buffer *entry = entries_add(logs);
        buffer_printf(entry, "[%" PRId64 ",%" PRId64 ",\"%s\",%" PRId64 ",\"", seat->live_job,
                      seat->live_index, stream, file->offset);
        base64_append(entry, block, (size_t)got);
        buffer_append_string(entry, "\"]");
        file->offset += got;
        report_mark(seat->worker, true);
    }
}

void live_read(struct worker *worker, int64_t now_us)
{
    if (now_us < worker->live_next_us) {
        return;
    }
    worker->live_next_us = INT64_MAX;
    for (size_t i = 0; i < worker->seat_count; i++) {
        struct seat *seat = worker->seats[i];
        if (seat->live_job >= 0) {
            read_file(seat, &seat->live_out, "stdout");
            read_file(seat, &seat->live_err, "stderr");
            worker->live_next_us = now_us + LIVE_US;
        }
    }
}
