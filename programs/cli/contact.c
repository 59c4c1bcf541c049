#include "cli/contact.h"

#include "base/hex.h"
#include "base/memory.h"
#include "os/address.h"
#include "os/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int64_t PAUSE_FIRST_US = 100000;
static const int64_t PAUSE_MAX_US = 2000000;
static const int64_t WAIT_STEP_US = 60000000;
static const int64_t ASIDE_TIMEOUT_US = 5000000; // So long the main request's answer is not read.

static enum status make_client(const struct contact *contact, struct http_client **out,
                               struct error *error)
{
    const struct http_client_options options = {
        .base_url = contact->site.url,
        .pin = contact->site.pin.text,
        .token = contact->site.token.text,
    };
    return http_client_new(&options, out, error);
}

enum status contact_open_site(struct site_choice *site, struct contact *out, struct error *error)
{
    *out = (struct contact){.site = *site, .interrupt_fd = -1, .pause_us = PAUSE_FIRST_US};
    *site = (struct site_choice){0};
    enum status status = make_client(out, &out->client, error);
    if (status != OK) {
        contact_close(out);
    }
    return status;
}

enum status contact_open(const struct options *options, struct contact *out, struct error *error)
{
    struct site_choice site = {0};
    *out = (struct contact){.interrupt_fd = -1};
    TRY(site_choice_make(options_text(options, "site", NULL), &site, error));
    return contact_open_site(&site, out, error);
}

void contact_close(struct contact *contact)
{
    http_client_free(TAKE(contact->client));
    http_client_free(TAKE(contact->aside));
    site_choice_done(&contact->site);
    if (contact->interrupt_fd >= 0) {
        (void)close(contact->interrupt_fd);
        contact->interrupt_fd = -1;
    }
}

void contact_catch_interrupts(struct contact *contact)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    contact->interrupt_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (contact->interrupt_fd >= 0) {
        (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    }
}

// Takes note of a Ctrl-C; false when there was none.
static bool take_interrupt(struct contact *contact)
{
    struct signalfd_siginfo signal_info;
    if (contact->interrupt_fd >= 0 &&
        read(contact->interrupt_fd, &signal_info, sizeof(signal_info)) > 0) {
        contact->is_interrupted = true;
    }
    return contact->is_interrupted;
}

void contact_sleep(struct contact *contact, int64_t timeout_us)
{
    struct pollfd fd = {.fd = contact->interrupt_fd, .events = POLLIN};
    if (poll(&fd, 1, (int)(timeout_us / 1000)) > 0) {
        (void)take_interrupt(contact);
    }
}

// One request under way: the asker's callbacks behind ours.
struct call {
    struct contact *contact;
    const struct http_ask *ask;
    struct buffer *keep;
    struct error error;
    enum status status;
    int code;
    bool may_have_arrived;
    bool is_done;
    bool has_given_data;
};

// The site speaks: what was said of its absence is over.
static void note_contact(struct contact *contact)
{
    contact->has_met = true;
    contact->pause_us = PAUSE_FIRST_US;
    if (contact->is_away) {
        contact->is_away = false;
        (void)fputs("lode: the site is back\n", stderr);
    }
}

static bool on_data(void *context, struct text bytes)
{
    struct call *call = context;
    call->has_given_data = true;
    note_contact(call->contact);
    return call->ask->on_data(call->ask->context, bytes);
}

static void on_header(void *context, struct text name, struct text value)
{
    struct call *call = context;
    call->ask->on_header(call->ask->context, name, value);
}

static void on_progress(void *context, int64_t done, int64_t total)
{
    struct call *call = context;
    call->ask->on_progress(call->ask->context, done, total);
}

static void on_done(void *context, const struct http_answer *answer)
{
    struct call *call = context;
    call->is_done = true;
    call->status = answer->status;
    call->error = answer->error;
    call->code = answer->code;
    call->may_have_arrived = answer->may_have_arrived;
    if (call->keep) {
        buffer_append_text(call->keep, answer->body);
    }
}

static enum status say_interrupted(struct error *error)
{
    return error_set(error, CONFLICT, "interrupted");
}

void contact_on_idle(struct contact *contact, int64_t first_us, int64_t (*on_idle)(void *context),
                     void *context)
{
    contact->on_idle = on_idle;
    contact->idle_context = context;
    contact->idle_at_us = clock_steady_us() + first_us;
}

