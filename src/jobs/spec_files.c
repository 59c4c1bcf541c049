// The files in a job's document: blobs that are put below the working folder of each task.
#include "jobs/spec_fields.h"

#include "base/memory.h"

#include <stdlib.h>

enum { DIGEST_FIELD_MAX = 255, WHAT_SIZE = 64 };

enum status spec_check_file_name(struct text name, struct error *error)
{
    return spec_check_path(name, "a file's name", error);
}

static enum status read_file(struct job_spec *spec, const json_t *element, size_t at,
                             struct error *error)
{
    static const char *const known[] = {"name", "blob", "executable", NULL};
    struct spec_file *file = &spec->files[at];
    struct text name = TEXT_NONE;
    struct text digest = TEXT_NONE;
    char what[WHAT_SIZE];
    TRY(json_check_fields(element, known, error));
    TRY(json_field_text(element, "name", JSON_REQUIRED, SPEC_PATTERN_MAX, &name, error));
    TRY(json_field_text(element, "blob", JSON_REQUIRED, DIGEST_FIELD_MAX, &digest, error));
    TRY(json_field_bool(element, "executable", JSON_OPTIONAL, &file->is_executable, error));
    (void)snprintf(what, sizeof what, "files[%zu].name", at);
    TRY(spec_check_path(name, what, error));
    (void)snprintf(what, sizeof what, "files[%zu].blob", at);
    TRY(spec_check_digest(digest, what, error));
    file->name = arena_copy(&spec->arena, name);
    file->digest = arena_copy(&spec->arena, digest);
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_name(const char *const *names, size_t count, const char *name)
{
    return bsearch(&name, names, count, sizeof *names, compare_names) != NULL;
}

// A file cannot be the folder of another one.
static enum status check_folders(const char *const *names, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *folder = memory_copy_string(names[i]);
        for (char *slash = strrchr(folder, '/'); slash; slash = strrchr(folder, '/')) {
            *slash = '\0';
            if (has_name(names, count, folder)) {
                return error_set(error, INVALID,
                                 "file \"%.80s\" would be the folder of file \"%.80s\"", folder,
                                 names[i]);
            }
        }
    }
    return OK;
}

static bool has_same_top(const char *a, const char *b)
{
    size_t length = strcspn(a, "/");
    return length == strcspn(b, "/") && strncmp(a, b, length) == 0;
}

// Names that share their first part stand together: only what sorts between "a" and "a/", as "a-b" does, could come in between, and
// "a" is no folder then.
static enum status check_names(const char *const *names, size_t count, struct error *error)
{
    size_t tops = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(names[i - 1], names[i]) == 0) {
            return error_set(error, INVALID, "two files have the name \"%.80s\"", names[i]);
        }
        tops += i == 0 || !has_same_top(names[i - 1], names[i]);
    }
    if (tops > SPEC_FILES_TOP_MAX) {
        (void)error_set(error, INVALID,
                        "the job's files have %zu different names at the top of the working "
                        "folder; at most %d are allowed",
                        tops, SPEC_FILES_TOP_MAX);
        error_fix(error, "put them into a folder: name them \"files/...\"");
        return INVALID;
    }
    return check_folders(names, count, error);
}

enum status spec_read_files(struct job_spec *spec, const json_t *document, struct error *error)
{
    json_t *array = NULL;
    TRY(json_field_array(document, "files", JSON_OPTIONAL, SPEC_FILES_MAX, &array, error));
    size_t count = json_array_size(array);
    spec->files = arena_new(&spec->arena, count * sizeof *spec->files);
    AUTO_FREE const char **names = memory_new(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++) {
        TRY(read_file(spec, json_array_get(array, i), i, error));
        names[i] = spec->files[i].name;
    }
    spec->file_count = count;
    qsort(names, count, sizeof *names, compare_names);
    return check_names(names, count, error);
}
