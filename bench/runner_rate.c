// How many tasks a second lode-runner starts in its sandbox, without a site: N slots for S seconds.
//
//     runner_rate LODE_RUNNER [SECONDS [SLOTS [bubblewrap|none|launch [COMMAND [ARGUMENT...]]]]]
//
// With `launch` instead: the median time of a sandbox's whole life, from its start to the end of its first task and its removal, of
// as many as fit into the time, one after another.
#include "base/memory.h"
#include "os/clock.h"
#include "sandbox/slot.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { SLOTS_MAX = 64, RANGE = 1000, ARGUMENTS_MAX = 64, LAUNCHES_MAX = 10000 };

struct counted {
    struct slot *slot;
    int64_t done;
    int64_t failed;
    int64_t next;
};

static void on_result(void *context, const struct runner_result *result)
{
    struct counted *counted = context;
    counted->done++;
    counted->failed += result->outcome != OUTCOME_EXITED || result->code != 0;
    if (counted->failed == 1 && result->detail.length) {
        (void)fprintf(stderr, "%.*s\n", TEXT_ARGS(result->detail));
    }
    if (result->index % RANGE == RANGE / 2) {
        slot_send_range(counted->slot, counted->next / RANGE, counted->next, counted->next + RANGE);
        counted->next += RANGE;
    }
}

static void on_answers(void *context, const struct runner_answers *answers)
{
    struct counted *counted = context;
    counted->done += answers->to - answers->from;
    slot_send_range(counted->slot, counted->next / RANGE, counted->next,
                    counted->next + (answers->to - answers->from));
    counted->next += answers->to - answers->from;
}

static const struct slot_events events = {.on_result = on_result, .on_answers = on_answers};

static int run(const struct slot_place *place, const struct slot_plan *model, int64_t seconds,
               size_t slots)
{
    struct counted counted[SLOTS_MAX] = {0};
    struct pollfd fds[SLOTS_MAX];
    struct error error;
    for (size_t i = 0; i < slots; i++) {
        struct slot_plan plan = *model;
        plan.number = (int64_t)i;
        int64_t began_us = clock_steady_us();
        if (slot_start(place, &plan, &events, &counted[i], &counted[i].slot, &error) != OK) {
            (void)fprintf(stderr, "runner_rate: %s\n", error.detail);
            return 1;
        }
        slot_send_range(counted[i].slot, -1 + 1, 0, 1);
        counted[i].next = RANGE;
        while (counted[i].done == 0) {
            struct pollfd one = {.fd = slot_fd(counted[i].slot),
                                 .events = slot_poll_events(counted[i].slot)};
            (void)poll(&one, 1, 1000);
            if (slot_serve(counted[i].slot, one.revents, &error) != OK) {
                (void)fprintf(stderr, "runner_rate: %s\n", error.detail);
                return 1;
            }
        }
        (void)printf("start to first result %.2f ms\n",
                     (double)(clock_steady_us() - began_us) / 1000);
        int64_t count = model->job->is_stream ? 100 * RANGE : RANGE;
        slot_send_range(counted[i].slot, counted[i].next / RANGE, counted[i].next,
                        counted[i].next + count);
        counted[i].next += count;
        counted[i].done = 0;
    }
    int64_t start_us = clock_steady_us();
    while (clock_steady_us() < start_us + seconds * 1000000) {
        for (size_t i = 0; i < slots; i++) {
            fds[i] = (struct pollfd){.fd = slot_fd(counted[i].slot),
                                     .events = slot_poll_events(counted[i].slot)};
        }
        (void)poll(fds, slots, 1000);
        for (size_t i = 0; i < slots; i++) {
            if (fds[i].revents && slot_serve(counted[i].slot, fds[i].revents, &error) != OK) {
                (void)fprintf(stderr, "runner_rate: %s\n", error.detail);
                return 1;
            }
        }
    }
    int64_t done = 0;
    int64_t failed = 0;
    for (size_t i = 0; i < slots; i++) {
        done += counted[i].done;
        failed += counted[i].failed;
        slot_free(counted[i].slot);
    }
    (void)printf("%.1f per_second, %lld failed\n",
                 (double)done * 1e6 / (double)(clock_steady_us() - start_us), (long long)failed);
    return 0;
}

