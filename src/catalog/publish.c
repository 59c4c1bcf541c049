#include "catalog/publish.h"

#include "base/memory.h"
#include "catalog/parts.h"
#include "catalog/rows.h"

enum { PUBLISHED_AT_ONCE = 100 };

static enum status tell(const struct catalog_publisher *publisher, struct sql *sql,
                        const struct dataset *dataset, struct error *error)
{
    if (dataset->state != DATASET_AVAILABLE && dataset->state != DATASET_CHANGED) {
        return OK;
    }
    return publisher->dataset(publisher->context, sql, dataset, error);
}

enum status publish_dataset(const struct catalog_publisher *publisher, struct sql *sql,
                            int64_t number, struct error *error)
{
    if (!publisher) {
        return OK;
    }
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    enum status status = rows_get_dataset(sql, number, &arena, &dataset, error);
    // It was removed meanwhile, which was told.
    if (status == NOT_FOUND) {
        return OK;
    }
    TRY(status);
    return tell(publisher, sql, &dataset, error);
}

enum status publish_removal(const struct catalog_publisher *publisher, struct sql *sql,
                            const char *id, struct error *error)
{
    return publisher ? publisher->removal(publisher->context, sql, id, error) : OK;
}

// Some of all datasets, by id.
struct publication {
    const struct catalog_publisher *publisher;
    char *after;  // The last id; heap.
    size_t count; // How many there were.
};

static enum status write_publication(struct sql *sql, void *context, struct error *error)
{
    struct publication *publication = context;
    AUTO_ARENA struct arena arena = {0};
    struct dataset *datasets = arena_new(&arena, PUBLISHED_AT_ONCE * sizeof *datasets);
    publication->count = 0;
    TRY(rows_list_datasets(sql, TEXT_NONE, text_of(publication->after), PUBLISHED_AT_ONCE, &arena,
                           datasets, &publication->count, error));
    for (size_t i = 0; i < publication->count; i++) {
        TRY(publish_dataset(publication->publisher, sql, datasets[i].number, error));
    }
    if (publication->count > 0) {
        free(publication->after);
        publication->after = memory_copy_string(datasets[publication->count - 1].id);
    }
    return OK;
}

enum status catalog_publish_all(struct catalog *catalog, struct error *error)
{
    struct publication publication = {
        .publisher = catalog->options.publisher,
        .after = memory_copy_string(""),
    };
    enum status status = OK;
    do {
        status = store_write_wait(catalog->options.store, write_publication, &publication, error);
    } while (status == OK && publication.count > 0);
    free(publication.after);
    return status;
}
