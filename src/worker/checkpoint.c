// Checkpoints: files of a running task, stored at the site so that the task can go on elsewhere, and put back where it does.
//
// A program replaces such a file by rename, so whoever opens it has a whole one. What was changed in place while it was read is noticed
// by its size and time, and not taken.
#include "worker/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_LOOK_US INT64_C(1000000) // Between looks for what a signal has asked for, at most.
enum { ANSWER_LOOKS = 5 };              // In one interval, at least.

struct checkpoint_file {
    struct checkpoint *checkpoint;
    char *path;
    int fd; // Kept open to see whether it was changed.
    struct stat before;
    int64_t mode;
    char digest[DIGEST_TEXT_SIZE];
    int64_t size;
};

// One that is being uploaded.
struct checkpoint {
    struct checkpoint *next;
    struct worker *worker;
    int64_t seat;
    int64_t job;
    int64_t index;
    int64_t attempt;
    struct checkpoint_file *files;
    size_t count;
    size_t uploads;
    struct error fault;
};

static void checkpoint_free(struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        file_close_local(&checkpoint->files[i].fd);
        free(checkpoint->files[i].path);
    }
    free(checkpoint->files);
    free(checkpoint);
}

void checkpoints_free(struct worker *worker)
{
    while (worker->checkpoints_first) {
        struct checkpoint *checkpoint = worker->checkpoints_first;
        worker->checkpoints_first = checkpoint->next;
        checkpoint_free(checkpoint);
    }
}

static void say(struct checkpoint *checkpoint)
{
    struct buffer *out = entries_add(&checkpoint->worker->checkpoints);
    buffer_printf(out,
                  "{\"job\":%" PRId64 ",\"index\":%" PRId64 ",\"attempt\":%" PRId64 ",\"files\":[",
                  checkpoint->job, checkpoint->index, checkpoint->attempt);
    for (size_t i = 0; i < checkpoint->count; i++) {
        const struct checkpoint_file *file = &checkpoint->files[i];
        buffer_append_string(out, i > 0 ? ",[" : "[");
        buffer_append_json_string(out, text_of(file->path));
        buffer_printf(out, ",\"%s\",%" PRId64 ",%" PRId64 "]", file->digest, file->size,
                      file->mode);
    }
    buffer_append_string(out, "]}");
    report_mark(checkpoint->worker, true);
}

// All its uploads are through, or one of them never will be.
static void finish(struct checkpoint *checkpoint)
{
    struct worker *worker = checkpoint->worker;
    struct checkpoint **place = &worker->checkpoints_first;
    while (*place != checkpoint) {
        place = &(*place)->next;
    }
    *place = checkpoint->next;
    if (checkpoint->fault.status == OK) {
        say(checkpoint);
    } else {
        log_line(LOG_LEVEL_WARNING,
                 "event=no-checkpoint job=%" PRId64 " task=%" PRId64 " detail=\"%s\"",
                 checkpoint->job, checkpoint->index, checkpoint->fault.detail);
    }
    checkpoint_free(checkpoint);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void on_stored(void *context, const struct transfer_end *end)
{
    struct checkpoint_file *file = context;
    struct checkpoint *checkpoint = file->checkpoint;
    struct stat after;
    if (end->status != OK) {
        checkpoint->fault = *end->error;
        checkpoint->fault.status = end->status;
    } else if (fstat(file->fd, &after) < 0 || !is_same(&file->before, &after)) {
        (void)error_set(&checkpoint->fault, CONFLICT,
                        "%.200s was changed while it was read: replace it by rename", file->path);
    } else {
        (void)digest_to_text(end->digest, file->digest);
        file->size = end->size;
    }
    if (--checkpoint->uploads == 0) {
        finish(checkpoint);
    }
}

bool checkpoint_is_under_way(const struct worker *worker, const struct task_lease *lease)
{
    const struct checkpoint *each = worker->checkpoints_first;
    while (each && (each->job != lease->job->spec->id || each->index != lease->done)) {
        each = each->next;
    }
    return each != NULL;
}

static bool is_busy(const struct seat *seat)
{
    const struct checkpoint *each = seat->worker->checkpoints_first;
    while (each && each->seat != seat->number) {
        each = each->next;
    }
    return each != NULL;
}

// What the files are, in one number: whether they are others than those that were stored last.
static uint64_t mark_of(const struct outputs *files)
{
    uint64_t mark = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < files->count; i++) {
        struct stat info = {0};
        (void)fstat(files->items[i].fd, &info);
        const uint64_t parts[] = {
            digest_of(files->items[i].path, strlen(files->items[i].path)).bytes[0],
            (uint64_t)info.st_ino, (uint64_t)info.st_size, (uint64_t)info.st_mtim.tv_sec,
            (uint64_t)info.st_mtim.tv_nsec};
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            mark = (mark ^ parts[k]) * UINT64_C(1099511628211);
        }
    }
    return mark;
}

