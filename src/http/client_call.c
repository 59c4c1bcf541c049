#include "http/client_call.h"

#include "http/answered_problem.h"

#include "base/memory.h"
#include "crypto/key.h"
#include "http/tls.h"
#include "os/clock.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ANSWER_SIZE_MAX = 64 << 20,
    BLOCK_SIZE = 512 << 10, // Of large transfers.
    PROGRESS_US = 250000,
    HEAD_SIZE_MAX =
        256 << 10, // Of an answer's head, and of those of informational ones before it, together.
    UNACKNOWLEDGED_MS_MAX = 10000, // As long as a connection may take to come about.
    WATCH_IDLE_SECONDS = 4,        // A server that has given the connection up says so then.
    WATCH_INTERVAL_SECONDS = 1,
};

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct http_call *call = context;
    struct text line = {bytes, size * count};
    call->head_size += line.length;
    if (call->head_size > HEAD_SIZE_MAX) {
        return 0;
    }
    if (text_starts_with(line, TEXT("HTTP/"))) {
        // An answer begins; a 100 (Continue) may have come before it.
        int64_t code = 0;
        size_t space = text_find_byte(line, 0, ' ');
        (void)text_to_int64(text_slice(line, space + 1, space + 4), &code);
        call->code = (int)code;
        return line.length;
    }
    size_t colon = text_find_byte(line, 0, ':');
    if (call->code < 200 || colon == line.length) {
        return line.length;
    }
    struct text name = text_slice(line, 0, colon);
    struct text value = text_trim(text_slice(line, colon + 1, line.length));
    struct buffer *kept = text_equal_no_case(name, TEXT("content-type")) ? &call->content_type
                          : text_equal_no_case(name, TEXT("location"))   ? &call->location
                                                                         : NULL;
    if (kept) {
        buffer_clear(kept);
        buffer_append_text(kept, value);
    }
    if (call->ask.on_header) {
        call->ask.on_header(call->ask.context, name, value);
    }
    return line.length;
}

static size_t on_data(char *bytes, size_t size, size_t count, void *context)
{
    struct http_call *call = context;
    struct text data = {bytes, size * count};
    if (call->ask.on_data && call->code < 400) {
        call->is_stopped = !call->ask.on_data(call->ask.context, data);
        return call->is_stopped ? 0 : data.length;
    }
    buffer_append_text(&call->answer_body, data);
    return call->answer_body.is_overflown ? 0 : data.length;
}

static size_t on_read(char *room, size_t size, size_t count, void *context)
{
    struct http_call *call = context;
    int64_t left = call->ask.body_size - call->body_offset;
    size_t most = size * count;
    most = left < (int64_t)most ? (size_t)left : most;
    ssize_t got;
    do {
        got = pread(call->ask.body_fd, room, most, call->body_offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && most > 0)) {
        return CURL_READFUNC_ABORT; // It cannot be read, or has become shorter.
    }
    call->body_offset += got;
    return (size_t)got;
}

// libcurl sends the body again when a connection that it had kept turns out to be closed.
static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct http_call *call = context;
    if (origin != SEEK_SET || offset < 0 || offset > call->ask.body_size) {
        return CURL_SEEKFUNC_FAIL;
    }
    call->body_offset = offset;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct http_call *call = context;
    int64_t now_us = clock_steady_us();
    if (now_us - call->progress_at_us >= PROGRESS_US) {
        call->progress_at_us = now_us;
        bool is_up = call->ask.has_body_fd;
        int64_t total = is_up ? up_total : down_total;
        call->ask.on_progress(call->ask.context, is_up ? up : down, total > 0 ? total : -1);
    }
    return 0;
}

static void expect_set(CURLcode outcome)
{
    assert(outcome == CURLE_OK);
}

// libcurl's options are set by a variadic function that fails only for lack of memory or for programmers' errors.
#define SET(option, value) expect_set(curl->easy_setopt(easy, CURLOPT_##option, value))

static enum status add_field(const struct curl_library *curl, struct http_call *call,
                             const char *name, const char *value, struct error *error)
{
    if (!value) {
        return OK;
    }
    if (text_has_control(text_of(value))) {
        return error_set(error, INVALID, "the value of the field %s holds a control character",
                         name);
    }
    AUTO_FREE char *line = memory_format("%s: %s", name, value);
    struct curl_slist *longer = curl->slist_append(call->fields, line);
    assert(longer);
    call->fields = longer;
    return OK;
}

static enum status add_fields(const struct curl_library *curl, struct http_call *call,
                              const struct http_ask *ask, const char *token, struct error *error)
{
    bool has_body = ask->body.length > 0 || ask->has_body_fd;
    const char *content_type = ask->content_type ? ask->content_type : "application/json";
    AUTO_FREE char *bearer = token ? memory_format("Bearer %s", token) : NULL;
    call->fields = curl->slist_append(NULL, "Expect:"); // Never wait for a 100 (Continue).
    assert(call->fields);
    TRY(add_field(curl, call, "Authorization", bearer, error));
    TRY(add_field(curl, call, "Content-Type", has_body ? content_type : NULL, error));
    TRY(add_field(curl, call, "Idempotency-Key", ask->idempotency_key, error));
    TRY(add_field(curl, call, "Lode-Origin-Key", ask->origin_key, error));
    TRY(add_field(curl, call, "Range", ask->range, error));
    TRY(add_field(curl, call, "Lode-User", ask->user, error));
    return add_field(curl, call, "Last-Event-ID", ask->last_event_id, error);
}

