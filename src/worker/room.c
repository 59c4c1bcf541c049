// A worker whose disk is full: it starts nothing, says so, and gives back what it was given, to run elsewhere without blame.
#include "worker/state.h"

#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "os/room.h"

#include <fcntl.h>
#include <stdio.h>

#define LOOK_US INT64_C(250000)

static bool look(const struct worker *worker)
{
    AUTO_CLOSE int fd = open(worker->place.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || room_is_left(fd, false);
}

// The jobs' notes that spoke of it are over.
static void clear_notes(struct worker *worker)
{
    size_t at = 0;
    for (struct worker_job *job; (job = map_next(worker->jobs, &at)) != NULL;) {
        if (job->is_out_of_room) {
            job->is_out_of_room = false;
            note_set(job, NOTE_NONE, "", "");
        }
    }
}

bool room_has_run_out(struct worker *worker, int64_t now_us)
{
    if (now_us < worker->room_look_us) {
        return worker->is_out_of_room;
    }
    bool was_out = worker->is_out_of_room;
    worker->is_out_of_room = !look(worker);
    worker->room_look_us = now_us + LOOK_US;
    if (worker->is_out_of_room != was_out) {
        report_mark(worker, true); // The site hears of it at once.
        log_line(was_out ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "event=%s folder=%s",
                 was_out ? "disk-has-room" : "disk-full", worker->place.folder);
    }
    if (was_out && !worker->is_out_of_room) {
        clear_notes(worker);
    }
    return worker->is_out_of_room;
}

int64_t room_delay_us(const struct worker *worker, int64_t now_us)
{
    if (!worker->is_out_of_room) {
        return -1;
    }
    return worker->room_look_us > now_us ? worker->room_look_us - now_us : 0;
}

void room_return(struct task_lease *lease)
{
    struct worker_job *job = lease->job;
    char text[NOTE_TEXT_MAX];
    if (job->note.kind == NOTE_NONE) {
        (void)snprintf(text, sizeof text, "the disk of worker %.100s is full",
                       job->worker->options->name);
        note_set(job, NOTE_WAITING, text, "make room on its disk, below its --directory");
        job->is_out_of_room = true;
    }
    lease_return(lease);
}

void room_leave_seat(struct task_lease *lease)
{
    struct seat *seat = lease->seat;
    lease->job->worker->room_look_us = 0; // What was seen before does not count.
    if (seat && lease->done < lease->to &&
        room_has_run_out(lease->job->worker, clock_steady_us())) {
        slot_send_cancel(seat->slot, lease->id);
    }
}