static void store(struct seat *seat, const struct task_lease *lease, struct outputs *files)
{
    struct worker *worker = seat->worker;
    struct checkpoint *checkpoint = NEW(struct checkpoint);
    *checkpoint = (struct checkpoint){.next = worker->checkpoints_first,
                                      .worker = worker,
                                      .seat = seat->number,
                                      .job = seat->job->spec->id,
                                      .index = lease->done,
                                      .attempt = lease->attempt,
                                      .files = memory_new(files->count, sizeof *checkpoint->files),
                                      .count = files->count,
                                      .uploads = files->count};
    worker->checkpoints_first = checkpoint;
    for (size_t i = 0; i < files->count; i++) {
        struct checkpoint_file *file = &checkpoint->files[i];
        file->checkpoint = checkpoint;
        file->path = memory_copy_string(files->items[i].path);
        file->mode = files->items[i].mode;
        file->fd = fcntl(files->items[i].fd, F_DUPFD_CLOEXEC, 0);
        (void)fstat(files->items[i].fd, &file->before);
    }
    for (size_t i = 0; i < files->count; i++) {
        transfers_upload_file(worker->transfers, files->items[i].fd, on_stored,
                              &checkpoint->files[i]);
    }
}

// Stores the files when they are others than before; true when it does.
static bool look(struct seat *seat, const struct task_lease *lease)
{
    const struct job *spec = seat->job->spec;
    struct arena arena AUTO_ARENA = {0};
    struct outputs files = {0};
    struct error error = {0};
    const char **ignored = arena_new(&arena, (spec->top_count + 1) * sizeof *ignored);
    for (size_t i = 0; i < spec->top_count; i++) {
        ignored[i] = spec->tops[i].name;
    }
    const struct outputs_wanted wanted = {spec->checkpoint_files, spec->checkpoint_count, ignored};
    if (outputs_collect(slot_work_fd(seat->slot), &wanted, &arena, &files, &error) != OK) {
        return false; // The task was just changing them.
    }
    if (files.count > CHECKPOINT_FILES_MAX) {
        log_line(LOG_LEVEL_WARNING,
                 "event=no-checkpoint job=%" PRId64 " detail=\"%zu files; at most %d are stored\"",
                 spec->id, files.count, CHECKPOINT_FILES_MAX);
        outputs_close(&files);
        return false;
    }
    uint64_t mark = mark_of(&files);
    if (files.count == 0 || mark == seat->checkpoint_mark) {
        outputs_close(&files);
        return false;
    }
    seat->checkpoint_mark = mark;
    store(seat, lease, &files);
    return true;
}

void checkpoint_begin(struct seat *seat)
{
    seat->checkpoint_us = clock_steady_us() + seat->job->spec->checkpoint_interval_us;
    seat->checkpoint_look_us = INT64_MAX;
    seat->checkpoint_mark = 0;
}

void checkpoint_take_last(struct seat *seat, const struct task_lease *lease)
{
    if (seat->job->spec->checkpoint_count > 0 && lease->attempt > 0) {
        (void)look(seat, lease);
    }
}

static int64_t answer_time_us(const struct job *spec)
{
    int64_t part_us = spec->checkpoint_interval_us / ANSWER_LOOKS;
    return part_us < ANSWER_LOOK_US ? part_us : ANSWER_LOOK_US;
}

// The next one is due: the program is asked for it, or has it there already.
static void begin_look(struct seat *seat, int64_t now_us)
{
    const struct job *spec = seat->job->spec;
    seat->checkpoint_us = now_us + spec->checkpoint_interval_us;
    seat->checkpoint_look_us = now_us;
    if (spec->checkpoint_signal != 0) {
        slot_send_signal(seat->slot, spec->checkpoint_signal, false);
        seat->checkpoint_look_us += answer_time_us(spec);
    }
}

static void work(struct seat *seat, int64_t now_us)
{
    const struct job *spec = seat->job->spec;
    if (now_us >= seat->checkpoint_us) {
        begin_look(seat, now_us);
    }
    if (now_us < seat->checkpoint_look_us || is_busy(seat)) {
        return;
    }
    bool is_done = look(seat, seat->leases[0]) || spec->checkpoint_signal == 0;
    seat->checkpoint_look_us = is_done ? INT64_MAX : now_us + answer_time_us(spec);
}

int64_t checkpoints_work(struct worker *worker, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    for (size_t i = 0; i < worker->seat_count; i++) {
        struct seat *seat = worker->seats[i];
        if (seat->job->spec->checkpoint_count == 0 || seat->lease_count == 0 || seat->is_broken ||
            seat->is_interrupted || seat->leases[0]->attempt == 0) {
            continue;
        }
        work(seat, now_us);
        int64_t seat_us = seat->checkpoint_us;
        if (seat->checkpoint_look_us < seat_us && !is_busy(seat)) {
            seat_us = seat->checkpoint_look_us;
        }
        next_us = seat_us < next_us ? seat_us : next_us;
    }
    return next_us == INT64_MAX ? -1 : next_us > now_us ? next_us - now_us : 0;
}
