#include "link/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { SITE_FILE_MAX = 64 << 10, TOKEN_MAX = 4096, CONNECTIONS_KEPT = 256 };
#define SLEEP_MAX_US INT64_C(60000000)
#define HOME_PAUSE_MAX_US INT64_C(2000000)

void link_wake(struct link *link, int64_t at_us)
{
    link->wake_us = at_us < link->wake_us ? at_us : link->wake_us;
}

static enum status read_site_file(struct link *link, char **url, char **key, struct error *error)
{
    AUTO_BUFFER struct buffer content = {0};
    AUTO_JSON json_t *document = NULL;
    struct text text;
    struct text fingerprint;
    TRY(file_read(link->options->site_file, SITE_FILE_MAX, &content, error));
    TRY(json_parse(buffer_text(&content), &document, error));
    TRY(json_field_text(document, "url", JSON_REQUIRED, WIRE_URL_MAX, &text, error));
    TRY(json_field_text(document, "fingerprint", JSON_REQUIRED, WIRE_FINGERPRINT_SIZE, &fingerprint,
                        error));
    *url = text_copy(text);
    *key = text_copy(fingerprint);
    return OK;
}

enum status link_meet_home(struct link *link, struct error *error)
{
    AUTO_FREE char *url = NULL;
    AUTO_FREE char *key = NULL;
    AUTO_BUFFER struct buffer token = {0};
    TRY(read_site_file(link, &url, &key, error));
    TRY(file_read(link->options->token_file, TOKEN_MAX, &token, error));
    free(link->home_url);
    free(link->home_key);
    free(link->home_token);
    link->home_url = TAKE(url);
    link->home_key = TAKE(key);
    link->home_token = text_copy(text_trim(buffer_text(&token)));
    link->home = (struct http_peer){
        .base_url = link->home_url, .pin = link->home_key, .token = link->home_token};
    return OK;
}

void link_home_failed(struct link *link, const struct error *error)
{
    int64_t now_us = clock_steady_us();
    if (link->home_away_us == 0) {
        link->home_away_us = now_us;
        log_line(LOG_LEVEL_WARNING, "event=site-away detail=\"%s\"", error->detail);
    }
    if (link->home_retry_us <= now_us) { // Several calls may fail of one cause.
        int64_t pause_us = link->home_pause_us * 2;
        pause_us = pause_us < PAUSE_MIN_US / 2 ? PAUSE_MIN_US / 2 : pause_us;
        link->home_pause_us = pause_us < HOME_PAUSE_MAX_US ? pause_us : HOME_PAUSE_MAX_US;
        link->home_retry_us = now_us + link->home_pause_us;
        // It may have come back with another address.
        (void)link_meet_home(link, NULL);
    }
    link_wake(link, link->home_retry_us);
    if (now_us - link->home_away_us > link->options->grace_us) {
        (void)error_set(&link->fault, UNAVAILABLE, "the site was away for %" PRId64 " s: %s",
                        link->options->grace_us / 1000000, error->detail);
        link->is_ended = true;
    }
}

void link_home_answered(struct link *link)
{
    if (link->home_away_us != 0) {
        log_line(LOG_LEVEL_INFO, "event=site-back");
    }
    link->home_away_us = 0;
    link->home_pause_us = 0;
    link->home_retry_us = 0;
}

static enum status lock_directory(const char *directory, int *fd, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/lock", directory);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) < 0) {
        return error_set(error, CONFLICT, "another link serves in %s", directory);
    }
    // Who holds it, for a site that was started anew and finds this one at work (src/executor/supervised.c).
    AUTO_FREE char *process = memory_format("%lld\n", (long long)getpid());
    if (ftruncate(*fd, 0) < 0) {
        return error_set_errno(error, errno, "cannot write %s", path);
    }
    return file_write_all(*fd, text_of(process), error);
}

static enum status open_link(struct link *link, struct error *error)
{
    const struct http_client_options options = {.key_path = link->options->key_path,
                                                .certificate_path = link->options->certificate_path,
                                                .connections_kept = CONNECTIONS_KEPT};
    link->blobs = memory_format("%s/blobs", link->options->directory);
    link->intents = memory_format("%s/intents", link->options->directory);
    // Copies that a killed link left are of no use: they are made anew.
    TRY(file_remove_tree(link->blobs, error));
    TRY(file_make_folder(link->blobs, error));
    TRY(file_make_folder(link->intents, error));
    TRY(http_client_new(&options, &link->client, error));
    TRY(link_meet_home(link, error));
    return intents_open(link, error);
}

static void close_link(struct link *link)
{
    copies_free(link);
    while (link->places) {
        struct place *place = link->places;
        link->places = place->next;
        place_free(place);
    }
    http_client_free(link->client);
    if (link->blobs) {
        (void)file_remove_tree(link->blobs, NULL);
    }
    free(link->home_url);
    free(link->home_key);
    free(link->home_token);
    free(link->blobs);
    free(link->intents);
}

static int open_signals(void)
{
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Places that are listed no more, have had nothing to do for a long time, and are owed nothing.
static void remove_idle_places(struct link *link, int64_t now_us)
{
    struct place **at = &link->places;
    while (*at) {
        struct place *place = *at;
        bool is_busy = place->is_listed || place->submissions || place->leases ||
                       place->registering || place->reporting || place->copying.first ||
                       place->ready.first || place->sent.first;
        place->idle_us = is_busy ? 0 : place->idle_us ? place->idle_us : now_us;
        if (place->idle_us == 0 || now_us - place->idle_us < PLACE_IDLE_US) {
            at = &place->next;
            continue;
        }
        *at = place->next;
        place_free(place);
    }
}

static void serve(struct link *link, int signal_fd)
{
    while (!link->is_ended) {
        int64_t now_us = clock_steady_us();
        link->wake_us = now_us + SLEEP_MAX_US;
        watch_work(link, now_us);
        for (struct place *place = link->places; place; place = place->next) {
            place_work(place, now_us);
        }
        copies_work(link, now_us);
        remove_idle_places(link, now_us);
        struct pollfd fd = {.fd = signal_fd, .events = POLLIN};
        now_us = clock_steady_us();
        int64_t delay_us = link->wake_us > now_us ? link->wake_us - now_us : 0;
        // What has been submitted goes on at its places, and is found again by the next link.
        if (!link->is_ended && http_client_wait(link->client, &fd, 1, delay_us) > 0) {
            log_line(LOG_LEVEL_INFO, "event=stopping");
            link->is_ended = true;
        }
    }
}

enum status link_run(const struct link_options *options, struct error *error)
{
    struct link link = {.options = options};
    AUTO_CLOSE int lock_fd = -1;
    AUTO_CLOSE int signal_fd = -1;
    TRY(file_make_folder(options->directory, error));
    TRY(lock_directory(options->directory, &lock_fd, error));
    signal_fd = open_signals();
    if (signal_fd < 0) {
        return error_set_errno(error, errno, "cannot open a signal descriptor");
    }
    enum status status = open_link(&link, error);
    if (status == OK) {
        serve(&link, signal_fd);
        status = link.fault.status;
        if (status != OK && error) {
            *error = link.fault;
        }
    }
    close_link(&link);
    return status;
}
