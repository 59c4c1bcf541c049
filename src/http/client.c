#include "http/client.h"

#include "base/memory.h"
#include "crypto/key.h"
#include "http/client_call.h"
#include "http/curl_library.h"
#include "http/tls.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum {
    CONNECT_TIMEOUT_US = 10000000,
    WAIT_US = 60000000,
    GIVE_UP_LOOK_US = 200000,
    CONNECTIONS_KEPT = 8,
    WATCHED_MAX = 256, // Descriptors of the caller in one wait.
};

struct http_client {
    const struct curl_library *curl;
    CURLM *multi;
    CURLSH *sessions; // Of TLS, to be resumed by any call.
    CURL *spare;      // Kept from an ended call, for the next one.
    char *base_url;
    char *token;
    char *pin;
    SSL_CTX *key; // NULL: none.
    struct call_settings settings;
    struct http_call *calls;
    size_t call_count;
    size_t calls_max; // 0: no bound.
    bool has_refused; // One of the calls could not be sent, and waits to be told so.
};

// Writing to a connection that the server has closed raises SIGPIPE, which is kept from the calling thread while libcurl is
// at work, without changing what the program does with that signal.
struct pipe_guard {
    sigset_t before;
    bool was_pending;
};

static void pipe_guard_begin(struct pipe_guard *guard)
{
    sigset_t pipe_only;
    sigset_t pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&pending);
    guard->was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &guard->before);
}

static void pipe_guard_end(const struct pipe_guard *guard)
{
    const struct timespec now = {0};
    sigset_t pipe_only;
    sigset_t pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&pending);
    if (!guard->was_pending && sigismember(&pending, SIGPIPE) == 1) {
        (void)sigtimedwait(&pipe_only, NULL, &now);
    }
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

enum status http_client_new(const struct http_client_options *options, struct http_client **out,
                            struct error *error)
{
    const struct curl_library *curl = NULL;
    TRY(curl_library_get(&curl, error));
    char pin[PIN_SIZE];
    if (options->pin) {
        TRY(fingerprint_to_pin(options->pin, pin, error)); // Said here rather than by each call.
    }
    SSL_CTX *key = NULL;
    if (options->key_path) {
        TRY(tls_client_key_read(options->key_path, options->certificate_path, &key, error));
    }
    struct http_client *client = NEW(struct http_client);
    client->curl = curl;
    client->multi = curl->multi_init();
    assert(client->multi);
    client->sessions = curl->share_init();
    assert(client->sessions);
    (void)curl->share_setopt(client->sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    long kept = options->connections_kept > 0 ? (long)options->connections_kept : CONNECTIONS_KEPT;
    (void)curl->multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, kept);
    client->calls_max = options->calls_max;
    client->base_url = memory_copy_string(options->base_url);
    client->token = memory_copy_string(options->token);
    client->key = key;
    client->pin = memory_copy_string(options->pin);
    client->settings = (struct call_settings){
        .curl = curl,
        .sessions = client->sessions,
        .peer = {client->base_url, client->pin, client->token},
        .key = key,
        .connect_timeout_us =
            options->connect_timeout_us > 0 ? options->connect_timeout_us : CONNECT_TIMEOUT_US,
        .watches = options->watches,
    };
    *out = client;
    return OK;
}

// Takes the call off the client; its connection and handle are kept for the next one.
static void detach(struct http_client *client, struct http_call *call)
{
    if (call->previous) {
        call->previous->next = call->next;
    } else {
        client->calls = call->next;
    }
    if (call->next) {
        call->next->previous = call->previous;
    }
    client->call_count--;
    (void)client->curl->multi_remove_handle(client->multi, call->easy);
    if (client->spare) {
        client->curl->easy_cleanup(call->easy);
    } else {
        client->curl->easy_reset(call->easy);
        client->spare = call->easy;
    }
}

static void end_call(struct http_client *client, struct http_call *call)
{
    detach(client, call);
    call_free(client->curl, call);
}

void http_client_free(struct http_client *client)
{
    if (!client) {
        return;
    }
    struct pipe_guard guard;
    pipe_guard_begin(&guard);
    while (client->calls) {
        end_call(client, client->calls);
    }
    if (client->spare) {
        client->curl->easy_cleanup(client->spare);
    }
    (void)client->curl->multi_cleanup(client->multi);
    (void)client->curl->share_cleanup(client->sessions);
    pipe_guard_end(&guard);
    free(client->pin);
    free(client->base_url);
    free(client->token);
    SSL_CTX_free(client->key);
    free(client);
}

