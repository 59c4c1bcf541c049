#include "peers/schedule.h"

#include "base/memory.h"

#include <assert.h>

enum { CAPACITY_FIRST = 64 };

void schedule_done(struct schedule *schedule)
{
    free(schedule->items);
    *schedule = (struct schedule){0};
}

static void put(struct schedule *schedule, size_t at, struct task *task)
{
    schedule->items[at] = task;
    task->at = (uint32_t)at + 1;
}

static void rise(struct schedule *schedule, size_t at, struct task *task)
{
    while (at > 0) {
        size_t above = (at - 1) / 2;
        if (schedule->items[above]->due_us <= task->due_us) {
            break;
        }
        put(schedule, at, schedule->items[above]);
        at = above;
    }
    put(schedule, at, task);
}

static void sink(struct schedule *schedule, size_t at, struct task *task)
{
    for (size_t below = 2 * at + 1; below < schedule->count; below = 2 * at + 1) {
        if (below + 1 < schedule->count &&
            schedule->items[below + 1]->due_us < schedule->items[below]->due_us) {
            below++;
        }
        if (task->due_us <= schedule->items[below]->due_us) {
            break;
        }
        put(schedule, at, schedule->items[below]);
        at = below;
    }
    put(schedule, at, task);
}

static void move(struct schedule *schedule, struct task *task, int64_t due_us)
{
    bool is_sooner = due_us < task->due_us;
    task->due_us = due_us;
    if (is_sooner) {
        rise(schedule, task->at - 1, task);
    } else {
        sink(schedule, task->at - 1, task);
    }
}

static void add(struct schedule *schedule, struct task *task, int64_t due_us)
{
    if (schedule->count == schedule->capacity) {
        schedule->capacity = schedule->capacity > 0 ? schedule->capacity * 2 : CAPACITY_FIRST;
        schedule->items = memory_resize(schedule->items, schedule->capacity, sizeof(struct task *));
    }
    task->due_us = due_us;
    schedule->count++;
    rise(schedule, schedule->count - 1, task);
}

void schedule_set(struct schedule *schedule, struct task *task, int64_t due_us)
{
    if (task->is_running) {
        task->is_wanted_again = true;
    } else if (task->at > 0) {
        move(schedule, task, due_us);
    } else {
        add(schedule, task, due_us);
    }
}

void schedule_want(struct schedule *schedule, struct task *task, int64_t due_us)
{
    if (task->is_running || task->at == 0 || due_us < task->due_us) {
        schedule_set(schedule, task, due_us);
    }
}

void schedule_drop(struct schedule *schedule, struct task *task)
{
    task->is_wanted_again = false;
    if (task->at == 0) {
        return;
    }
    size_t at = task->at - 1;
    task->at = 0;
    struct task *last = schedule->items[--schedule->count];
    if (last == task) {
        return;
    }
    put(schedule, at, last);
    if (last->due_us < task->due_us) {
        rise(schedule, at, last);
    } else {
        sink(schedule, at, last);
    }
}

struct task *schedule_take(struct schedule *schedule, int64_t now_us)
{
    if (schedule_next_us(schedule) > now_us) {
        return NULL;
    }
    struct task *task = schedule->items[0];
    schedule_drop(schedule, task);
    task->is_running = true;
    schedule->running++;
    return task;
}

void schedule_end(struct schedule *schedule, struct task *task, int64_t now_us, int64_t next_us)
{
    assert(task->is_running && schedule->running > 0);
    task->is_running = false;
    schedule->running--;
    bool is_wanted = task->is_wanted_again && task->failures == 0;
    task->is_wanted_again = false;
    if (is_wanted && next_us > now_us) {
        next_us = now_us;
    }
    if (next_us < INT64_MAX) {
        add(schedule, task, next_us);
    }
}

int64_t schedule_next_us(const struct schedule *schedule)
{
    bool is_full = schedule->running_max > 0 && schedule->running >= schedule->running_max;
    return schedule->count > 0 && !is_full ? schedule->items[0]->due_us : INT64_MAX;
}
