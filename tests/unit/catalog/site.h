// A store, a catalogue and a folder of data for tests, and waiting for what the catalogue does.
#ifndef LODE_TESTS_CATALOG_SITE_H
#define LODE_TESTS_CATALOG_SITE_H

#include "../cmocka_all.h"

#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/migrations.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

struct site {
    char folder[64];
    char data[80];
    struct store *store;
    struct catalog *catalog;
    const struct catalog_publisher *publisher; // For the next start; NULL: nobody is told.
};

static inline void site_start(struct site *site)
{
    char path[128];
    struct error error = {0};
    (void)snprintf(path, sizeof path, "%s/site.db", site->folder);
    struct store_options options = {
        .url = path, .migrations = CATALOG_MIGRATIONS, .migration_count = CATALOG_MIGRATION_COUNT};
    if (store_open(&options, &site->store, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    struct catalog_options catalog = {.store = site->store, .publisher = site->publisher};
    assert_int_equal(catalog_open(&catalog, &site->catalog, &error), OK);
}

static inline void site_stop(struct site *site)
{
    catalog_close(TAKE(site->catalog));
    store_close(TAKE(site->store));
}

static inline void site_new(struct site *site)
{
    *site = (struct site){.folder = "/tmp/lode-catalog-XXXXXX"};
    assert_non_null(mkdtemp(site->folder));
    (void)snprintf(site->data, sizeof site->data, "%s/data", site->folder);
    assert_int_equal(mkdir(site->data, 0700), 0);
    site_start(site);
}

static inline void site_done(struct site *site)
{
    site_stop(site);
    assert_int_equal(file_remove_tree(site->folder, NULL), OK);
}

#define AUTO_SITE __attribute__((cleanup(site_done)))

// The path of something in the data folder; one of four static buffers.
static inline const char *data_path(const struct site *site, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s%s%s", site->data, name[0] ? "/" : "", name);
    return path;
}

static inline void put(const struct site *site, const char *name, const char *content)
{
    int fd = open(data_path(site, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, text_of(content), NULL), OK);
    (void)close(fd);
}

static inline void put_folder(const struct site *site, const char *name)
{
    assert_int_equal(mkdir(data_path(site, name), 0700), 0);
}

static inline void put_link(const struct site *site, const char *name, const char *target)
{
    assert_int_equal(symlink(target, data_path(site, name)), 0);
}

// Sets the time of a file, in seconds since 1970.
static inline void touch(const struct site *site, const char *name, int64_t seconds)
{
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    assert_int_equal(utimensat(AT_FDCWD, data_path(site, name), times, 0), 0);
}

static inline enum status add(const struct site *site, const char *id, const char *path,
                              struct error *error)
{
    struct text paths[] = {text_of(path)};
    struct dataset_request request = {
        .id = text_of(id), .paths = paths, .path_count = 1, .owner = TEXT("ada")};
    bool is_new = false;
    return catalog_register(site->catalog, &request, &is_new, error);
}

struct wake {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool is_woken;
};

static inline void wake_up(void *context)
{
    struct wake *wake = context;
    (void)pthread_mutex_lock(&wake->mutex);
    wake->is_woken = true;
    (void)pthread_cond_signal(&wake->condition);
    (void)pthread_mutex_unlock(&wake->mutex);
}

static inline void wait_for_change(const struct site *site, int64_t ticket)
{
    struct wake wake = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    catalog_watch(site->catalog, ticket, clock_steady_us() + 10000000, wake_up, &wake);
    (void)pthread_mutex_lock(&wake.mutex);
    while (!wake.is_woken) {
        (void)pthread_cond_wait(&wake.condition, &wake.mutex);
    }
    (void)pthread_mutex_unlock(&wake.mutex);
}

// Looks at the dataset; while it is under survey, waits for a change and answers true.
static inline bool has_moved_on(const struct site *site, const char *id, struct arena *arena,
                                struct dataset *out)
{
    struct error error = {0};
    int64_t ticket = catalog_ticket(site->catalog);
    if (catalog_find(site->catalog, text_of(id), arena, out, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    if (out->state != DATASET_REGISTERING && out->state != DATASET_VERIFYING) {
        return false;
    }
    wait_for_change(site, ticket);
    return true;
}

// The dataset once no survey is under way.
static inline struct dataset settled(const struct site *site, const char *id, struct arena *arena)
{
    struct dataset dataset;
    while (has_moved_on(site, id, arena, &dataset)) {
    }
    return dataset;
}

static inline struct dataset verified(const struct site *site, const char *id, bool is_full,
                                      bool accept, struct arena *arena)
{
    struct error error = {0};
    struct catalog_verify how = {.is_full = is_full, .accept_changes = accept};
    if (catalog_verify(site->catalog, text_of(id), how, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return settled(site, id, arena);
}

static inline struct dataset_file file_of(const struct site *site, const struct dataset *dataset,
                                          const char *path, struct arena *arena)
{
    struct dataset_file files[CATALOG_PAGE_MAX];
    size_t count = 0;
    assert_int_equal(catalog_files(site->catalog, dataset->number, TEXT_NONE, CATALOG_PAGE_MAX,
                                   arena, files, &count, NULL),
                     OK);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(files[i].path, path) == 0) {
            return files[i];
        }
    }
    fail_msg("no file %s", path);
    return (struct dataset_file){0};
}

// Has the error this status, the part in its text, and a way out?
static inline void assert_says(const struct error *error, enum status status, const char *part)
{
    assert_int_equal(error->status, status);
    if (!strstr(error->detail, part)) {
        fail_msg("\"%s\" does not say \"%s\"", error->detail, part);
    }
    assert_true(error->fix[0] != '\0');
}

#endif
