#include "store/store.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/connection.h"
#include "store/migrate.h"
#include "store/writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

enum { READERS_DEFAULT = 4, READERS_MAX = 64, PROCESS_ID_TEXT_MAX = 32 };

struct store {
    char *path;
    int lock_fd; // Held as long as the store is open.
    struct sql *sql;
    struct writer *writer;

    pthread_mutex_t mutex; // Guards the readers.
    pthread_cond_t reader_freed;
    struct sql *idle_readers[READERS_MAX];
    unsigned idle_count;
    unsigned reader_count; // Open ones, idle or lent.
    unsigned reader_max;
};

static enum status refuse_taken(const char *path, int fd, struct error *error)
{
    char holder[PROCESS_ID_TEXT_MAX] = "";
    ssize_t length = pread(fd, holder, sizeof holder - 1, 0);
    holder[length > 0 ? length : 0] = '\0';
    int64_t process = 0;
    if (text_to_int64(text_trim(text_of(holder)), &process)) {
        (void)error_set(error, CONFLICT, "the database %s is in use by process %lld", path,
                        (long long)process);
    } else {
        (void)error_set(error, CONFLICT, "the database %s is in use by another process", path);
    }
    error_fix(error, "stop that one first, or give this one another data directory");
    return CONFLICT;
}

// One process owns a database: the lock goes with the descriptor, so it never outlives its holder.
static enum status take_lock(const char *path, int *out, struct error *error)
{
    AUTO_FREE char *lock_path = memory_format("%s.lock", path);
    AUTO_CLOSE int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", lock_path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return errno == EWOULDBLOCK ? refuse_taken(path, fd, error)
                                    : error_set_errno(error, errno, "cannot lock %s", lock_path);
    }
    // The number only helps people; without it the lock holds just as well.
    AUTO_FREE char *holder = memory_format("%lld\n", (long long)getpid());
    if (ftruncate(fd, 0) == 0) {
        (void)file_write_all(fd, text_of(holder), NULL);
    }
    *out = file_take_fd(&fd);
    return OK;
}

static enum status open_parts(struct store *store, const struct store_options *options,
                              struct error *error)
{
    TRY(take_lock(store->path, &store->lock_fd, error));
    TRY(sql_connection_open(store->path, CONNECTION_WRITE, &store->sql, error));
    TRY(migrate(store->sql, options->migrations, options->migration_count, clock_real_us(), error));
    return writer_start(store->sql, &store->writer, error);
}

enum status store_open(const struct store_options *options, struct store **out, struct error *error)
{
    struct text url = text_of(options->url);
    if (text_starts_with(url, TEXT("postgres://")) ||
        text_starts_with(url, TEXT("postgresql://"))) {
        (void)error_set(error, UNSUPPORTED, "this version keeps its state in SQLite only");
        error_fix(error, "give the path of a file");
        return UNSUPPORTED;
    }
    struct store *store = NEW(struct store);
    store->path = memory_copy_string(options->url);
    store->lock_fd = -1;
    store->reader_max = options->readers ? options->readers : READERS_DEFAULT;
    store->reader_max = store->reader_max < READERS_MAX ? store->reader_max : READERS_MAX;
    (void)pthread_mutex_init(&store->mutex, NULL);
    (void)pthread_cond_init(&store->reader_freed, NULL);
    enum status status = open_parts(store, options, error);
    if (status != OK) {
        store_close(store);
        return status;
    }
    *out = store;
    return OK;
}

void store_close(struct store *store)
{
    if (!store) {
        return;
    }
    writer_stop(store->writer);
    assert(store->idle_count == store->reader_count);
    for (unsigned i = 0; i < store->idle_count; i++) {
        sql_connection_close(store->idle_readers[i]);
    }
    sql_connection_close(store->sql);
    (void)pthread_cond_destroy(&store->reader_freed);
    (void)pthread_mutex_destroy(&store->mutex);
    if (store->lock_fd >= 0) {
        (void)close(store->lock_fd);
    }
    free(store->path);
    free(store);
}

void store_write(struct store *store, store_write_fn *write, store_done_fn *done, void *context)
{
    writer_add(store->writer, write, done, context);
}

enum status store_write_wait(struct store *store, store_write_fn *write, void *context,
                             struct error *error)
{
    return writer_add_wait(store->writer, write, context, error);
}

void store_on_recover(struct store *store, store_write_fn *recover, void *context)
{
    writer_on_recover(store->writer, recover, context);
}

void store_every(struct store *store, int64_t interval_us, store_write_fn *check, void *context)
{
    writer_every(store->writer, interval_us, check, context);
}

struct store_figures store_figures(struct store *store)
{
    return writer_figures(store->writer);
}

// An idle connection, or NULL with the right to open one more.
static struct sql *take_reader(struct store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    while (store->idle_count == 0 && store->reader_count == store->reader_max) {
        (void)pthread_cond_wait(&store->reader_freed, &store->mutex);
    }
    struct sql *reader = NULL;
    if (store->idle_count > 0) {
        reader = store->idle_readers[--store->idle_count];
    } else {
        store->reader_count++;
    }
    (void)pthread_mutex_unlock(&store->mutex);
    return reader;
}

static void give_reader(struct store *store, struct sql *reader)
{
    (void)pthread_mutex_lock(&store->mutex);
    if (reader) {
        store->idle_readers[store->idle_count++] = reader;
    } else {
        store->reader_count--;
    }
    (void)pthread_cond_signal(&store->reader_freed);
    (void)pthread_mutex_unlock(&store->mutex);
}

enum status store_read_begin(struct store *store, struct sql **sql, struct error *error)
{
    struct sql *reader = take_reader(store);
    enum status status = OK;
    if (!reader) {
        status = sql_connection_open(store->path, CONNECTION_READ, &reader, error);
    }
    if (status == OK) {
        status = connection_begin(reader, error);
    }
    if (status != OK) {
        give_reader(store, reader);
        return status;
    }
    *sql = reader;
    return OK;
}

void store_read_end(struct store *store, struct sql *sql)
{
    assert(connection_open_queries(sql) == 0);
    connection_rollback(sql);
    give_reader(store, sql);
}
