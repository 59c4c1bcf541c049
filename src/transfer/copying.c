// One attempt: the sources in turn, from each the list of files and then the files, and the replica registered at the end.
#include "transfer/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

enum {
    WAIT_US = 200000,
    STALLED_US = 30000000, // A source that sends nothing for so long is left.
    MEASURED_BYTES_MIN = 1 << 20,
};

enum status copying_wait(struct copying *copying, struct error *error)
{
    (void)http_client_wait(copying->client, NULL, 0, WAIT_US);
    if (copying_is_over(copying)) {
        return error_set(error, CONFLICT, "the transfer was stopped");
    }
    if (clock_steady_us() - copying->heard_us > STALLED_US) {
        return error_set(error, TIMEOUT, "site %s has sent nothing for %d s", copying->source->name,
                         STALLED_US / 1000000);
    }
    return OK;
}

void copying_blame_source(const struct copying *copying, int code, struct error *error)
{
    struct error said = {0};
    if (!error) {
        return;
    }
    (void)error_set(&said, error->status, "site %s: %.400s", copying->source->name, error->detail);
    if (code > 0 && error->fix[0]) {
        error_fix(&said, "%.400s",
                  error->fix); // Without an answer the client's advice is about the own site.
    }
    *error = said;
}

static enum status open_client(struct copying *copying, struct error *error)
{
    const char *directory = copying->transfers->directory;
    AUTO_FREE char *key = memory_format("%s/key.pem", directory);
    AUTO_FREE char *certificate = memory_format("%s/certificate.pem", directory);
    const struct http_client_options options = {
        .base_url = copying->source->url,
        .pin = copying->source->site.text,
        .key_path = key,
        .certificate_path = certificate,
    };
    return http_client_new(&options, &copying->client, error);
}

static enum status copy_all(struct copying *copying, struct error *error)
{
    struct transfer *transfer = copying->transfer;
    int64_t files = 0;
    int64_t bytes = 0;
    TRY(manifest_ensure(copying, &files, &bytes, error));
    (void)pthread_mutex_lock(&copying->transfers->mutex);
    transfer->files_total = files;
    transfer->bytes_total = bytes;
    (void)pthread_mutex_unlock(&copying->transfers->mutex);
    return files_copy(copying, error);
}

static enum status copy_from(struct copying *copying, struct error *error)
{
    struct transfer *transfer = copying->transfer;
    int64_t began_us = clock_steady_us();
    copying->heard_us = began_us;
    (void)pthread_mutex_lock(&copying->transfers->mutex);
    transfer->round_began_us = began_us;
    transfer->round_bytes = 0;
    (void)pthread_mutex_unlock(&copying->transfers->mutex);
    transfer_note(copying->transfers, transfer, TRANSFER_COPYING, copying->source->name, NULL);
    TRY(open_client(copying, error));
    enum status status = copy_all(copying, error);
    http_client_free(TAKE(copying->client));
    int64_t came = atomic_load(&transfer->bytes_done);
    if (status == OK && came >= MEASURED_BYTES_MIN && copying->transfers->ops->measured) {
        copying->transfers->ops->measured(copying->transfers->context, &copying->source->site, came,
                                          clock_steady_us() - began_us);
    }
    return status;
}

static enum status register_it(struct copying *copying, struct error *error)
{
    struct transfers *transfers = copying->transfers;
    AUTO_FREE char *data = memory_format("%s/data", copying->folder);
    AUTO_FREE char *parts = memory_format("%s/parts", copying->folder);
    transfer_note(transfers, copying->transfer, TRANSFER_VERIFYING, copying->source->name, NULL);
    TRY(transfers->ops->register_replica(transfers->context, text_of(copying->transfer->id), data,
                                         &copying->source->digest, error));
    return file_remove_tree(parts, error);
}

// From one source. All that are tried have the same data.
static enum status try_source(struct copying *copying, struct error *error)
{
    char text[DIGEST_TEXT_SIZE];
    (void)digest_to_text(&copying->source->digest, text);
    AUTO_FREE char *folder =
        memory_format("%s/replicas/%s", copying->transfers->directory, text + sizeof "sha256:" - 1);
    (void)pthread_mutex_lock(&copying->transfers->mutex);
    copying->transfer->has_digest = true;
    copying->transfer->digest = copying->source->digest;
    (void)pthread_mutex_unlock(&copying->transfers->mutex);
    TRY(file_make_folder(folder, error));
    copying->folder = folder;
    TRY(copy_from(copying, error));
    return register_it(copying, error);
}

static enum status find_sources(struct transfers *transfers, struct transfer *transfer,
                                struct arena *arena, struct transfer_source *sources, size_t *count,
                                struct error *error)
{
    struct digest content;
    bool has_content = transfer->wanted_content[0] != '\0';
    const struct transfer_wish wish = {.id = text_of(transfer->id),
                                       .site = transfer->wanted_site,
                                       .content = has_content ? &content : NULL};
    if (has_content) {
        TRY(digest_from_text(text_of(transfer->wanted_content), &content, error));
    }
    *count = 0;
    enum status status = transfers->ops->sources(transfers->context, &wish, arena, sources,
                                                 TRANSFER_SOURCES_MAX, count, error);
    transfer->is_in_question = status == CONFLICT;
    if (status == OK && *count == 0) {
        status = error_set(error, NOT_FOUND, "%s has %.200s available%s",
                           transfer->wanted_site[0] ? "the site that was named no longer"
                                                    : "no site that can be reached",
                           transfer->id, has_content ? " with the content that was named" : "");
    }
    return status;
}

// It is here, with that content: is it what was ordered?
static enum status check_content(struct transfer *transfer, const struct digest *content,
                                 struct error *error)
{
    char text[DIGEST_TEXT_SIZE];
    (void)digest_to_text(content, text);
    if (!transfer->wanted_content[0] || strcmp(transfer->wanted_content, text) == 0) {
        return OK;
    }
    transfer->is_in_question = true;
    (void)error_set(error, CONFLICT, "%.200s is here with other content, %s", transfer->id, text);
    error_fix(error, "a site has one content of an identifier: lode data remove %.100s there first",
              transfer->id);
    return CONFLICT;
}

enum status copying_check(struct transfers *transfers, struct transfer *transfer, bool *is_here,
                          struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct transfer_source sources[TRANSFER_SOURCES_MAX];
    struct digest content;
    size_t count = 0;
    *is_here = transfers->ops->is_here(transfers->context, text_of(transfer->id), &content);
    if (!*is_here) {
        // Whoever does not answer now may do so later; what is meant nobody but the asker can say.
        return find_sources(transfers, transfer, &arena, sources, &count, error) == CONFLICT
                   ? CONFLICT
                   : OK;
    }
    return check_content(transfer, &content, error);
}

enum status copying_run(struct transfers *transfers, struct transfer *transfer, struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct transfer_source sources[TRANSFER_SOURCES_MAX];
    struct digest content;
    size_t count = 0;
    if (transfers->ops->is_here(transfers->context, text_of(transfer->id), &content)) {
        return check_content(transfer, &content, error);
    }
    TRY(find_sources(transfers, transfer, &arena, sources, &count, error));
    enum status status = OK;
    for (size_t i = 0; i < count; i++) {
        struct copying copying = {
            .transfers = transfers, .transfer = transfer, .source = &sources[i]};
        status = try_source(&copying, error);
        if (status == OK || copying_is_over(&copying)) {
            return status;
        }
    }
    return status;
}
