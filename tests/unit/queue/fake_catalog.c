#include "fake_catalog.h"

static enum status resolve(void *context, const char *id, struct arena *arena,
                           struct prepare_dataset *out, struct error *error)
{
    const struct fake_catalog *catalog = context;
    if (strcmp(id, "t:two") != 0) {
        return error_set(error, NOT_FOUND, "there is no dataset %s", id);
    }
    struct prepare_root *root = arena_new(arena, sizeof *root);
    *root = (struct prepare_root){.path = "/srv/two", .mount = "", .kind = "folder"};
    *out = (struct prepare_dataset){
        .id = "t:two", .file_count = 2, .size_bytes = 2, .roots = root, .root_count = 1};
    out->digest.bytes[0] = catalog->content;
    return OK;
}

static enum status check(void *context, const char *id, struct prepare_look *look,
                         struct error *error)
{
    struct fake_catalog *catalog = context;
    if (!catalog->is_changed) {
        *look = (struct prepare_look){atomic_load(&catalog->state), !catalog->is_unsettled};
        return OK;
    }
    (void)error_set(error, CONFLICT, "file a of %s has changed", id);
    error_fix(error, "lode data verify %s", id);
    return CONFLICT;
}

static enum status look(void *context, const char *id, struct prepare_look *look,
                        struct error *error)
{
    (void)id;
    (void)error;
    struct fake_catalog *catalog = context;
    *look = (struct prepare_look){atomic_load(&catalog->state), !catalog->is_unsettled};
    atomic_fetch_add(&catalog->looks, 1);
    return OK;
}

static enum status each_file(void *context, const char *id,
                             enum status (*visit)(void *visitor, const struct prepare_file *file,
                                                  struct error *error),
                             void *visitor, struct error *error)
{
    (void)id;
    struct fake_catalog *catalog = context;
    catalog->content = (unsigned char)(catalog->content + catalog->changes_at_a_look);
    const struct text names[] = {TEXT("a"), TEXT("b")};
    for (int i = 0; i < 2; i++) {
        struct prepare_file file = {
            .path = names[i], .source = TEXT("/srv/two/x"), .size_bytes = 1};
        file.digest.bytes[0] = (unsigned char)(catalog->content + i);
        TRY(visit(visitor, &file, error));
    }
    return OK;
}

const struct prepare_catalog_ops FAKE_CATALOG = {resolve, check, look, each_file};
