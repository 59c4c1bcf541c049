#include "prepare/elsewhere.h"

static const struct prepare_known_data *find(const struct elsewhere *elsewhere, const char *id)
{
    for (size_t i = 0; i < elsewhere->count; i++) {
        const struct prepare_known_data *known = &elsewhere->data[i];
        if (strcmp(known->id, id) == 0 ||
            (known->registered && strcmp(known->registered, id) == 0)) {
            return known;
        }
    }
    return NULL;
}

static enum status resolve(void *context, const char *id, struct arena *arena,
                           struct prepare_dataset *out, struct error *error)
{
    const struct prepare_known_data *known = find(context, id);
    if (!known) {
        return error_set(error, NOT_FOUND, "nothing is known of dataset %.200s at that site", id);
    }
    const char *registered = known->registered ? known->registered : known->id;
    *out = (struct prepare_dataset){
        .id = arena_copy(arena, text_of(registered)),
        .digest = known->digest,
        .file_count = known->file_count,
        .size_bytes = known->size_bytes,
    };
    return OK;
}

// The site that has it looks at its files when the job comes there.
static enum status check(void *context, const char *id, struct prepare_look *look,
                         struct error *error)
{
    (void)context;
    (void)id;
    (void)error;
    *look = (struct prepare_look){.is_settled = true};
    return OK;
}

static enum status each_file(void *context, const char *id,
                             enum status (*visit)(void *visitor, const struct prepare_file *file,
                                                  struct error *error),
                             void *visitor, struct error *error)
{
    const struct prepare_known_data *known = find(context, id);
    return known && known->each_file ? known->each_file(known->files_context, visit, visitor, error)
                                     : OK;
}

const struct prepare_catalog_ops ELSEWHERE_CATALOG = {
    .resolve = resolve, .check = check, .look = check, .each_file = each_file};

enum status elsewhere_check_over(const struct elsewhere *elsewhere, const char *id,
                                 struct error *error)
{
    const struct prepare_known_data *known = find(elsewhere, id);
    if (known && !known->each_file) {
        return error_set(
            error, INVALID,
            "the files of dataset %.200s are not known here, so no job can run over it", id);
    }
    return OK;
}
