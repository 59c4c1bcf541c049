// Calls to other sites: several at once for one question, over clients that are kept with their warm connections.
#include "broker/state.h"

#include "base/memory.h"
#include "os/clock.h"

enum { CLIENTS_KEPT = 4, LOOK_US = 50000, USER_MAX = 40 };

struct callers {
    char *key;
    char *certificate;
    pthread_mutex_t mutex; // Guards what follows.
    struct http_client *idle[CLIENTS_KEPT];
    size_t idle_count;
};

struct callers *callers_new(const char *directory)
{
    struct callers *callers = NEW(struct callers);
    callers->key = memory_format("%s/key.pem", directory);
    callers->certificate = memory_format("%s/certificate.pem", directory);
    (void)pthread_mutex_init(&callers->mutex, NULL);
    return callers;
}

void callers_free(struct callers *callers)
{
    if (!callers) {
        return;
    }
    for (size_t i = 0; i < callers->idle_count; i++) {
        http_client_free(callers->idle[i]);
    }
    (void)pthread_mutex_destroy(&callers->mutex);
    free(callers->key);
    free(callers->certificate);
    free(callers);
}

static enum status take_client(struct callers *callers, struct http_client **out,
                               struct error *error)
{
    *out = NULL;
    (void)pthread_mutex_lock(&callers->mutex);
    if (callers->idle_count > 0) {
        *out = callers->idle[--callers->idle_count];
    }
    (void)pthread_mutex_unlock(&callers->mutex);
    if (*out) {
        return OK;
    }
    const struct http_client_options options = {.key_path = callers->key,
                                                .certificate_path = callers->certificate};
    return http_client_new(&options, out, error);
}

static void give_client(struct callers *callers, struct http_client *client)
{
    (void)pthread_mutex_lock(&callers->mutex);
    if (callers->idle_count < CLIENTS_KEPT) {
        callers->idle[callers->idle_count++] = TAKE(client);
    }
    (void)pthread_mutex_unlock(&callers->mutex);
    http_client_free(client);
}

struct asking {
    struct caller_question *question;
    struct http_call *call;
    int64_t started_us;
    bool is_ended;
};

static void on_done(void *context, const struct http_answer *answer)
{
    struct asking *asking = context;
    struct caller_question *question = asking->question;
    asking->is_ended = true;
    question->status = answer->status;
    question->error = answer->error;
    question->duration_us = answer->code != 0 ? clock_steady_us() - asking->started_us : 0;
    if (answer->status == OK) {
        buffer_append_text(&question->answer, answer->body);
    }
}

// Lode-User takes letters, digits and "._-" only, and at most so many; what a principal is called here may have others.
static const char *user_for_others(const char *name, char out[USER_MAX + 1])
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = 0;
    for (; name && name[length] && length < USER_MAX; length++) {
        out[length] = strchr(PLAIN, name[length]) ? name[length] : '-';
    }
    out[length] = '\0';
    return length > 0 ? out : NULL;
}

static void start(struct http_client *client, struct asking *asking, int64_t wait_us)
{
    struct caller_question *question = asking->question;
    char user[USER_MAX + 1];
    const struct http_peer peer = {.base_url = question->site->url,
                                   .pin = question->site->site.text};
    const struct http_ask ask = {.method = question->method,
                                 .path = question->path,
                                 .peer = &peer,
                                 .user = user_for_others(question->user, user),
                                 .body = question->body,
                                 .context = asking,
                                 .timeout_us = wait_us,
                                 .answer_size_max = BROKER_ANSWER_SIZE_MAX};
    if (question->site->url[0] == '\0') {
        asking->is_ended = true;
        question->status =
            error_set(&question->error, UNAVAILABLE,
                      "site %s says no address where it can be reached", question->site->name);
        return;
    }
    asking->started_us = clock_steady_us();
    asking->call = http_client_start(client, &ask, on_done);
}

static bool are_ended(const struct asking *asking, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!asking[i].is_ended) {
            return false;
        }
    }
    return true;
}

enum status callers_ask(struct callers *callers, struct caller_question *questions, size_t count,
                        int64_t wait_us, struct error *error)
{
    struct http_client *client = NULL;
    TRY(take_client(callers, &client, error));
    AUTO_FREE struct asking *asking = memory_new(count + 1, sizeof *asking);
    int64_t deadline_us = clock_steady_us() + wait_us;
    for (size_t i = 0; i < count; i++) {
        asking[i].question = &questions[i];
        start(client, &asking[i], wait_us);
    }
    while (!are_ended(asking, count) && clock_steady_us() < deadline_us) {
        (void)http_client_wait(client, NULL, 0, LOOK_US);
    }
    for (size_t i = 0; i < count; i++) {
        if (!asking[i].is_ended) {
            http_client_cancel(client, asking[i].call);
            questions[i].status =
                error_set(&questions[i].error, TIMEOUT, "site %s has not answered in %lld s",
                          questions[i].site->name, (long long)(wait_us / 1000000));
        }
    }
    give_client(callers, client);
    return OK;
}
