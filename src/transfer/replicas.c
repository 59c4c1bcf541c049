// The files of replicas that are not registered any more: those that Lode itself has copied go, others never.
#include "transfer/state.h"

#include "base/memory.h"
#include "os/file.h"

#include <dirent.h>
#include <stdio.h>

static const char REPLICAS[] = "/replicas/";
static const char DATA[] = "/data";
static const char REMOVED[] = "removed-"; // What is about to go; also after a crash.

enum { DIGITS = 2 * DIGEST_SIZE };

// Is the path DIRECTORY/replicas/<64 digits>/data? *digest says which.
static bool is_replica(const struct transfers *transfers, struct text path, struct digest *digest)
{
    struct text rest = path;
    struct text directory = text_of(transfers->directory);
    char name[DIGEST_TEXT_SIZE];
    if (!text_starts_with(rest, directory)) {
        return false;
    }
    rest = text_slice(rest, directory.length, rest.length);
    if (!text_starts_with(rest, text_of(REPLICAS)) ||
        rest.length != strlen(REPLICAS) + DIGITS + strlen(DATA) ||
        !text_ends_with(rest, text_of(DATA))) {
        return false;
    }
    (void)snprintf(name, sizeof name, "sha256:%.*s", DIGITS, rest.bytes + strlen(REPLICAS));
    return digest_from_text(text_of(name), digest, NULL) == OK;
}

// With the mutex held.
static bool is_coming(const struct transfers *transfers, const struct digest *digest)
{
    for (const struct transfer *each = transfers->active; each; each = each->next) {
        if (each->has_digest && digest_equal(&each->digest, digest)) {
            return true;
        }
    }
    return false;
}

enum status transfers_forget(struct transfers *transfers, struct text path, struct error *error)
{
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    if (!is_replica(transfers, path, &digest)) {
        return OK;
    }
    const char *digits = digest_to_text(&digest, text) + strlen("sha256:");
    AUTO_FREE char *folder = memory_format("%s%s%s", transfers->directory, REPLICAS, digits);
    AUTO_FREE char *removed =
        memory_format("%s%s%s%s", transfers->directory, REPLICAS, REMOVED, digits);
    if (transfers->ops->has_files(transfers->context, path)) {
        return OK;
    }
    TRY(file_remove_tree(removed, error)); // What a crash has left.
    // One call, under the lock, as no transfer of the same content may begin to use the folder meanwhile.
    (void)pthread_mutex_lock(&transfers->mutex);
    bool is_moved = !is_coming(transfers, &digest) && rename(folder, removed) == 0;
    (void)pthread_mutex_unlock(&transfers->mutex);
    if (is_moved && transfers->ops->has_files(transfers->context, path)) {
        is_moved = rename(removed, folder) != 0; // It was registered at this very moment.
    }
    return is_moved ? file_remove_tree(removed, error) : OK;
}

void replicas_remove_left(const struct transfers *transfers)
{
    AUTO_FREE char *replicas = memory_format("%s%s", transfers->directory, REPLICAS);
    DIR *folder = opendir(replicas);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        if (text_starts_with(text_of(entry->d_name), text_of(REMOVED))) {
            AUTO_FREE char *path = memory_format("%s%s", replicas, entry->d_name);
            (void)file_remove_tree(path, NULL);
        }
    }
    if (folder) {
        (void)closedir(folder);
    }
}