static CURLcode use_key(CURL *easy, void *context, void *key)
{
    (void)easy;
    return tls_client_key_use(key, context) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

// A way that takes nothing for so long is cut. The connection ends then, rather than with the call's own time, which may be long because the answer is; and a new one
// is tried, since the system would send on the old one ever more rarely, and find out late that the way is open again.
static int limit_silence(void *context, curl_socket_t fd, curlsocktype purpose)
{
    const unsigned limit_ms = UNACKNOWLEDGED_MS_MAX;
    (void)context;
    (void)purpose;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
    return CURL_SOCKOPT_OK;
}

static void set_connection(const struct call_settings *settings, const struct http_call *call,
                           const char *pin)
{
    const struct curl_library *curl = settings->curl;
    CURL *easy = call->easy;
    int64_t connect_us = call->ask.connect_timeout_us > 0 ? call->ask.connect_timeout_us
                                                          : settings->connect_timeout_us;
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    // A pin says nothing to a server that shows no key, and the token would go to whoever answers.
    SET(PROTOCOLS_STR, pin ? "https" : "http,https");
    SET(PROXY, "");
    SET(NOSIGNAL, 1L);
    SET(TCP_NODELAY, 1L);
    SET(TCP_KEEPALIVE, 1L);
    SET(SOCKOPTFUNCTION, limit_silence);
    if (settings->watches) {
        SET(TCP_KEEPIDLE, (long)WATCH_IDLE_SECONDS);
        SET(TCP_KEEPINTVL, (long)WATCH_INTERVAL_SECONDS);
    }
    SET(USERAGENT, "lode/" LODE_VERSION);
    SET(CONNECTTIMEOUT_MS, (long)((connect_us + 999) / 1000));
    SET(SHARE, settings->sessions);
    if (pin) {
        // The key itself is what is trusted, whatever its certificate says; so no authorities' certificates are read.
        SET(PINNEDPUBLICKEY, pin);
        SET(SSL_VERIFYPEER, 0L);
        SET(SSL_VERIFYHOST, 0L);
        SET(CAINFO, NULL);
        SET(CAPATH, NULL);
    }
    if (settings->key) {
        SET(SSL_CTX_FUNCTION, use_key);
        SET(SSL_CTX_DATA, settings->key);
    }
}

static void set_body(const struct curl_library *curl, struct http_call *call)
{
    CURL *easy = call->easy;
    const struct http_ask *ask = &call->ask;
    bool is_post = strcmp(ask->method, "POST") == 0;
    if (ask->has_body_fd) {
        SET(UPLOAD, 1L);
        SET(INFILESIZE_LARGE, (curl_off_t)ask->body_size);
        SET(READFUNCTION, on_read);
        SET(READDATA, call);
        SET(SEEKFUNCTION, on_seek);
        SET(SEEKDATA, call);
        SET(UPLOAD_BUFFERSIZE, (long)BLOCK_SIZE);
    } else if (ask->body.length > 0 || is_post) {
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.length);
        SET(POSTFIELDS, call->body ? call->body : "");
    }
    if (strcmp(ask->method, "HEAD") == 0) {
        SET(NOBODY, 1L);
    } else if (strcmp(ask->method, "GET") != 0 || ask->body.length > 0) {
        SET(CUSTOMREQUEST, ask->method);
    }
}

static void set_answer(const struct curl_library *curl, struct http_call *call)
{
    CURL *easy = call->easy;
    SET(ERRORBUFFER, call->detail);
    SET(PRIVATE, call);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, call);
    SET(WRITEFUNCTION, on_data);
    SET(WRITEDATA, call);
    if (call->ask.on_data) {
        SET(BUFFERSIZE, (long)BLOCK_SIZE);
    }
    if (call->ask.on_progress) {
        SET(NOPROGRESS, 0L);
        SET(XFERINFOFUNCTION, on_progress);
        SET(XFERINFODATA, call);
    }
    if (call->ask.timeout_us > 0) {
        SET(TIMEOUT_MS, (long)((call->ask.timeout_us + 999) / 1000));
    }
}

