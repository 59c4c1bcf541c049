// A small table that forgets: of two sites that want the same place in it, the later one has it.
#include "api/guests.h"

#include "base/memory.h"

#include <pthread.h>

struct answer {
    struct fingerprint site;
    int64_t until_us; // Steady clock; 0: an empty place.
    struct error error;
};

struct guests {
    guest_check_fn *check;
    void *context;
    pthread_mutex_t mutex; // Guards the answers.
    struct answer *answers[GUESTS_KEPT_MAX];
};

struct guests *guests_new(guest_check_fn *check, void *context)
{
    struct guests *guests = NEW(struct guests);
    guests->check = check;
    guests->context = context;
    (void)pthread_mutex_init(&guests->mutex, NULL);
    return guests;
}

void guests_free(struct guests *guests)
{
    if (!guests) {
        return;
    }
    for (size_t i = 0; i < GUESTS_KEPT_MAX; i++) {
        free(guests->answers[i]);
    }
    (void)pthread_mutex_destroy(&guests->mutex);
    free(guests);
}

// A fingerprint's digits are evenly spread already.
static size_t place_of(const struct fingerprint *site)
{
    size_t sum = 0;
    size_t length = strlen(site->text);
    for (size_t i = length > 8 ? length - 8 : 0; i < length; i++) {
        sum = sum * 31 + (unsigned char)site->text[i];
    }
    return sum % GUESTS_KEPT_MAX;
}

static void keep(struct guests *guests, const struct fingerprint *site, int64_t now_us,
                 const struct error *error)
{
    size_t at = place_of(site);
    (void)pthread_mutex_lock(&guests->mutex);
    if (!guests->answers[at]) {
        guests->answers[at] = NEW(struct answer);
    }
    *guests->answers[at] =
        (struct answer){.site = *site, .until_us = now_us + GUESTS_KEPT_US, .error = *error};
    (void)pthread_mutex_unlock(&guests->mutex);
}

enum status guests_check(struct guests *guests, const struct fingerprint *site, int64_t now_us,
                         struct error *error)
{
    struct error found = {0};
    enum status status = DENIED;
    if (guests->check) {
        status = guests->check(guests->context, site, &found);
    } else {
        (void)error_set(&found, DENIED, "this site takes no jobs of other sites");
        error_fix(&found, "ask the site's administrators");
    }
    found.status = status;
    keep(guests, site, now_us, &found);
    if (status != OK && error) {
        *error = found;
    }
    return status;
}

bool guests_recall(struct guests *guests, const struct fingerprint *site, int64_t now_us,
                   enum status *status, struct error *error)
{
    (void)pthread_mutex_lock(&guests->mutex);
    const struct answer *answer = guests->answers[place_of(site)];
    bool is_known =
        answer && answer->until_us > now_us && strcmp(answer->site.text, site->text) == 0;
    if (is_known) {
        *status = answer->error.status;
        if (*status != OK && error) {
            *error = answer->error;
        }
    }
    (void)pthread_mutex_unlock(&guests->mutex);
    return is_known;
}
