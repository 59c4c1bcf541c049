// Which graphics processors a worker may give to tasks, and by which names programs find them.
#ifndef LODE_WORKER_GPU_NAMES_H
#define LODE_WORKER_GPU_NAMES_H

#include "base/arena.h"
#include "base/status.h"

enum { GPU_NAMES_MAX = 1024, GPU_NAME_SIZE_MAX = 96 };

// As CUDA_VISIBLE_DEVICES has them: numbers from 0, or "GPU-..." and "MIG-..." with a UUID. They live in an arena.
struct gpu_names {
    const char **names;
    size_t count;
};

// Reads a value of CUDA_VISIBLE_DEVICES as CUDA does (CUDA C++ Programming Guide, "CUDA Environment Variables"): names with commas between them, up to the first one that
// is none; one that is there already is none either, so that no two tasks get the same.
void gpu_names_read(struct text value, struct arena *arena, struct gpu_names *out);

// How many the machine has whose files are below `root` ("" for this one): devices of NVIDIA's driver, /dev/nvidia0 and so on; where there is none, of AMD's
// (/dev/kfd), the nodes of its topology in /sys that are no processors of another kind (their gpu_id is not 0).
size_t gpu_names_count(const char *root);

// Those that a worker gives to tasks. `visible` is its own CUDA_VISIBLE_DEVICES, which is believed (a batch system's is right where the machine's devices are more, or are
// numbered otherwise); NULL: it may use all. `wanted` of them, the first ones; -1: all; without `visible` it is believed too.
// INVALID: more than `visible` has, or than GPU_NAMES_MAX.
enum status gpu_names_choose(const char *root, const char *visible, int64_t wanted,
                             struct arena *arena, struct gpu_names *out, struct error *error);

#endif
