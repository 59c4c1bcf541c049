#include "site/catalog_adapter.h"

#include "base/memory.h"
#include "catalog/catalog.h"

static enum status resolve(void *context, const char *id, struct arena *arena,
                           struct prepare_dataset *out, struct error *error)
{
    struct dataset dataset;
    TRY(catalog_resolve_for_job(context, text_of(id), arena, &dataset, error));
    struct prepare_root *roots = arena_new(arena, dataset.root_count * sizeof *roots);
    for (size_t i = 0; i < dataset.root_count; i++) {
        roots[i] = (struct prepare_root){
            .path = dataset.roots[i].path,
            .mount = dataset.roots[i].mount,
            .kind = dataset.roots[i].is_folder ? "folder" : "file",
        };
    }
    *out = (struct prepare_dataset){
        .id = dataset.id,
        .digest = dataset.digest,
        .file_count = dataset.file_count,
        .size_bytes = dataset.size_bytes,
        .roots = roots,
        .root_count = dataset.root_count,
    };
    return OK;
}

static enum status check(void *context, const char *id, struct prepare_look *look,
                         struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    struct dataset_look found;
    TRY(catalog_resolve_for_job(context, text_of(id), &arena, &dataset, error));
    TRY(catalog_check_files(context, &dataset, &found, error));
    *look = (struct prepare_look){found.state, found.is_settled};
    return OK;
}

static enum status look(void *context, const char *id, struct prepare_look *look,
                        struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    struct dataset_look found;
    TRY(catalog_resolve_for_job(context, text_of(id), &arena, &dataset, error));
    TRY(catalog_look(context, &dataset, &found, error));
    *look = (struct prepare_look){found.state, found.is_settled};
    return OK;
}

typedef enum status visit_fn(void *visitor, const struct prepare_file *file, struct error *error);

static enum status visit_page(const struct dataset *dataset, const struct dataset_file *files,
                              size_t count, struct arena *arena, visit_fn *visit, void *visitor,
                              struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct prepare_file file = {
            .path = text_of(files[i].path),
            .source = text_of(catalog_file_source(dataset, &files[i], arena)),
            .size_bytes = files[i].size_bytes,
            .modified_us = files[i].modified_us,
            .inode = files[i].inode,
            .digest = files[i].digest,
        };
        TRY(visit(visitor, &file, error));
    }
    return OK;
}

static enum status each_file(void *context, const char *id, visit_fn *visit, void *visitor,
                             struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    TRY(catalog_resolve_for_job(context, text_of(id), &arena, &dataset, error));
    AUTO_FREE struct dataset_file *files = memory_new(CATALOG_PAGE_MAX, sizeof *files);
    AUTO_FREE char *after = memory_copy_string("");
    size_t count = 0;
    do {
        AUTO_ARENA struct arena page = {0};
        TRY(catalog_files(context, dataset.number, text_of(after), CATALOG_PAGE_MAX, &page, files,
                          &count, error));
        TRY(visit_page(&dataset, files, count, &page, visit, visitor, error));
        if (count > 0) {
            free(after);
            after = memory_copy_string(files[count - 1].path);
        }
    } while (count == CATALOG_PAGE_MAX);
    return OK;
}

const struct prepare_catalog_ops CATALOG_ADAPTER = {
    .resolve = resolve,
    .check = check,
    .look = look,
    .each_file = each_file,
};
