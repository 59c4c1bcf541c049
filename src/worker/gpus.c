// Which of the worker's graphics processors a seat has, and how its tasks find them.
#include "worker/state.h"

#include "base/memory.h"

#include <glob.h>

// Of what makers call their devices, what is there on this machine.
static const char *const DEVICES[] = {"/dev/nvidia*", "/dev/kfd", "/dev/dri"};

static bool is_taken(const struct worker *worker, size_t number)
{
    for (size_t i = 0; i < worker->seat_count; i++) {
        const struct seat *seat = worker->seats[i];
        for (size_t j = 0; j < seat->gpu_count; j++) {
            if (seat->gpus[j] == number) {
                return true;
            }
        }
    }
    return false;
}

void gpus_take(struct seat *seat)
{
    const struct worker *worker = seat->worker;
    int64_t wanted = seat->job->spec->gpus;
    seat->gpus = memory_new((size_t)wanted + 1, sizeof *seat->gpus);
    for (size_t i = 0; i < worker->options->gpus.count && (int64_t)seat->gpu_count < wanted; i++) {
        if (!is_taken(worker, i)) {
            seat->gpus[seat->gpu_count++] = i;
        }
    }
}

const char *gpus_text(const struct seat *seat, struct arena *arena)
{
    AUTO_BUFFER struct buffer text = {0};
    buffer_append_string(&text, "");
    for (size_t i = 0; i < seat->gpu_count; i++) {
        buffer_printf(&text, "%s%s", i > 0 ? "," : "",
                      seat->worker->options->gpus.names[seat->gpus[i]]);
    }
    return arena_copy(arena, buffer_text(&text));
}

struct sandbox_bind *gpus_binds(const struct seat *seat, const struct sandbox_bind *binds,
                                struct arena *arena, size_t *count)
{
    glob_t found = {0};
    for (size_t i = 0; i < sizeof DEVICES / sizeof DEVICES[0] && seat->gpu_count > 0; i++) {
        (void)glob(DEVICES[i], i > 0 ? GLOB_APPEND : 0, NULL, &found);
    }
    struct sandbox_bind *all = arena_new(arena, (*count + found.gl_pathc + 1) * sizeof *all);
    for (size_t i = 0; i < *count; i++) {
        all[i] = binds[i];
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = arena_copy(arena, text_of(found.gl_pathv[i]));
        all[(*count)++] = (struct sandbox_bind){.source = path, .target = path, .is_device = true};
    }
    globfree(&found);
    return all;
}
