#include "resolve/distances.h"

#include "base/memory.h"
#include "http/client.h"
#include "os/clock.h"
#include "os/thread.h"

#include <stdio.h>

enum { ANSWER_SIZE_MAX = 65536, IDLE_US = 60000000, CALLS_EACH = 2 };

enum distance_state { DISTANCE_WAITS, DISTANCE_RUNS, DISTANCE_ENDED };

struct distance {
    struct distances *distances;
    struct distance_target target;
    enum distance_state state;
    int calls;          // That were made.
    int64_t started_us; // The call under way.
    int64_t asked_us;   // Steady clock, when it was wanted.
    int64_t rtt_us;     // -1: not known.
};

struct distances {
    char *key_path;
    char *certificate_path;
    void (*note)(void *context, const struct fingerprint *site, int64_t rtt_us);
    void *context;
    pthread_mutex_t mutex; // Guards what follows.
    pthread_cond_t ended;
    struct distance *each[DISTANCES_MAX]; // Those under way are never replaced.
    size_t count;
    size_t next; // To be replaced when it is full.
    size_t running_count;
    size_t waiting_count; // Threads that wait for what they want.
    bool is_stopping;
    bool is_starting;
    bool is_started;
    // Of who has started it, then the thread's, but for http_client_wake.
    pthread_t thread;
    struct http_client *client;
};

struct distances *distances_new(const char *directory,
                                void (*note)(void *context, const struct fingerprint *site,
                                             int64_t rtt_us),
                                void *context)
{
    struct distances *distances = NEW(struct distances);
    distances->note = note;
    distances->context = context;
    if (directory) {
        distances->key_path = memory_format("%s/key.pem", directory);
        distances->certificate_path = memory_format("%s/certificate.pem", directory);
    }
    (void)pthread_mutex_init(&distances->mutex, NULL);
    condition_init(&distances->ended);
    return distances;
}

void distances_free(struct distances *distances)
{
    if (!distances) {
        return;
    }
    (void)pthread_mutex_lock(&distances->mutex);
    distances->is_stopping = true;
    (void)pthread_mutex_unlock(&distances->mutex);
    if (distances->is_started) {
        http_client_wake(distances->client);
        (void)pthread_join(distances->thread, NULL);
    }
    http_client_free(distances->client);
    for (size_t i = 0; i < distances->count; i++) {
        free(distances->each[i]);
    }
    (void)pthread_cond_destroy(&distances->ended);
    (void)pthread_mutex_destroy(&distances->mutex);
    free(distances->key_path);
    free(distances->certificate_path);
    free(distances);
}

static struct distance *find(const struct distances *distances, const struct fingerprint *site)
{
    for (size_t i = 0; i < distances->count; i++) {
        if (strcmp(distances->each[i]->target.site.text, site->text) == 0) {
            return distances->each[i];
        }
    }
    return NULL;
}

int64_t distances_find(struct distances *distances, const struct fingerprint *site)
{
    (void)pthread_mutex_lock(&distances->mutex);
    const struct distance *found = find(distances, site);
    int64_t rtt_us = found ? found->rtt_us : -1;
    (void)pthread_mutex_unlock(&distances->mutex);
    return rtt_us;
}

static void call(struct distance *distance);

static void end(struct distance *distance, int64_t rtt_us)
{
    struct distances *distances = distance->distances;
    struct fingerprint site = distance->target.site;
    if (rtt_us >= 0) {
        distances->note(distances->context, &site, rtt_us);
    }
    (void)pthread_mutex_lock(&distances->mutex);
    distance->state = DISTANCE_ENDED;
    distance->rtt_us = rtt_us >= 0 ? rtt_us : distance->rtt_us;
    distances->running_count--;
    (void)pthread_cond_broadcast(&distances->ended);
    (void)pthread_mutex_unlock(&distances->mutex);
}

// The first call has the connection made, so that the second says how far it is.
static void on_answer(void *context, const struct http_answer *answer)
{
    struct distance *distance = context;
    int64_t duration_us = clock_steady_us() - distance->started_us;
    distance->calls++;
    if (answer->code == 0) {
        end(distance, -1);
    } else if (distance->calls < CALLS_EACH) {
        call(distance);
    } else {
        end(distance, duration_us);
    }
}

static void call(struct distance *distance)
{
    const struct http_peer peer = {.base_url = distance->target.url,
                                   .pin = distance->target.site.text};
    const struct http_ask ask = {.peer = &peer,
                                 .method = "GET",
                                 .path = "/v1/federation/site",
                                 .timeout_us = DISTANCE_TIMEOUT_US,
                                 .answer_size_max = ANSWER_SIZE_MAX,
                                 .context = distance};
    distance->started_us = clock_steady_us();
    (void)http_client_start(distance->distances->client, &ask, on_answer);
}