static struct http_call *start(struct http_client *client, const struct http_ask *ask,
                               void (*done)(void *context, const struct http_answer *answer),
                               void *done_context)
{
    CURL *easy = client->spare ? TAKE(client->spare) : client->curl->easy_init();
    assert(easy);
    struct http_call *call = call_new(&client->settings, easy, ask);
    call->done = done;
    call->done_context = done_context;
    call->client = client;
    call->next = client->calls;
    if (client->calls) {
        client->calls->previous = call;
    }
    client->calls = call;
    client->call_count++;
    if (call->refusal.status != OK) {
        client->has_refused = true;
        return call;
    }
    CURLMcode added = client->curl->multi_add_handle(client->multi, easy);
    assert(added == CURLM_OK);
    // The request goes out now rather than in the next wait, so that the server can work meanwhile.
    struct pipe_guard guard;
    pipe_guard_begin(&guard);
    int running = 0;
    (void)client->curl->multi_perform(client->multi, &running);
    pipe_guard_end(&guard);
    return call;
}

struct http_call *http_client_start(struct http_client *client, const struct http_ask *ask,
                                    void (*done)(void *context, const struct http_answer *answer))
{
    if (client->calls_max > 0 && client->call_count >= client->calls_max) {
        return NULL;
    }
    return start(client, ask, done, ask->context);
}

void http_client_cancel(struct http_client *client, struct http_call *call)
{
    struct pipe_guard guard;
    pipe_guard_begin(&guard);
    end_call(client, call);
    pipe_guard_end(&guard);
}

// Ends the call and tells its owner, who may start and cancel other calls.
static void finish_call(struct http_client *client, struct http_call *call, CURLcode result)
{
    struct http_answer answer;
    call_judge(call, result, client->curl, &answer);
    void (*done)(void *, const struct http_answer *) = call->done;
    void *context = call->done_context;
    const struct curl_library *curl = client->curl;
    detach(client, call);
    done(context, &answer);
    call_free(curl, call);
}

static struct http_call *find_refused(const struct http_client *client)
{
    struct http_call *call = client->calls;
    while (call && call->refusal.status == OK) {
        call = call->next;
    }
    return call;
}

// Finishes the calls that have ended; how many.
static int finish_calls(struct http_client *client)
{
    int count = 0;
    struct http_call *refused;
    while (client->has_refused && (refused = find_refused(client))) {
        finish_call(client, refused, CURLE_OK);
        count++;
    }
    client->has_refused = false;
    int left = 0;
    CURLMsg *message;
    while ((message = client->curl->multi_info_read(client->multi, &left))) {
        struct http_call *call = NULL;
        CURLcode result = message->data.result;
        (void)client->curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        assert(call);
        finish_call(client, call, result);
        count++;
    }
    return count;
}

static int move_on(struct http_client *client)
{
    struct pipe_guard guard;
    pipe_guard_begin(&guard);
    int running = 0;
    (void)client->curl->multi_perform(client->multi, &running);
    pipe_guard_end(&guard);
    return finish_calls(client);
}

int http_client_wait(struct http_client *client, struct pollfd *fds, size_t count,
                     int64_t timeout_us)
{
    assert(count <= WATCHED_MAX);
    struct curl_waitfd watched[WATCHED_MAX];
    for (size_t i = 0; i < count; i++) {
        // libcurl's flags have the values of poll's on Linux, and it ignores the others.
        watched[i] = (struct curl_waitfd){.fd = fds[i].fd, .events = fds[i].events};
    }
    int64_t wait_ms = timeout_us > 0 ? (timeout_us + 999) / 1000 : 0;
    wait_ms = move_on(client) > 0 ? 0 : wait_ms < INT_MAX ? wait_ms : INT_MAX;
    int ready = 0;
    (void)client->curl->multi_poll(client->multi, watched, (unsigned)count, (int)wait_ms, &ready);
    (void)move_on(client);
    // libcurl does not tell of a descriptor that was hung up: poll does.
    ready = count > 0 ? poll(fds, (nfds_t)count, 0) : 0;
    return ready > 0 ? ready : 0;
}

void http_client_wake(struct http_client *client)
{
    (void)client->curl->multi_wakeup(client->multi);
}

