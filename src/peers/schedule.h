// What is to be done when, and how much of it at once: a heap of tasks by time. Pure: time is an argument.
//
// A task belongs to its owner (it is embedded in a site) and is in at most one schedule: waiting in its heap, running, or neither.
#ifndef LODE_PEERS_SCHEDULE_H
#define LODE_PEERS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task {
    int64_t due_us;
    uint32_t at;       // Its place in the heap and 1; 0: it is not waiting.
    uint16_t failures; // In a row.
    bool is_running;
    bool is_wanted_again; // It was asked for while it ran.
};

struct schedule {
    struct task **items;
    size_t count;
    size_t capacity;
    unsigned running;
    unsigned running_max;
};

void schedule_done(struct schedule *schedule);

// The task is to run at that time, or sooner if it was to run sooner. One that is running is noted to be wanted again.
void schedule_want(struct schedule *schedule, struct task *task, int64_t due_us);
// The same, but later too.
void schedule_set(struct schedule *schedule, struct task *task, int64_t due_us);
// It is not to run. One that runs goes on.
void schedule_drop(struct schedule *schedule, struct task *task);

// Takes the task that is due first, which runs from now on; NULL when none is due or `running_max` run.
struct task *schedule_take(struct schedule *schedule, int64_t now_us);
// It has ended, and is to run next at `next_us` (INT64_MAX: not by itself), or at once when it was wanted meanwhile and has not failed.
void schedule_end(struct schedule *schedule, struct task *task, int64_t now_us, int64_t next_us);

// When schedule_take may have something next; INT64_MAX: not before something changes.
int64_t schedule_next_us(const struct schedule *schedule);

#endif