// Sets the request up for this peer; or says why it cannot be sent.
static enum status prepare(const struct call_settings *settings, struct http_call *call,
                           const struct http_ask *ask, const struct http_peer *peer,
                           struct error *error)
{
    const struct curl_library *curl = settings->curl;
    CURL *easy = call->easy;
    char pin[PIN_SIZE];
    if (ask->path[0] != '/' || text_has_control(text_of(ask->path)) || strchr(ask->path, ' ')) {
        return error_set(error, INVALID, "\"%.200s\" is not an encoded path", ask->path);
    }
    if (!peer->base_url || text_has_control(text_of(peer->base_url))) {
        return error_set(error, INVALID, "there is no address of a server to ask");
    }
    if (peer->pin) {
        TRY(fingerprint_to_pin(peer->pin, pin, error));
    }
    TRY(add_fields(curl, call, ask, peer->token, error));
    struct text base = text_of(peer->base_url);
    size_t length = base.length - (text_ends_with(base, TEXT("/")) ? 1 : 0);
    AUTO_FREE char *url = memory_format("%.*s%s", (int)length, base.bytes, ask->path);
    call->body = ask->body.length > 0 ? text_copy(ask->body) : NULL;
    buffer_init(&call->answer_body,
                ask->answer_size_max > 0 ? ask->answer_size_max : ANSWER_SIZE_MAX);
    set_connection(settings, call, peer->pin ? pin : NULL);
    set_answer(curl, call);
    set_body(curl, call);
    SET(URL, url);
    SET(HTTPHEADER, call->fields);
    return OK;
}

struct http_call *call_new(const struct call_settings *settings, CURL *easy,
                           const struct http_ask *ask)
{
    struct http_call *call = NEW(struct http_call);
    call->ask = *ask;
    call->easy = easy;
    call->ask.peer = NULL;
    (void)prepare(settings, call, ask, ask->peer ? ask->peer : &settings->peer, &call->refusal);
    return call;
}

void call_free(const struct curl_library *curl, struct http_call *call)
{
    curl->slist_free_all(call->fields);
    buffer_done(&call->answer_body);
    buffer_done(&call->content_type);
    buffer_done(&call->location);
    free(call->body);
    free(call);
}

// Did something answer that does not speak HTTP, or not as the standard has it?
static bool is_garbage(CURLcode result, bool was_sent)
{
    switch ((int)result) {
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return true;
    case CURLE_UNSUPPORTED_PROTOCOL: // Without a request it is that of the address.
        return was_sent;
    default:
        return false;
    }
}

static enum status judge_failure(const struct http_call *call, CURLcode result,
                                 const struct curl_library *curl, struct error *error)
{
    const char *words = call->detail[0] ? call->detail : curl->easy_strerror(result);
    if (call->is_stopped) {
        return error_set(error, CONFLICT, "the transfer was stopped");
    }
    if (call->answer_body.is_overflown) {
        return error_set(error, QUOTA, "the answer is larger than %zu bytes",
                         call->answer_body.max);
    }
    if (call->head_size > HEAD_SIZE_MAX) {
        return error_set(error, QUOTA, "the head of the answer is larger than %d bytes",
                         HEAD_SIZE_MAX);
    }
    long sent = 0;
    (void)curl->easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
    if (is_garbage(result, sent > 0)) {
        return error_set(error, CORRUPT, "what came is no answer of HTTP: %s", words);
    }
    switch ((int)result) {
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        (void)error_set(error, DENIED, "the server's key is not the one that is known for it");
        error_fix(error, "if the site was set up anew, log in again: lode login URL");
        return DENIED;
    case CURLE_PEER_FAILED_VERIFICATION:
        (void)error_set(error, DENIED, "the server's certificate cannot be verified: %s", words);
        error_fix(error, "log in to store its key: lode login URL");
        return DENIED;
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(error, TIMEOUT, "no answer in time: %s", words);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_set(error, INVALID, "the server's address is not usable: %s", words);
    case CURLE_ABORTED_BY_CALLBACK:
        return error_set(error, INTERNAL, "cannot read the file that is being sent");
    case CURLE_SSL_CERTPROBLEM:
        return error_set(error, INVALID, "cannot use the client certificate: %s", words);
    default:
        (void)error_set(error, UNAVAILABLE, "cannot reach the server: %s", words);
        error_fix(error, "see whether the site is running: lode status");
        return UNAVAILABLE;
    }
}

void call_judge(struct http_call *call, CURLcode result, const struct curl_library *curl,
                struct http_answer *answer)
{
    *answer = (struct http_answer){
        .code = call->code,
        .body = buffer_text(&call->answer_body),
        .content_type = buffer_text(&call->content_type),
        .location = buffer_text(&call->location),
    };
    if (call->refusal.status != OK) {
        answer->status = call->refusal.status;
        answer->error = call->refusal;
        return;
    }
    if (result != CURLE_OK) {
        long sent = 0;
        (void)curl->easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
        answer->code = 0;
        answer->may_have_arrived = sent > 0;
        answer->status = judge_failure(call, result, curl, &answer->error);
        return;
    }
    answer->status = status_from_http(call->code);
    if (answer->status != OK) {
        answered_problem_read(answer->body, answer->status, call->code, &answer->error);
    }
    if (call->ask.on_progress && answer->status == OK) {
        call->progress_at_us = 0;
        int64_t moved = call->body_offset;
        curl_off_t down = 0;
        if (!call->ask.has_body_fd) {
            (void)curl->easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
            moved = down;
        }
        call->ask.on_progress(call->ask.context, moved, moved);
    }
}
