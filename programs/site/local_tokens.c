#include "site/local_tokens.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

struct creation {
    struct tokens *tokens;
    struct token_request request;
    struct token token;
    struct token_secret secret;
};

static enum status create(struct sql *sql, void *context, struct error *error)
{
    struct creation *creation = context;
    return tokens_create(creation->tokens, sql, &creation->request, clock_real_us(),
                         &creation->token, &creation->secret, error);
}

static bool is_valid(struct tokens *tokens, const char *path, enum role role)
{
    AUTO_BUFFER struct buffer text = {0};
    struct token token;
    return file_read(path, TOKEN_TEXT_SIZE + 1, &text, NULL) == OK &&
           tokens_find(tokens, text_trim(buffer_text(&text)), clock_real_us(), &token, NULL) ==
               OK &&
           token.role == role;
}

static enum status ensure(struct store *store, struct creation *creation, const char *path,
                          struct error *error)
{
    if (is_valid(creation->tokens, path, creation->request.role)) {
        return OK;
    }
    TRY(store_write_wait(store, create, creation, error));
    AUTO_BUFFER struct buffer line = {0};
    buffer_printf(&line, "%s\n", creation->secret.text);
    return file_write_atomic(path, buffer_text(&line), 0600, error);
}

enum status local_tokens_ensure(struct store *store, struct tokens *tokens,
                                const struct site_settings *settings, struct error *error)
{
    AUTO_FREE char *admin_path = memory_format("%s/admin.token", settings->directory);
    AUTO_FREE char *worker_path = memory_format("%s/worker.token", settings->directory);
    struct creation admin = {
        .tokens = tokens,
        .request = {.name = text_of(settings->user),
                    .label = TEXT("owner of the site, on its machine"),
                    .role = ROLE_ADMIN},
    };
    struct creation worker = {
        .tokens = tokens,
        .request = {.name = TEXT("local-worker"),
                    .label = TEXT("worker of the site, on its machine"),
                    .role = ROLE_WORKER},
    };
    TRY(ensure(store, &admin, admin_path, error));
    return ensure(store, &worker, worker_path, error);
}
