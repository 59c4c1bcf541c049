// One sandbox with its lode-runner: where the tasks of one job run, one after another.
//
// The worker's side of runner_protocol.h. Nothing here blocks: what cannot be sent yet is kept, what has come is handed to
// the events. A slot that breaks (its runner died or spoke nonsense) says so once, and is then only good for slot_free.
#ifndef LODE_SANDBOX_SLOT_H
#define LODE_SANDBOX_SLOT_H

#include "os/cgroup.h"
#include "os/sandbox.h"
#include "sandbox/runner_protocol.h"

struct slot;

// What all slots of a worker have in common. Borrowed for the life of the slots.
struct slot_place {
    const char *bubblewrap;  // Path; NULL: no sandbox at all.
    const char *runner;      // Path of lode-runner.
    const char *folder;      // The slots' folders are made in here.
    const char *etc_folder;  // Made by sandbox_prepare_etc.
    struct cgroups *cgroups; // NULL: none
};

// What one slot is for. Borrowed for slot_start alone.
struct slot_plan {
    int64_t number;                   // Unique among the worker's slots.
    const struct runner_job *job;     // NULL: a spare, which gets its job by slot_take.
    const struct sandbox_bind *binds; // Inputs and the job's files, beside the slot's own folders.
    size_t bind_count;
    const char *const *
        touched; // Empty files, and folders ("name/"), to make in the working folder as places for binds; NULL-terminated.
    bool has_network;
    const char *root_folder; // Of the sandbox; NULL: the machine's.
    struct cgroup_limits limits;
};

struct slot_events {
    void (*on_result)(void *context, const struct runner_result *result);
    void (*on_running)(void *context, int64_t lease, int64_t index, int64_t out_file,
                       int64_t err_file);
    void (*on_answers)(void *context, const struct runner_answers *answers);
    void (*on_cancelled)(void *context, int64_t lease);
};

// Starts the sandbox; it is usable at once (what is sent waits until it is up).
enum status slot_start(const struct slot_place *place, const struct slot_plan *plan,
                       const struct slot_events *events, void *context, struct slot **out,
                       struct error *error);
// Gives a spare its job, once: one without binds, touched files, network and root. `limits` and `job` of the plan are used.
enum status slot_take(struct slot *slot, const struct slot_plan *plan,
                      const struct slot_events *events, void *context, struct error *error);
// Starts its end, without waiting: it is then only good for slot_has_ended and slot_free.
void slot_kill(struct slot *slot);
// Kills whatever runs in it and removes its folders; waits for that, which is short when it has ended.
void slot_free(struct slot *slot);

// The descriptor to poll, and what for (POLLIN, and POLLOUT while something waits to be sent).
int slot_fd(const struct slot *slot);
short slot_poll_events(const struct slot *slot);
// Moves bytes and calls the events. Anything but OK: the slot is broken; the error says what its sandbox said.
enum status slot_serve(struct slot *slot, short revents, struct error *error);

// The token of the tasks of the range that is sent next.
void slot_send_token(struct slot *slot, struct text token);
void slot_send_range(struct slot *slot, int64_t lease, int64_t from, int64_t to);
// One task of a job with checkpoints: the number of its attempt, and whether it goes on from one.
void slot_send_attempt(struct slot *slot, int64_t lease, int64_t index, int64_t attempt,
                       bool is_restored);
void slot_send_items(struct slot *slot, int64_t lease, struct text lines);
void slot_send_continue(struct slot *slot);
void slot_send_cancel(struct slot *slot, int64_t lease);
// For the running task; with `is_leaving` it is the last one.
void slot_send_signal(struct slot *slot, int number, bool is_leaving);

// Has its first process ended?
bool slot_has_ended(struct slot *slot);

// The folder that tasks see as /work; an open descriptor, borrowed.
int slot_work_fd(const struct slot *slot);
// The folder of the files "out-<n>" and "err-<n>".
int slot_logs_fd(const struct slot *slot);

// Did the kernel kill one of its processes for want of memory since the last call?
bool slot_had_memory_kill(struct slot *slot);
int64_t slot_memory_peak(const struct slot *slot);

#endif