static int compare_times(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a;
    int64_t second = *(const int64_t *)b;
    return (first > second) - (first < second);
}

// One sandbox's life in microseconds; -1: it failed.
static int64_t launch_once(const struct slot_place *place, const struct slot_plan *plan)
{
    struct counted counted = {0};
    struct error error;
    int64_t began_us = clock_steady_us();
    if (slot_start(place, plan, &events, &counted, &counted.slot, &error) != OK) {
        (void)fprintf(stderr, "runner_rate: %s\n", error.detail);
        return -1;
    }
    slot_send_range(counted.slot, 1, 0, 1);
    enum status status = OK;
    while (counted.done == 0 && status == OK) {
        struct pollfd one = {.fd = slot_fd(counted.slot), .events = slot_poll_events(counted.slot)};
        (void)poll(&one, 1, 1000);
        status = slot_serve(counted.slot, one.revents, &error);
    }
    slot_free(counted.slot);
    return status == OK && counted.failed == 0 ? clock_steady_us() - began_us : -1;
}

static int launch(const struct slot_place *place, const struct slot_plan *model, int64_t seconds)
{
    static int64_t times[LAUNCHES_MAX];
    size_t count = 0;
    struct slot_plan plan = *model;
    int64_t end_us = clock_steady_us() + seconds * 1000000;
    while (count < LAUNCHES_MAX && (count == 0 || clock_steady_us() < end_us)) {
        plan.number = (int64_t)count;
        times[count] = launch_once(place, &plan);
        if (times[count] < 0) {
            return 1;
        }
        count++;
    }
    qsort(times, count, sizeof times[0], compare_times);
    (void)printf("%.3f median_ms, %zu launches\n", (double)times[count / 2] / 1000, count);
    return 0;
}

int main(int argc, char **argv)
{
    int64_t seconds = 3;
    int64_t slots = 2;
    struct error error;
    struct arena arena AUTO_ARENA = {0};
    if (argc < 2 || (argc > 2 && !text_to_int64(text_of(argv[2]), &seconds)) ||
        (argc > 3 && !text_to_int64(text_of(argv[3]), &slots)) || slots > SLOTS_MAX) {
        (void)fprintf(stderr,
                      "usage: runner_rate LODE_RUNNER [SECONDS [SLOTS [KIND [COMMAND...]]]]\n");
        return 2;
    }
    char folder[] = "/tmp/runner-rate-XXXXXX";
    struct text arguments[ARGUMENTS_MAX] = {TEXT("/bin/true")};
    struct text environment[] = {TEXT("PATH=/usr/bin:/bin")};
    struct runner_job job = {.walltime_us = 60000000,
                             .disk_bytes = 1 << 30,
                             .holds = HOLD_FAILURE,
                             .arguments = arguments,
                             .argument_count = 1,
                             .environment = environment,
                             .environment_count = 1};
    for (int i = 5; i < argc; i++) {
        arguments[i - 5] = text_of(argv[i]);
        job.argument_count = i - 4;
        job.is_stream = getenv("STREAM") != NULL;
    }
    struct slot_place place = {.runner = argv[1], .folder = mkdtemp(folder)};
    AUTO_FREE char *etc = memory_format("%s/etc", folder);
    place.etc_folder = etc;
    bool is_plain = argc > 4 && strcmp(argv[4], "none") == 0;
    if ((!is_plain && sandbox_find(&arena, &place.bubblewrap, &error) != OK) ||
        sandbox_prepare_etc(etc, &error) != OK) {
        (void)fprintf(stderr, "runner_rate: %s\n", error.detail);
        return 1;
    }
    place.cgroups = getenv("NO_CGROUPS") ? NULL : cgroups_new("runner-rate");
    struct slot_plan plan = {.job = &job,
                             .limits = {.memory_bytes = INT64_C(1) << 30,
                                        .pids = 1024,
                                        .cpu_millis = getenv("CPU") ? 1000 : 0}};
    bool is_launch = argc > 4 && strcmp(argv[4], "launch") == 0;
    int status =
        is_launch ? launch(&place, &plan, seconds) : run(&place, &plan, seconds, (size_t)slots);
    cgroups_free(place.cgroups);
    return status;
}
