#include "catalog/catalog.h"

#include "base/memory.h"
#include "catalog/catalog_sql.h"
#include "catalog/parts.h"
#include "catalog/publish.h"
#include "catalog/register.h"
#include "catalog/rows.h"
#include "catalog/survey.h"
#include "os/clock.h"
#include "os/thread.h"

// How long the registrar rests after a failure of the store, unless something new is ordered.
enum { RETRY_SECONDS = 5 };

static enum status step(struct catalog *catalog, struct error *error)
{
    struct survey_order order;
    enum status status = survey_next(catalog->options.store, &order, error);
    if (status == NOT_FOUND) {
        return survey_sweep(catalog->options.store, error);
    }
    TRY(status);
    (void)pthread_mutex_lock(&catalog->mutex);
    atomic_store(&catalog->meter.files_done, 0);
    atomic_store(&catalog->meter.files_total, 0);
    atomic_store(&catalog->meter.bytes_done, 0);
    atomic_store(&catalog->meter.bytes_total, 0);
    atomic_store(&catalog->meter.is_stopped, catalog->is_stopping);
    catalog->running = order.dataset;
    (void)pthread_mutex_unlock(&catalog->mutex);
    status = survey_run(catalog->options.store, catalog->options.publisher, &order, &catalog->meter,
                        error);
    (void)pthread_mutex_lock(&catalog->mutex);
    catalog->running = 0;
    (void)pthread_mutex_unlock(&catalog->mutex);
    watches_change(catalog->watches);
    // Stopped because it was removed meanwhile, or because all stops: in neither case a failure.
    return status == TIMEOUT ? OK : status;
}

static void rest(struct catalog *catalog, bool is_failed)
{
    int64_t until_us = is_failed ? clock_steady_us() + RETRY_SECONDS * INT64_C(1000000) : INT64_MAX;
    (void)pthread_mutex_lock(&catalog->mutex);
    while (!catalog->is_ordered && !catalog->is_stopping &&
           condition_wait_until(&catalog->ordered, &catalog->mutex, until_us)) {
    }
    catalog->is_ordered = false;
    (void)pthread_mutex_unlock(&catalog->mutex);
}

static bool is_stopping(struct catalog *catalog)
{
    (void)pthread_mutex_lock(&catalog->mutex);
    bool is_stopping = catalog->is_stopping;
    (void)pthread_mutex_unlock(&catalog->mutex);
    return is_stopping;
}

static void *registrar_run(void *context)
{
    struct catalog *catalog = context;
    while (!is_stopping(catalog)) {
        struct error error = {0};
        enum status status = step(catalog, &error);
        if (status == OK) {
            continue;
        }
        if (status != NOT_FOUND && catalog->options.report) {
            catalog->options.report(catalog->options.context, &error);
        }
        rest(catalog, status != NOT_FOUND);
    }
    return NULL;
}

static void catalog_order(struct catalog *catalog)
{
    (void)pthread_mutex_lock(&catalog->mutex);
    catalog->is_ordered = true;
    (void)pthread_cond_signal(&catalog->ordered);
    (void)pthread_mutex_unlock(&catalog->mutex);
    watches_change(catalog->watches);
}

static void catalog_free(struct catalog *catalog)
{
    watches_free(catalog->watches);
    (void)pthread_cond_destroy(&catalog->ordered);
    (void)pthread_mutex_destroy(&catalog->mutex);
    free(catalog);
}

enum status catalog_open(const struct catalog_options *options, struct catalog **out,
                         struct error *error)
{
    struct catalog *catalog = NEW(struct catalog);
    catalog->options = *options;
    (void)pthread_mutex_init(&catalog->mutex, NULL);
    condition_init(&catalog->ordered);
    enum status status = watches_new(&catalog->meter, &catalog->watches, error);
    if (status == OK) {
        status = thread_start(&catalog->registrar, "registrar", registrar_run, catalog, error);
    }
    if (status != OK) {
        catalog_free(catalog);
        return status;
    }
    *out = catalog;
    return OK;
}