// Lets the one who waits do what is due; returns how long the next wait may be.
static int64_t pass_time(struct contact *contact, const struct http_client *client)
{
    // A request aside is made by the one who is called here.
    if (!contact->on_idle || client != contact->client) {
        return WAIT_STEP_US;
    }
    int64_t left_us = contact->idle_at_us - clock_steady_us();
    if (left_us <= 0) {
        left_us = contact->on_idle(contact->idle_context);
        contact->idle_at_us = clock_steady_us() + left_us;
    }
    return left_us < WAIT_STEP_US ? left_us : WAIT_STEP_US;
}

// Sends the request once and waits for its end.
static enum status ask_once(struct http_client *client, struct call *call, struct error *error)
{
    struct contact *contact = call->contact;
    struct http_ask ask = *call->ask;
    ask.context = call;
    ask.on_data = ask.on_data ? on_data : NULL;
    ask.on_header = ask.on_header ? on_header : NULL;
    ask.on_progress = ask.on_progress ? on_progress : NULL;
    struct http_call *under_way = http_client_start(client, &ask, on_done);
    struct pollfd fd = {.fd = contact->interrupt_fd, .events = POLLIN};
    while (!call->is_done) {
        size_t count = contact->interrupt_fd >= 0 ? 1 : 0;
        int64_t wait_us = pass_time(contact, client);
        bool is_interrupted = contact->is_interrupted; // During a request aside.
        if (!is_interrupted && http_client_wait(client, &fd, count, wait_us) > 0) {
            is_interrupted = take_interrupt(contact);
        }
        if (is_interrupted && !call->is_done) {
            http_client_cancel(client, under_way);
            return say_interrupted(error);
        }
    }
    if (call->code != 0) {
        note_contact(contact);
    } else if (call->may_have_arrived) {
        // The site is there, or was a moment ago.
        contact->has_met = true;
    }
    if (call->status != OK && error) {
        *error = call->error;
    }
    return call->status;
}

bool contact_is_absence(enum status status)
{
    return status == UNAVAILABLE || status == TIMEOUT || status == BUSY;
}

// A site of this machine may be back at another address; the key must be the same.
static void look_for_local_site(struct contact *contact)
{
    struct site_choice now = {0};
    struct error ignored;
    if (!contact->site.local_directory ||
        site_choice_local(contact->site.local_directory, &now, &ignored) != OK) {
        return;
    }
    struct http_client *client = NULL;
    if (strcmp(now.url, contact->site.url) != 0 &&
        strcmp(now.pin.text, contact->site.pin.text) == 0) {
        contact->site.address = now.address;
        memcpy(contact->site.url, now.url, sizeof(now.url));
        if (make_client(contact, &client, &ignored) == OK) {
            http_client_free(contact->client);
            contact->client = client;
            http_client_free(TAKE(contact->aside));
        }
    }
    site_choice_done(&now);
}

bool contact_pause(struct contact *contact)
{
    // A short absence, such as a restart, is not worth a word.
    if (!contact->is_away && contact->pause_us > 2 * PAUSE_FIRST_US) {
        contact->is_away = true;
        (void)fputs("lode: the site is away; trying again ...\n", stderr);
    }
    if (!contact->is_interrupted) {
        contact_sleep(contact, contact->pause_us);
    }
    contact->pause_us =
        contact->pause_us * 3 / 2 < PAUSE_MAX_US ? contact->pause_us * 3 / 2 : PAUSE_MAX_US;
    return !contact->is_interrupted;
}

static enum status ask_patiently(struct contact *contact, const struct http_ask *ask,
                                 struct buffer *keep, struct error *error)
{
    for (;;) {
        struct call call = {.contact = contact, .ask = ask, .keep = keep};
        if (contact->is_interrupted) {
            return say_interrupted(error);
        }
        enum status status = ask_once(contact->client, &call, error);
        bool is_hopeless = !contact->is_patient || !contact->has_met ||
                           !contact_is_absence(status) || call.has_given_data;
        if (is_hopeless) {
            return status;
        }
        if (!contact_pause(contact)) {
            return say_interrupted(error);
        }
        look_for_local_site(contact);
    }
}

// Another key than the known one: says whose, where the known one is written down, and the way out.
static enum status explain_changed_key(const struct contact *contact, struct error *error)
{
    AUTO_FREE char *folder = NULL;
    struct fingerprint shown;
    struct error changed;
    if (site_choice_folder(&folder, NULL) == OK &&
        http_client_fingerprint(contact->site.url, shown.text, NULL) == OK &&
        known_sites_check(folder, &contact->site.address, &shown, &changed) == DENIED) {
        *error = changed;
    }
    return DENIED;
}

