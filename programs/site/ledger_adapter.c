#include "site/ledger_adapter.h"

static enum status enter_dataset(void *context, struct sql *sql, const struct dataset *dataset,
                                 struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct text *aliases = arena_new(&arena, (dataset->alias_count + 1) * sizeof *aliases);
    for (size_t i = 0; i < dataset->alias_count; i++) {
        aliases[i] = text_of(dataset->aliases[i]);
    }
    struct ledger_dataset entry = {
        .id = text_of(dataset->id),
        .aliases = aliases,
        .alias_count = dataset->alias_count,
        .title = text_of(dataset->title),
        .has_digest = dataset->has_digest,
        .digest = dataset->digest,
        .file_count = dataset->file_count,
        .size_bytes = dataset->size_bytes,
        .tier = dataset->root_count > 0 ? dataset->roots[0].tier : "online",
        .state = dataset_state_name(dataset->state),
    };
    return ledger_append_dataset(context, sql, &entry, error);
}

static enum status enter_removal(void *context, struct sql *sql, const char *id,
                                 struct error *error)
{
    return ledger_append_removal(context, sql, text_of(id), error);
}

struct catalog_publisher ledger_publisher(struct ledger *ledger)
{
    return (struct catalog_publisher){
        .dataset = enter_dataset, .removal = enter_removal, .context = ledger};
}

static enum status write_complete(struct sql *sql, void *context, struct error *error)
{
    (void)context;
    return ledger_set_complete(sql, error);
}

enum status ledger_adopt_datasets(struct store *store, struct catalog *catalog, struct error *error)
{
    struct sql *sql = NULL;
    bool is_complete = false;
    TRY(store_read_begin(store, &sql, error));
    enum status status = ledger_is_complete(sql, &is_complete, error);
    store_read_end(store, sql);
    TRY(status);
    if (is_complete) {
        return OK;
    }
    TRY(catalog_publish_all(catalog, error));
    return store_write_wait(store, write_complete, NULL, error);
}
