#include "shelf/shelf.h"

#include "base/map.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "shelf/remover.h"
#include "shelf/unpacker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

enum {
    UNPACKERS_MAX = 2, // At work at once.
    SPACE_PART = 10,   // This part of the disk is kept free, if it is less than SPACE_MAX.
    ARCHIVE_MODE = 0400,
};
#define SPACE_MAX (INT64_C(10) << 30)
#define LOOK_US INT64_C(10000) // Between two looks at an unpacker.
#define NEW_SUFFIX ".new"      // Of the folder of what is not unpacked to the end.
#define ARCHIVE_SUFFIX ".tar"

enum step {
    STEP_SPACE, // Waits until what is being removed is gone; then it is fetched, or unpacked, again.
    STEP_FETCH,
    STEP_WAIT, // Fetched; waits to be unpacked.
    STEP_UNPACK,
    STEP_READY,
    STEP_FAILED,
};

struct waiter {
    struct waiter *next;
    shelf_done done;
    void *context;
};

struct shelf_item {
    struct shelf *shelf;
    char *key;    // "bundle-<hex>" or "oci-<hex>"
    char *folder; // Of that name, once it is there.
    char *root;
    char *archive; // The fetched one.
    char *fresh;   // Where it is unpacked.
    char *digest;  // Of the archive.
    bool is_image;
    bool is_fetched;
    enum step step;
    size_t users;
    int64_t used_us; // Wall clock.
    struct waiter *waiters;
    struct tree tree;
    struct arena arena;
    struct unpacker *unpacker;
    struct error fault;
};

struct shelf {
    const struct shelf_options *options;
    struct map *items; // By key.
    struct remover *remover;
    bool is_making_space; // Something that was ready is being removed.
    size_t unpackers;
    int64_t unpacker_last;
};

static struct shelf_item *item_new(struct shelf *shelf, struct text key)
{
    struct shelf_item *item = NEW(struct shelf_item);
    item->shelf = shelf;
    item->key = text_copy(key);
    item->folder = memory_format("%s/%s", shelf->options->folder, item->key);
    item->root = memory_format("%s/" TREE_ROOT, item->folder);
    item->archive = memory_format("%s" ARCHIVE_SUFFIX, item->folder);
    item->fresh = memory_format("%s" NEW_SUFFIX, item->folder);
    (void)map_set_text(shelf->items, key, item);
    return item;
}

// Out of the books alone; the map must not know it any more.
static void item_free(struct shelf_item *item)
{
    while (item->waiters) {
        struct waiter *waiter = item->waiters;
        item->waiters = waiter->next;
        free(waiter);
    }
    unpacker_free(item->unpacker);
    arena_done(&item->arena);
    free(item->key);
    free(item->digest);
    free(item->folder);
    free(item->root);
    free(item->archive);
    free(item->fresh);
    free(item);
}

static void forget(struct shelf_item *item)
{
    (void)map_set_text(item->shelf->items, text_of(item->key), NULL);
    item_free(item);
}

// Has it removed, beside the loop.
static void remove_tree(struct shelf *shelf, const char *path)
{
    struct error error = {0};
    if (remover_take(shelf->remover, path, &error) != OK) {
        log_line(LOG_LEVEL_WARNING, "event=software-left detail=\"%s\"", error.detail);
    }
}

// Takes up one entry of the folder: a tree that is complete, or what goes.
static void take_over(struct shelf *shelf, int folder_fd, const char *name)
{
    struct stat info;
    struct shelf_item *item = item_new(shelf, text_of(name));
    if (fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        tree_read(item->folder, &item->arena, &item->tree, NULL) == OK &&
        !text_ends_with(text_of(name), TEXT(NEW_SUFFIX)) &&
        !text_starts_with(text_of(name), TEXT(REMOVER_PREFIX))) {
        item->step = STEP_READY;
        item->used_us = info.st_mtim.tv_sec * INT64_C(1000000) + info.st_mtim.tv_nsec / 1000;
        return;
    }
    remove_tree(shelf, item->folder);
    forget(item);
}

// What an earlier worker has left.
static enum status take_over_all(struct shelf *shelf, struct error *error)
{
    DIR *list = opendir(shelf->options->folder);
    if (!list) {
        return error_set_errno(error, errno, "cannot read %s", shelf->options->folder);
    }
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            take_over(shelf, dirfd(list), entry->d_name);
        }
    }
    (void)closedir(list);
    return OK;
}