// What to do when there was no site at all, or another one.
static enum status explain(const struct contact *contact, enum status status, struct error *error)
{
    if (status == DENIED && !contact->has_met && error) {
        return explain_changed_key(contact, error);
    }
    if (status == UNAVAILABLE && !contact->has_met && error) {
        error_fix(error, "is the site running? It was looked for at %s%s", contact->site.url,
                  contact->site.local_directory ? "; \"lode site\" starts it" : "");
    }
    // The site's usual words speak to programs.
    if (status == INVALID && error && strncmp(error->fix, "GET /", strlen("GET /")) == 0) {
        error_fix(error, "the command's --help says which values it takes");
    }
    return status;
}

enum status contact_ask(struct contact *contact, const struct http_ask *ask, struct buffer *keep,
                        struct error *error)
{
    enum status status = ask_patiently(contact, ask, keep, error);
    return status == OK ? OK : explain(contact, status, error);
}

enum status contact_ask_aside(struct contact *contact, const struct http_ask *ask,
                              struct buffer *keep, struct error *error)
{
    if (!contact->aside) {
        TRY(make_client(contact, &contact->aside, error));
    }
    struct call call = {.contact = contact, .ask = ask, .keep = keep};
    return contact->is_interrupted ? say_interrupted(error)
                                   : ask_once(contact->aside, &call, error);
}

enum status contact_json_aside(struct contact *contact, const char *path, json_t **out,
                               struct error *error)
{
    AUTO_BUFFER struct buffer answer = {0};
    const struct http_ask ask = {.method = "GET", .path = path, .timeout_us = ASIDE_TIMEOUT_US};
    TRY(contact_ask_aside(contact, &ask, &answer, error));
    return json_parse(buffer_text(&answer), out, error);
}

enum status contact_json(struct contact *contact, const char *method, const char *path,
                         const json_t *body, json_t **out, struct error *error)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_BUFFER struct buffer answer = {0};
    if (body) {
        json_write(body, false, &text);
    }
    const struct http_ask ask = {.method = method, .path = path, .body = buffer_text(&text)};
    TRY(contact_ask(contact, &ask, &answer, error));
    if (answer.length == 0) {
        *out = json_object();
        return OK;
    }
    return json_parse(buffer_text(&answer), out, error);
}

char *contact_reach(const struct contact *contact, const json_t *status)
{
    struct site_address address;
    const char *used = contact->site.url;
    struct text said = json_text(json_array_get(json_object_get(status, "reached_at"), 0));
    bool is_said = said.length > 0 && site_address_from_url(said, &address, NULL) == OK;
    return address_is_own(text_of(used)) && is_said ? text_copy(said) : memory_copy_string(used);
}

char *contact_path(const char *things, const char *name, const char *rest)
{
    AUTO_BUFFER struct buffer path = {0};
    buffer_printf(&path, "/v1/%s/", things);
    percent_append(&path, text_of(name));
    buffer_append_string(&path, rest);
    return buffer_take_string(&path);
}

enum status contact_page(struct contact *contact, const char *path, const char *things,
                         struct buffer *cursor, json_t **page, struct error *error)
{
    AUTO_BUFFER struct buffer full = {0};
    buffer_append_string(&full, path);
    if (cursor->length > 0) {
        buffer_append_string(&full, strchr(path, '?') ? "&cursor=" : "?cursor=");
        percent_append(&full, buffer_text(cursor));
    }
    TRY(contact_json(contact, "GET", full.bytes, NULL, page, error));
    if (!json_is_array(json_object_get(*page, things))) {
        return error_set(error, CORRUPT, "the site's answer has no list of %s", things);
    }
    buffer_clear(cursor);
    buffer_append_text(cursor, json_text(json_object_get(*page, "next")));
    return OK;
}

enum status contact_list(struct contact *contact, const char *path, const char *things,
                         int64_t limit,
                         enum status (*on_item)(void *context, json_t *item, struct error *error),
                         void *context, struct error *error)
{
    AUTO_BUFFER struct buffer cursor = {0};
    int64_t seen = 0;
    do {
        AUTO_JSON json_t *page = NULL;
        TRY(contact_page(contact, path, things, &cursor, &page, error));
        size_t at = 0;
        json_t *item = NULL;
        json_array_foreach(json_object_get(page, things), at, item)
        {
            if (limit > 0 && seen == limit) {
                return OK;
            }
            TRY(on_item(context, item, error));
            seen++;
        }
    } while (cursor.length > 0);
    return OK;
}

static enum status append_item(void *array, json_t *item, struct error *error)
{
    (void)error;
    (void)json_array_append(array, item);
    return OK;
}

enum status contact_list_all(struct contact *contact, const char *path, const char *things,
                             json_t **out, struct error *error)
{
    AUTO_JSON json_t *all = json_array();
    TRY(contact_list(contact, path, things, 0, append_item, all, error));
    *out = json_pack("{s:O}", things, all);
    return OK;
}