// The next one to be measured, which runs then; NULL: none, or enough run.
static struct distance *take_waiting(struct distances *distances)
{
    struct distance *taken = NULL;
    (void)pthread_mutex_lock(&distances->mutex);
    for (size_t i = 0; i < distances->count && !taken; i++) {
        if (distances->running_count < DISTANCES_AT_ONCE_MAX &&
            distances->each[i]->state == DISTANCE_WAITS) {
            taken = distances->each[i];
            taken->state = DISTANCE_RUNS;
            taken->calls = 0;
            distances->running_count++;
        }
    }
    (void)pthread_mutex_unlock(&distances->mutex);
    return taken;
}

static bool is_stopping(struct distances *distances)
{
    (void)pthread_mutex_lock(&distances->mutex);
    bool is = distances->is_stopping;
    (void)pthread_mutex_unlock(&distances->mutex);
    return is;
}

static void *serve(void *context)
{
    struct distances *distances = context;
    while (!is_stopping(distances)) {
        for (struct distance *each = take_waiting(distances); each;
             each = take_waiting(distances)) {
            call(each);
        }
        (void)http_client_wait(distances->client, NULL, 0, IDLE_US);
    }
    return NULL;
}

// With the mutex held: one for a site that has none; NULL when all are under way.
static struct distance *make(struct distances *distances, const struct fingerprint *site)
{
    struct distance *made = NULL;
    if (distances->count < DISTANCES_MAX) {
        made = NEW(struct distance);
        distances->each[distances->count++] = made;
    }
    for (size_t tried = 0; tried < DISTANCES_MAX && !made; tried++) {
        struct distance *oldest = distances->each[distances->next];
        distances->next = (distances->next + 1) % DISTANCES_MAX;
        made = oldest->state == DISTANCE_ENDED ? oldest : NULL;
    }
    if (made) {
        *made = (struct distance){.distances = distances,
                                  .target = {.site = *site},
                                  .state = DISTANCE_ENDED,
                                  .asked_us = INT64_MIN,
                                  .rtt_us = -1};
    }
    return made;
}

static void want(struct distances *distances, const struct distance_target *target, int64_t now_us)
{
    struct distance *distance = find(distances, &target->site);
    distance = distance ? distance : make(distances, &target->site);
    if (!distance || distance->state != DISTANCE_ENDED ||
        (distance->asked_us != INT64_MIN && now_us - distance->asked_us < DISTANCE_AGAIN_US)) {
        return;
    }
    distance->target = *target;
    distance->asked_us = now_us;
    distance->state = DISTANCE_WAITS;
}

static bool have_ended(const struct distances *distances, const struct distance_target *targets,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct distance *found = find(distances, &targets[i].site);
        if (found && found->state != DISTANCE_ENDED) {
            return false;
        }
    }
    return true;
}

// Loads a library and reads keys, so nobody is to wait for it.
static bool start(struct distances *distances)
{
    const struct http_client_options options = {.key_path = distances->key_path,
                                                .certificate_path = distances->certificate_path,
                                                .connect_timeout_us = DISTANCE_TIMEOUT_US};
    if (!distances->client && http_client_new(&options, &distances->client, NULL) != OK) {
        return false;
    }
    return thread_start(&distances->thread, "distances", serve, distances, NULL) == OK;
}

// With the mutex held, but for while it starts.
static void make_sure_it_runs(struct distances *distances)
{
    if (distances->is_started || distances->is_starting || distances->is_stopping) {
        return;
    }
    distances->is_starting = true;
    (void)pthread_mutex_unlock(&distances->mutex);
    bool is_started = start(distances);
    (void)pthread_mutex_lock(&distances->mutex);
    distances->is_started = is_started;
    distances->is_starting = false;
}

// With the mutex held. Each who waits holds a thread that others need, so only some do.
static void wait_for(struct distances *distances, const struct distance_target *targets,
                     size_t count, int64_t until_us)
{
    if (distances->waiting_count == DISTANCES_WAITING_MAX) {
        return;
    }
    distances->waiting_count++;
    while (!have_ended(distances, targets, count) &&
           condition_wait_until(&distances->ended, &distances->mutex, until_us)) {
    }
    distances->waiting_count--;
}

void distances_want(struct distances *distances, const struct distance_target *targets,
                    size_t count, int64_t until_us)
{
    int64_t now_us = clock_steady_us();
    (void)pthread_mutex_lock(&distances->mutex);
    for (size_t i = 0; i < count; i++) {
        want(distances, &targets[i], now_us);
    }
    make_sure_it_runs(distances);
    if (distances->is_started) {
        http_client_wake(distances->client);
    }
    if (distances->is_started && until_us > 0) {
        wait_for(distances, targets, count, until_us);
    }
    (void)pthread_mutex_unlock(&distances->mutex);
}
