#include "cli/remembered.h"

#include "base/memory.h"
#include "crypto/digest.h"
#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

enum { FILE_SIZE_MAX = RESOLVE_ANSWER_SIZE_MAX + 4096, FILE_NAME_LENGTH = 64 };

// The client's cache folder as the XDG base directory specification has it; heap string.
static enum status cache_folder(char **out, struct error *error)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (cache && cache[0] == '/') {
        *out = memory_format("%s/lode", cache);
    } else if (home && home[0] == '/') {
        *out = memory_format("%s/.cache/lode", home);
    } else {
        return error_set(error, UNAVAILABLE, "neither XDG_CACHE_HOME nor HOME is set");
    }
    return OK;
}

static enum status answers_folder(char **out, struct error *error)
{
    AUTO_FREE char *folder = NULL;
    TRY(cache_folder(&folder, error));
    *out = memory_format("%s/answers", folder);
    return OK;
}

// The file of the identifier in the folder; heap string.
static char *path_of(const char *folder, struct text name)
{
    char text[DIGEST_TEXT_SIZE];
    struct digest digest = digest_of(name.bytes, name.length);
    (void)digest_to_text(&digest, text);
    return memory_format("%s/%s", folder, strchr(text, ':') + 1);
}

struct oldest {
    size_t count;
    char name[FILE_NAME_LENGTH + 1];
    struct timespec modified;
};

static bool is_older(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

// Counts the answers that are kept and finds the one that was written first.
static void look_through(DIR *folder, struct oldest *out)
{
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder))) {
        struct stat found;
        if (strlen(entry->d_name) != FILE_NAME_LENGTH ||
            fstatat(dirfd(folder), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (out->count++ == 0 || is_older(&found.st_mtim, &out->modified)) {
            out->modified = found.st_mtim;
            memcpy(out->name, entry->d_name, FILE_NAME_LENGTH + 1);
        }
    }
}

// Two at a time while there are too many, so that a folder that grew by accident becomes smaller again.
static void make_room(const char *path)
{
    for (int i = 0; i < 2; i++) {
        struct oldest oldest = {0};
        DIR *folder = opendir(path);
        if (!folder) {
            return;
        }
        look_through(folder, &oldest);
        if (oldest.count >= ANSWERS_KEPT_MAX) {
            (void)unlinkat(dirfd(folder), oldest.name, 0);
        }
        (void)closedir(folder);
        if (oldest.count <= ANSWERS_KEPT_MAX) {
            return;
        }
    }
}

static enum status write_file(const char *path, const json_t *value, struct error *error)
{
    AUTO_BUFFER struct buffer text = {0};
    json_write(value, false, &text);
    return file_write_atomic(path, buffer_text(&text), 0600, error);
}

static enum status read_file(const char *path, json_t **out, struct error *error)
{
    AUTO_BUFFER struct buffer text = {0};
    TRY(file_read(path, FILE_SIZE_MAX, &text, error));
    return json_parse(buffer_text(&text), out, error);
}

enum status remembered_save(struct text name, const json_t *answer, int64_t now_us,
                            struct error *error)
{
    AUTO_FREE char *folder = NULL;
    TRY(answers_folder(&folder, error));
    TRY(file_make_folder(folder, error));
    AUTO_FREE char *path = path_of(folder, name);
    if (access(path, F_OK) != 0) {
        make_room(folder);
    }
    AUTO_JSON json_t *kept = json_object();
    (void)json_object_set_new(kept, "name", json_from_text(name));
    (void)json_object_set_new(kept, "answered_us", json_integer(now_us));
    (void)json_object_set(kept, "answer", (json_t *)(uintptr_t)answer);
    return write_file(path, kept, error);
}

enum status remembered_find(struct text name, json_t **answer, int64_t *answered_us,
                            struct error *error)
{
    AUTO_FREE char *folder = NULL;
    AUTO_JSON json_t *kept = NULL;
    json_t *found = NULL;
    int64_t time_us = 0;
    TRY(answers_folder(&folder, error));
    AUTO_FREE char *path = path_of(folder, name);
    TRY(read_file(path, &kept, error));
    TRY(json_field_int64(kept, "answered_us", JSON_REQUIRED, 0, INT64_MAX, &time_us, error));
    TRY(json_field_object(kept, "answer", JSON_REQUIRED, &found, error));
    *answer = json_incref(found);
    *answered_us = time_us;
    return OK;
}

enum status remembered_save_hubs(const json_t *hubs, struct error *error)
{
    AUTO_FREE char *folder = NULL;
    TRY(cache_folder(&folder, error));
    TRY(file_make_folder(folder, error));
    AUTO_FREE char *path = memory_format("%s/hubs", folder);
    AUTO_JSON json_t *before = NULL;
    if (read_file(path, &before, NULL) == OK && json_equal(before, hubs)) {
        return OK;
    }
    return write_file(path, hubs, error);
}

static bool read_hub(const json_t *hub, struct resolve_hub *out)
{
    struct text site = TEXT_NONE;
    struct text name = TEXT_NONE;
    struct text url = TEXT_NONE;
    if (json_field_text(hub, "site", JSON_REQUIRED, sizeof out->site.text - 1, &site, NULL) != OK ||
        json_field_text(hub, "name", JSON_REQUIRED, sizeof out->name - 1, &name, NULL) != OK ||
        json_field_text(hub, "url", JSON_REQUIRED, sizeof out->url - 1, &url, NULL) != OK ||
        !text_starts_with(url, TEXT("https://"))) {
        return false;
    }
    *out = (struct resolve_hub){0};
    memcpy(out->site.text, site.bytes, site.length);
    memcpy(out->name, name.bytes, name.length);
    memcpy(out->url, url.bytes, url.length);
    return true;
}

size_t remembered_hubs(struct resolve_hub *out, size_t max)
{
    AUTO_FREE char *folder = NULL;
    AUTO_JSON json_t *hubs = NULL;
    size_t count = 0;
    if (cache_folder(&folder, NULL) != OK) {
        return 0;
    }
    AUTO_FREE char *path = memory_format("%s/hubs", folder);
    if (read_file(path, &hubs, NULL) != OK) {
        return 0;
    }
    for (size_t i = 0; i < json_array_size(hubs) && count < max; i++) {
        count += read_hub(json_array_get(hubs, i), &out[count]) ? 1 : 0;
    }
    return count;
}