void catalog_close(struct catalog *catalog)
{
    if (!catalog) {
        return;
    }
    (void)pthread_mutex_lock(&catalog->mutex);
    catalog->is_stopping = true;
    atomic_store(&catalog->meter.is_stopped, true);
    (void)pthread_cond_signal(&catalog->ordered);
    (void)pthread_mutex_unlock(&catalog->mutex);
    (void)pthread_join(catalog->registrar, NULL);
    catalog_free(catalog);
}

enum status catalog_register(struct catalog *catalog, const struct dataset_request *request,
                             bool *is_new, struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    AUTO_FREE struct registration *registration = NEW(struct registration);
    registration->now_us = clock_real_us();
    registration->publisher = catalog->options.publisher;
    TRY(registration_prepare(request, &arena, registration, error));
    TRY(store_write_wait(catalog->options.store, registration_write, registration, error));
    if (registration->is_ordered) {
        catalog_order(catalog);
    }
    *is_new = registration->is_new;
    return OK;
}

// The progress of the survey under way is the meter's; one that waits has none yet.
static void add_progress(struct catalog *catalog, struct dataset *dataset)
{
    if (dataset->state != DATASET_REGISTERING && dataset->state != DATASET_VERIFYING) {
        return;
    }
    dataset->progress.files_done = 0;
    dataset->progress.bytes_done = 0;
    (void)pthread_mutex_lock(&catalog->mutex);
    if (catalog->running == dataset->number) {
        dataset->progress = (struct dataset_progress){
            .files_done = atomic_load(&catalog->meter.files_done),
            .files_total = atomic_load(&catalog->meter.files_total),
            .bytes_done = atomic_load(&catalog->meter.bytes_done),
            .bytes_total = atomic_load(&catalog->meter.bytes_total),
        };
    }
    (void)pthread_mutex_unlock(&catalog->mutex);
}

enum status catalog_find(struct catalog *catalog, struct text id, struct arena *arena,
                         struct dataset *out, struct error *error)
{
    struct identifier identifier;
    struct sql *sql = NULL;
    TRY(identifier_parse(id, &identifier, error));
    TRY(store_read_begin(catalog->options.store, &sql, error));
    enum status status = rows_find_dataset(sql, identifier_text(&identifier), arena, out, error);
    store_read_end(catalog->options.store, sql);
    TRY(status);
    add_progress(catalog, out);
    return OK;
}

enum status catalog_list(struct catalog *catalog, struct text prefix, struct text after,
                         size_t limit, struct arena *arena, struct dataset *out, size_t *count,
                         struct error *error)
{
    struct sql *sql = NULL;
    TRY(store_read_begin(catalog->options.store, &sql, error));
    enum status status = rows_list_datasets(sql, prefix, after, limit, arena, out, count, error);
    store_read_end(catalog->options.store, sql);
    TRY(status);
    for (size_t i = 0; i < *count; i++) {
        add_progress(catalog, &out[i]);
    }
    return OK;
}

struct verification {
    int64_t number;
    const char *work;
    struct catalog_witness witness;
    int64_t changed;
};

static enum status write_verification(struct sql *sql, void *context, struct error *error)
{
    struct verification *verification = context;
    TRY(sql_run(sql, SQL_DATASET_BEGIN,
                SQL_VALUES(sql_text(TEXT("verifying")), sql_text(text_of(verification->work)),
                           sql_int64(verification->number)),
                &verification->changed, error));
    return verification->changed > 0 ? witness_write(&verification->witness, sql, error) : OK;
}