enum status shelf_new(const struct shelf_options *options, struct shelf **out, struct error *error)
{
    TRY(file_make_folder(options->folder, error));
    struct shelf *shelf = NEW(struct shelf);
    shelf->options = options;
    shelf->items = map_new();
    enum status status = remover_new(file_remove_tree, &shelf->remover, error);
    if (status == OK) {
        status = take_over_all(shelf, error);
    }
    if (status != OK) {
        shelf_free(shelf);
        return status;
    }
    *out = shelf;
    return OK;
}

void shelf_free(struct shelf *shelf)
{
    if (!shelf) {
        return;
    }
    size_t at = 0;
    for (struct shelf_item *item; (item = map_next(shelf->items, &at)) != NULL;) {
        item_free(item);
    }
    map_free(shelf->items);
    remover_free(shelf->remover);
    free(shelf);
}

// Free bytes above those that are kept free; < 0: there are fewer.
static int64_t space_of(const struct shelf *shelf)
{
    struct statvfs disk;
    if (statvfs(shelf->options->folder, &disk) < 0) {
        return 0;
    }
    int64_t all = (int64_t)(disk.f_blocks * disk.f_frsize);
    int64_t kept = all / SPACE_PART < SPACE_MAX ? all / SPACE_PART : SPACE_MAX;
    return (int64_t)(disk.f_bavail * disk.f_frsize) - kept;
}

static struct shelf_item *find_oldest_unused(const struct shelf *shelf)
{
    struct shelf_item *oldest = NULL;
    size_t at = 0;
    for (struct shelf_item *item; (item = map_next(shelf->items, &at)) != NULL;) {
        bool is_unused = item->step == STEP_READY && item->users == 0;
        if (is_unused && (!oldest || item->used_us < oldest->used_us)) {
            oldest = item;
        }
    }
    return oldest;
}

// Begins to remove what was used longest ago of what nobody uses; false: there is nothing.
static bool remove_oldest(struct shelf *shelf)
{
    struct shelf_item *item = find_oldest_unused(shelf);
    if (!item) {
        return false;
    }
    log_line(LOG_LEVEL_INFO, "event=software-removed item=%s", item->key);
    remove_tree(shelf, item->folder);
    shelf->is_making_space = true;
    forget(item);
    return true;
}

// Is there space for so many bytes, or as much as there will be? Else something is being removed for it, one thing after another.
static bool make_space(struct shelf *shelf, int64_t bytes)
{
    bool is_short = space_of(shelf) < bytes;
    return !is_short || !(shelf->is_making_space || remove_oldest(shelf));
}

static void fail(struct shelf_item *item, const struct error *error)
{
    struct shelf *shelf = item->shelf;
    remove_tree(shelf, item->fresh);
    if (error->status == QUOTA && (shelf->is_making_space || remove_oldest(shelf))) {
        item->step = STEP_SPACE; // With that space, once more.
        return;
    }
    item->fault = *error;
    item->fault.status = error->status == OK ? INTERNAL : error->status;
    item->step = STEP_FAILED;
    (void)unlink(item->archive);
}

static void on_fetched(void *context, const struct transfer_end *end)
{
    struct shelf_item *item = context;
    if (end->status != OK) {
        fail(item, end->error);
    } else {
        item->is_fetched = true;
        item->step = STEP_WAIT;
    }
}

static void start_fetching(struct shelf_item *item)
{
    item->step = STEP_FETCH;
    const struct download download = {
        .digest = item->digest,
        .path = item->archive,
        .mode = ARCHIVE_MODE,
        .ends_when_full = true,
    };
    transfers_download(item->shelf->options->transfers, &download, on_fetched, item);
}

struct shelf_item *shelf_take(struct shelf *shelf, const char *digest, bool is_image,
                              shelf_done done, void *context)
{
    const char *colon = strchr(digest, ':');
    AUTO_FREE char *key =
        memory_format("%s-%s", is_image ? "oci" : "bundle", colon ? colon + 1 : digest);
    struct shelf_item *item = map_find_text(shelf->items, text_of(key));
    if (!item) {
        (void)make_space(shelf, 0);
        item = item_new(shelf, text_of(key));
        item->digest = memory_copy_string(digest);
        item->is_image = is_image;
        start_fetching(item);
    }
    struct waiter *waiter = NEW(struct waiter);
    *waiter = (struct waiter){item->waiters, done, context};
    item->waiters = waiter;
    item->users++;
    return item;
}