// Where http_client_ask waits for its answer.
struct outcome {
    struct buffer *keep;
    struct http_answer *answer;
    bool is_done;
};

static size_t keep_text(struct buffer *keep, struct text text)
{
    size_t at = keep->length;
    buffer_append_text(keep, text);
    return at;
}

static void keep_answer(void *context, const struct http_answer *answer)
{
    struct outcome *outcome = context;
    *outcome->answer = *answer;
    size_t body = keep_text(outcome->keep, answer->body);
    size_t content_type = keep_text(outcome->keep, answer->content_type);
    size_t location = keep_text(outcome->keep, answer->location);
    // Only now: the buffer may have moved while it grew.
    const char *bytes = outcome->keep->bytes ? outcome->keep->bytes : "";
    outcome->answer->body.bytes = bytes + body;
    outcome->answer->content_type.bytes = bytes + content_type;
    outcome->answer->location.bytes = bytes + location;
    outcome->is_done = true;
}

enum status http_client_ask(struct http_client *client, const struct http_ask *ask,
                            struct buffer *keep, struct http_answer *answer, struct error *error)
{
    struct outcome outcome = {.keep = keep, .answer = answer};
    struct http_call *call = start(client, ask, keep_answer, &outcome);
    while (!outcome.is_done) {
        if (ask->is_given_up && ask->is_given_up(ask->context)) {
            http_client_cancel(client, call);
            *answer = (struct http_answer){.status = CONFLICT};
            return error_set(error, CONFLICT, "the answer is not wanted any more");
        }
        (void)http_client_wait(client, NULL, 0, ask->is_given_up ? GIVE_UP_LOOK_US : WAIT_US);
    }
    if (answer->status != OK && error) {
        *error = answer->error;
    }
    return answer->status;
}

enum status http_client_json(struct http_client *client, const char *method, const char *path,
                             struct text body, struct buffer *text, struct error *error)
{
    const struct http_ask ask = {.method = method, .path = path, .body = body};
    struct http_answer answer;
    AUTO_BUFFER struct buffer keep = {0};
    TRY(http_client_ask(client, &ask, &keep, &answer, error));
    if (text) {
        buffer_append_text(text, answer.body);
    }
    return OK;
}

// The certificate that the server showed first, from libcurl's list of "name:value" lines.
static enum status first_certificate(const struct curl_library *curl, CURL *easy, char out[72],
                                     struct error *error)
{
    struct curl_certinfo *chain = NULL;
    if (curl->easy_getinfo(easy, CURLINFO_CERTINFO, &chain) == CURLE_OK && chain &&
        chain->num_of_certs > 0) {
        for (struct curl_slist *line = chain->certinfo[0]; line; line = line->next) {
            struct text text = text_of(line->data);
            struct fingerprint fingerprint;
            if (text_starts_with(text, TEXT("Cert:"))) {
                TRY(key_fingerprint(text_slice(text, 5, text.length), &fingerprint, error));
                memcpy(out, fingerprint.text, sizeof fingerprint.text);
                return OK;
            }
        }
    }
    return error_set(error, UNAVAILABLE, "the server showed no certificate");
}

enum status http_client_fingerprint(const char *base_url, char out[72], struct error *error)
{
    const struct http_client_options options = {.base_url = base_url};
    struct http_client *client = NULL;
    TRY(http_client_new(&options, &client, error));
    const struct curl_library *curl = client->curl;
    CURL *easy = curl->easy_init();
    assert(easy);
    char detail[CURL_ERROR_SIZE] = "";
    struct pipe_guard guard;
    pipe_guard_begin(&guard);
    (void)curl->easy_setopt(easy, CURLOPT_URL, client->base_url);
    (void)curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    (void)curl->easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
    (void)curl->easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl->easy_setopt(easy, CURLOPT_CERTINFO, 1L);
    (void)curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    (void)curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    (void)curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(CONNECT_TIMEOUT_US / 1000));
    CURLcode result = curl->easy_perform(easy);
    enum status status = result == CURLE_OK
                             ? first_certificate(curl, easy, out, error)
                             : error_set(error, UNAVAILABLE, "cannot reach %.200s: %s", base_url,
                                         detail[0] ? detail : curl->easy_strerror(result));
    curl->easy_cleanup(easy);
    pipe_guard_end(&guard);
    http_client_free(client);
    return status;
}