enum status catalog_verify(struct catalog *catalog, struct text id, struct catalog_verify how,
                           struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    TRY(catalog_find(catalog, id, &arena, &dataset, error));
    if (dataset.state == DATASET_FAILED) {
        (void)error_set(error, CONFLICT, "%.300s was never registered wholly", dataset.id);
        error_fix(error, "register it again with the same paths");
        return CONFLICT;
    }
    struct verification verification = {
        .number = dataset.number,
        .work = survey_work_name(false, how.is_full, how.accept_changes),
        .witness = how.witness,
    };
    if (dataset.state == DATASET_AVAILABLE || dataset.state == DATASET_CHANGED) {
        TRY(store_write_wait(catalog->options.store, write_verification, &verification, error));
    }
    if (verification.changed == 0) {
        (void)error_set(error, CONFLICT, "%.300s is under survey already", dataset.id);
        error_fix(error, "wait until it is done: lode data show %.150s", dataset.id);
        return CONFLICT;
    }
    catalog_order(catalog);
    return OK;
}

enum status catalog_has_root(struct catalog *catalog, struct text path, bool *out,
                             struct error *error)
{
    AUTO_FREE char *from = memory_format("%.*s/", TEXT_ARGS(path));
    AUTO_FREE char *to = memory_format("%.*s%c", TEXT_ARGS(path), '/' + 1);
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    TRY(store_read_begin(catalog->options.store, &sql, error));
    enum status status =
        sql_first(sql, SQL_ROOT_WITHIN,
                  SQL_VALUES(sql_blob(path.bytes, path.length), sql_blob(from, strlen(from)),
                             sql_blob(to, strlen(to))),
                  &rows, error);
    sql_end(rows);
    store_read_end(catalog->options.store, sql);
    if (status == OK || status == NOT_FOUND) {
        *out = status == OK;
        status = OK;
    }
    return status;
}

struct removal {
    struct dataset dataset;
    const struct catalog_publisher *publisher;
    struct catalog_witness witness;
};

static enum status write_removal(struct sql *sql, void *context, struct error *error)
{
    const struct removal *removal = context;
    const struct dataset *dataset = &removal->dataset;
    struct sql_value number = sql_int64(dataset->number);
    int64_t changed = 0;
    TRY(sql_run(sql, SQL_DATASET_DELETE, SQL_VALUES(number), &changed, error));
    if (changed == 0) {
        return error_set(error, NOT_FOUND, "%.300s was removed already", dataset->id);
    }
    TRY(sql_run(sql, SQL_ALIAS_DELETE, SQL_VALUES(number), NULL, error));
    TRY(sql_run(sql, SQL_ROOT_DELETE, SQL_VALUES(number), NULL, error));
    TRY(sql_run(sql, SQL_REMOVED_ADD, SQL_VALUES(number), NULL, error));
    TRY(publish_removal(removal->publisher, sql, dataset->id, error));
    return witness_write(&removal->witness, sql, error);
}

enum status catalog_remove(struct catalog *catalog, struct text id, struct catalog_witness witness,
                           struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct removal removal = {.publisher = catalog->options.publisher, .witness = witness};
    TRY(catalog_find(catalog, id, &arena, &removal.dataset, error));
    if (catalog->options.check_unused) {
        TRY(catalog->options.check_unused(catalog->options.context, removal.dataset.id, error));
    }
    TRY(store_write_wait(catalog->options.store, write_removal, &removal, error));
    (void)pthread_mutex_lock(&catalog->mutex);
    if (catalog->running == removal.dataset.number) {
        atomic_store(&catalog->meter.is_stopped, true);
    }
    (void)pthread_mutex_unlock(&catalog->mutex);
    catalog_order(catalog);
    return OK;
}

int64_t catalog_ticket(struct catalog *catalog)
{
    return watches_ticket(catalog->watches);
}

void catalog_watch(struct catalog *catalog, int64_t ticket, int64_t deadline_us,
                   void (*wake)(void *context), void *context)
{
    watches_add(catalog->watches, ticket, deadline_us, wake, context);
}

void catalog_wake_all(struct catalog *catalog)
{
    watches_end(catalog->watches);
}