void shelf_give_back(struct shelf_item *item)
{
    if (!item) {
        return;
    }
    item->users--;
    item->used_us = clock_real_us();
    if (item->users > 0) {
        return;
    }
    if (item->step == STEP_FAILED) {
        forget(item); // Who wants it next tries again.
        return;
    }
    // For the order in which it would go, after a restart too.
    (void)utimensat(AT_FDCWD, item->folder, NULL, AT_SYMLINK_NOFOLLOW);
    (void)make_space(item->shelf, 0);
}

const struct tree *shelf_tree(const struct shelf_item *item)
{
    return &item->tree;
}

const char *shelf_root(const struct shelf_item *item)
{
    return item->root;
}

static enum status start_unpacking(struct shelf_item *item, struct error *error)
{
    struct shelf *shelf = item->shelf;
    const struct shelf_options *options = shelf->options;
    struct stat archive;
    if (!make_space(shelf, stat(item->archive, &archive) == 0 ? (int64_t)archive.st_size : 0)) {
        item->step = STEP_SPACE;
        return OK;
    }
    int64_t space = space_of(shelf);
    if (space <= 0) {
        (void)error_set(error, QUOTA, "the disk below %s has no space for software",
                        options->folder);
        return QUOTA;
    }
    TRY(remover_take(shelf->remover, item->fresh, error));
    TRY(file_make_folder(item->fresh, error));
    const struct unpacker_order order = {
        .program = options->program,
        .bubblewrap = options->bubblewrap,
        .etc_folder = options->etc_folder,
        .cgroups = options->cgroups,
        .number = ++shelf->unpacker_last,
        .archive = item->archive,
        .folder = item->fresh,
        .is_image = item->is_image,
        .bytes_max = space < UNPACK_BYTES_MAX ? space : UNPACK_BYTES_MAX,
    };
    TRY(unpacker_start(&order, &item->unpacker, error));
    shelf->unpackers++;
    item->step = STEP_UNPACK;
    return OK;
}

// It is on the disk: from now on under its own name.
static enum status settle(struct shelf_item *item, struct error *error)
{
    TRY(remover_take(item->shelf->remover, item->folder, error));
    TRY(tree_read(item->fresh, &item->arena, &item->tree, error));
    if (rename(item->fresh, item->folder) < 0) {
        return error_set_errno(error, errno, "cannot rename %s", item->fresh);
    }
    (void)unlink(item->archive);
    item->step = STEP_READY;
    log_line(LOG_LEVEL_INFO, "event=software-ready item=%s", item->key);
    return OK;
}

static void look_at(struct shelf_item *item, int64_t now_us)
{
    struct error error = {0};
    if (item->step == STEP_SPACE && remover_left(item->shelf->remover) == 0) {
        if (item->is_fetched) {
            item->step = STEP_WAIT;
        } else {
            start_fetching(item);
        }
    }
    if (item->step == STEP_WAIT && item->shelf->unpackers < UNPACKERS_MAX &&
        start_unpacking(item, &error) != OK) {
        fail(item, &error);
    }
    if (item->step == STEP_UNPACK && unpacker_has_ended(item->unpacker, now_us, &error)) {
        item->shelf->unpackers--;
        unpacker_free(TAKE(item->unpacker));
        if (error.status != OK || settle(item, &error) != OK) {
            fail(item, &error);
        }
    }
}

static void tell_waiters(struct shelf_item *item)
{
    item->users++; // It lives until all have heard, whatever they do.
    while (item->waiters) {
        struct waiter *waiter = item->waiters;
        item->waiters = waiter->next;
        waiter->done(waiter->context, &item->fault);
        free(waiter);
    }
    shelf_give_back(item);
}

int64_t shelf_work(struct shelf *shelf, int64_t now_us)
{
    size_t at = 0;
    bool waits_for_space = false;
    if (shelf->is_making_space && remover_left(shelf->remover) == 0) {
        shelf->is_making_space = false;
        (void)make_space(shelf, 0); // One may not have been enough.
    }
    for (struct shelf_item *item; (item = map_next(shelf->items, &at)) != NULL;) {
        look_at(item, now_us);
        if (item->waiters && (item->step == STEP_READY || item->step == STEP_FAILED)) {
            tell_waiters(item);
            at = 0; // The map may have changed.
            continue;
        }
        waits_for_space = waits_for_space || item->step == STEP_SPACE;
    }
    waits_for_space = waits_for_space || shelf->is_making_space;
    return shelf->unpackers > 0 || waits_for_space ? LOOK_US : -1;
}
