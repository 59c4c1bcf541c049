#include "worker/gpu_names.h"

#include "os/file.h"

#include <glob.h>
#include <stdlib.h>

enum { ID_FILE_SIZE_MAX = 64, DIGITS_MAX = 9 };

static bool is_number(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
    }
    return text.length > 0 && text.length <= DIGITS_MAX;
}

// "GPU-8932f937-...", perhaps shortened; "MIG-..." of a part of a processor, in the older form "MIG-GPU-.../1/0".
static bool is_identifier(struct text text)
{
    static const char ALLOWED[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-/";
    bool has_kind = text_starts_with(text, TEXT("GPU-")) || text_starts_with(text, TEXT("MIG-"));
    for (size_t i = 0; i < text.length; i++) {
        if (!text_contains_byte(text_of(ALLOWED), text.bytes[i])) {
            return false;
        }
    }
    return has_kind && text.length > 4 && text.length <= GPU_NAME_SIZE_MAX;
}

static bool has_name(const struct gpu_names *names, struct text name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (text_equal(text_of(names->names[i]), name)) {
            return true;
        }
    }
    return false;
}

void gpu_names_read(struct text value, struct arena *arena, struct gpu_names *out)
{
    struct text part;
    *out = (struct gpu_names){.names = arena_new(arena, GPU_NAMES_MAX * sizeof *out->names)};
    while (out->count < GPU_NAMES_MAX && text_next_part(&value, ',', &part)) {
        struct text name = text_trim(part);
        if ((!is_number(name) && !is_identifier(name)) || has_name(out, name)) {
            return;
        }
        out->names[out->count++] = arena_copy(arena, name);
    }
}

// How many files there are of this pattern below the root which `counts`.
static size_t count_files(const char *root, const char *pattern, bool (*counts)(const char *path))
{
    struct arena arena AUTO_ARENA = {0};
    glob_t found = {0};
    size_t count = 0;
    (void)glob(arena_format(&arena, "%s%s", root, pattern), 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        count += counts(found.gl_pathv[i]);
    }
    globfree(&found);
    return count;
}

static bool is_numbered(const char *path)
{
    const char *name = strrchr(path, '/');
    return is_number(text_of(name + sizeof "/nvidia" - 1));
}

static bool is_there(const char *path)
{
    (void)path;
    return true;
}

static bool has_gpu_id(const char *path)
{
    AUTO_BUFFER struct buffer content = {0};
    int64_t id = 0;
    return file_read(path, ID_FILE_SIZE_MAX, &content, NULL) == OK &&
           text_to_int64(text_trim(buffer_text(&content)), &id) && id != 0;
}

size_t gpu_names_count(const char *root)
{
    size_t count = count_files(root, "/dev/nvidia[0-9]*", is_numbered);
    if (count == 0 && count_files(root, "/dev/kfd", is_there) > 0) {
        count = count_files(root, "/sys/class/kfd/kfd/topology/nodes/*/gpu_id", has_gpu_id);
    }
    return count < GPU_NAMES_MAX ? count : GPU_NAMES_MAX;
}

static void number_from_zero(size_t count, struct arena *arena, struct gpu_names *out)
{
    out->names = arena_new(arena, (count + 1) * sizeof *out->names);
    for (out->count = 0; out->count < count; out->count++) {
        out->names[out->count] = arena_format(arena, "%zu", out->count);
    }
}

enum status gpu_names_choose(const char *root, const char *visible, int64_t wanted,
                             struct arena *arena, struct gpu_names *out, struct error *error)
{
    if (wanted > GPU_NAMES_MAX) {
        return error_set(error, INVALID, "%lld graphics processors are more than %d",
                         (long long)wanted, GPU_NAMES_MAX);
    }
    if (!visible) {
        number_from_zero(wanted < 0 ? gpu_names_count(root) : (size_t)wanted, arena, out);
        return OK;
    }
    struct gpu_names given;
    gpu_names_read(text_of(visible), arena, &given);
    if (wanted > (int64_t)given.count) {
        (void)error_set(error, INVALID,
                        "%lld graphics processors are more than the %zu that CUDA_VISIBLE_DEVICES "
                        "has: \"%.100s\"",
                        (long long)wanted, given.count, visible);
        error_fix(error, "ask for fewer, or take it out of the environment");
        return INVALID;
    }
    given.count = wanted < 0 ? given.count : (size_t)wanted;
    *out = given;
    return OK;
}
