// The site as this worker reaches it: how to connect, and how long it may be away.
#include "worker/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

#include <inttypes.h>

enum { SITE_FILE_MAX = 64 << 10, TOKEN_MAX = 4096, URL_MAX = 2000, CODE_UNAUTHORIZED = 401 };
// A token that the site refuses may be renewed in its file, for so long; then it was revoked.
#define TOKEN_GRACE_US INT64_C(8000000)
#define PAUSE_MIN_US INT64_C(100000)
#define PAUSE_MAX_US INT64_C(2000000)

static void give_up(struct worker *worker, const struct http_answer *answer, int64_t grace_us)
{
    worker->is_ended = true;
    if (answer->code == CODE_UNAUTHORIZED && worker->options->token_file) {
        (void)error_set(&worker->fault, DENIED, "the site refuses this worker's token: %s",
                        answer->error.detail);
        error_fix(&worker->fault, "make a new one with `lode token create --role worker`");
        return;
    }
    if (answer->status == DENIED) {
        // It shows another key, or wants a token: waiting longer does not help.
        worker->fault = answer->error;
        worker->fault.status = DENIED;
        return;
    }
    (void)error_set(&worker->fault, UNAVAILABLE, "the site was away for %" PRId64 " s: %s",
                    grace_us / 1000000, answer->error.detail);
}

void site_note_absence(struct worker *worker, const struct http_answer *answer)
{
    int64_t now_us = clock_steady_us();
    int64_t grace_us = worker->options->grace_us;
    if (answer->code == CODE_UNAUTHORIZED && grace_us > TOKEN_GRACE_US) {
        grace_us = TOKEN_GRACE_US;
    }
    if (worker->away_since_us == 0) {
        worker->away_since_us = now_us;
        log_line(LOG_LEVEL_WARNING, "event=site-away detail=\"%s\"", answer->error.detail);
    }
    worker->pause_us = worker->pause_us * 2 < PAUSE_MAX_US ? worker->pause_us * 2 : PAUSE_MAX_US;
    worker->pause_us = worker->pause_us < PAUSE_MIN_US ? PAUSE_MIN_US : worker->pause_us;
    worker->retry_us = now_us + worker->pause_us;
    worker->needs_reconnect = true;
    if (now_us - worker->away_since_us > grace_us) {
        give_up(worker, answer, grace_us);
    }
}

void site_note_return(struct worker *worker)
{
    if (worker->away_since_us != 0) {
        log_line(LOG_LEVEL_INFO, "event=site-back");
    }
    worker->away_since_us = 0;
    worker->pause_us = 0;
}

static enum status read_site_file(struct worker *worker, struct arena *arena, const char **url,
                                  const char **fingerprint, struct error *error)
{
    AUTO_BUFFER struct buffer content = {0};
    AUTO_JSON json_t *document = NULL;
    struct text text;
    TRY(file_read(worker->options->site_file, SITE_FILE_MAX, &content, error));
    TRY(json_parse(buffer_text(&content), &document, error));
    TRY(json_field_text(document, "url", JSON_REQUIRED, URL_MAX, &text, error));
    *url = arena_copy(arena, text);
    TRY(json_field_text(document, "fingerprint", JSON_REQUIRED, URL_MAX, &text, error));
    *fingerprint = arena_copy(arena, text);
    return OK;
}

enum status site_connect(struct worker *worker, struct error *error)
{
    struct arena arena AUTO_ARENA = {0};
    const struct worker_options *options = worker->options;
    const char *url = options->site;
    const char *fingerprint = options->fingerprint;
    AUTO_BUFFER struct buffer token = {0};
    if (options->site_file) {
        TRY(read_site_file(worker, &arena, &url, &fingerprint, error));
    }
    const char *bearer = NULL;
    if (options->token_file) {
        TRY(file_read(options->token_file, TOKEN_MAX, &token, error));
        bearer = arena_copy(&arena, text_trim(buffer_text(&token)));
    }
    const struct http_client_options client_options = {
        .base_url = url,
        .pin = fingerprint,
        .token = bearer,
        .key_path = options->key_path,
        .certificate_path = options->certificate_path,
        .watches = true, // A site that has given its waiting poll up meanwhile is not waited for.
    };
    TRY(http_client_new(&client_options, &worker->client, error));
    free(worker->site_url);
    free(worker->site_fingerprint);
    worker->site_url = memory_copy_string(url);
    worker->site_fingerprint = memory_copy_string(fingerprint);
    transfers_set_client(worker->transfers, worker->client);
    fetches_set_site(worker->fetches, worker->client, worker->id);
    return OK;
}
