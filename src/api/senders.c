#include "api/senders.h"

#include "base/map.h"
#include "base/memory.h"
#include "policy/day_sum.h"

#include <pthread.h>

enum { FORGOTTEN_AT_ONCE = 1000 };
#define SWEEP_US INT64_C(600000000)

struct sender {
    char *name;
    struct sender *site; // Of a guest.
    struct day_sum sent;
    int64_t guests; // Of a site: how many there are of it.
};

struct senders {
    struct senders_limits limits;
    pthread_mutex_t lock; // Guards what follows.
    struct map *by_name;  // People, and sites as "@0123456789abcdef".
    int64_t sweep_us;
};

struct senders *senders_new(const struct senders_limits *limits)
{
    struct senders *senders = NEW(struct senders);
    senders->limits = *limits;
    (void)pthread_mutex_init(&senders->lock, NULL);
    senders->by_name = map_new();
    return senders;
}

static void free_sender(struct sender *sender)
{
    free(sender->name);
    free(sender);
}

void senders_free(struct senders *senders)
{
    size_t at = 0;
    if (!senders) {
        return;
    }
    for (struct sender *each; (each = map_next(senders->by_name, &at)) != NULL;) {
        free_sender(each);
    }
    map_free(senders->by_name);
    (void)pthread_mutex_destroy(&senders->lock);
    free(senders);
}

static bool is_idle(struct sender *sender, int64_t now_us)
{
    day_sum_expire(&sender->sent, now_us);
    return day_sum_total(&sender->sent) == 0 && sender->guests == 0;
}

// A site goes at a later time than its last guest.
static void forget_idle(struct senders *senders, int64_t now_us)
{
    struct sender *idle[FORGOTTEN_AT_ONCE];
    size_t count = 0;
    size_t at = 0;
    if (now_us < senders->sweep_us) {
        return;
    }
    for (struct sender *each;
         count < FORGOTTEN_AT_ONCE && (each = map_next(senders->by_name, &at)) != NULL;) {
        if (is_idle(each, now_us)) {
            idle[count++] = each;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (idle[i]->site) {
            idle[i]->site->guests--;
        }
        (void)map_set_text(senders->by_name, text_of(idle[i]->name), NULL);
        free_sender(idle[i]);
    }
    // Who sends next goes on.
    senders->sweep_us = count == FORGOTTEN_AT_ONCE ? now_us : now_us + SWEEP_US;
}

static struct sender *find_or_make(struct senders *senders, struct text name)
{
    struct sender *sender = map_find_text(senders->by_name, name);
    if (!sender) {
        sender = NEW(struct sender);
        sender->name = text_copy(name);
        (void)map_set_text(senders->by_name, name, sender);
    }
    return sender;
}

static int64_t limit_of(const struct senders *senders, const struct principal *principal)
{
    return principal->role == ROLE_PEER   ? senders->limits.guest_bytes
           : principal->role == ROLE_USER ? senders->limits.user_bytes
                                          : 0;
}

static enum status refuse(struct text name, int64_t limit, int64_t sent, int64_t bytes,
                          struct error *error)
{
    bool is_site = text_starts_with(name, TEXT("@"));
    (void)error_set(
        error, QUOTA, "%s%.*s may send %lld bytes a day and has sent %lld; these are %lld more",
        is_site ? "all users of the site " : "", TEXT_ARGS(text_slice(name, is_site, name.length)),
        (long long)limit, (long long)sent, (long long)bytes);
    error_fix(error, "send less, or tomorrow; the site's operator can allow more: lode site "
                     "--guest-upload-max or --user-upload-max");
    return QUOTA;
}

// Of one that may have sent nothing yet: who is refused leaves nothing here.
static enum status check(const struct senders *senders, struct text name, int64_t limit,
                         int64_t bytes, int64_t now_us, struct error *error)
{
    struct sender *known = map_find_text(senders->by_name, name);
    if (known) {
        day_sum_expire(&known->sent, now_us);
    }
    int64_t sent = known ? day_sum_total(&known->sent) : 0;
    return bytes <= limit - sent ? OK : refuse(name, limit, sent, bytes, error);
}

static enum status check_name(const struct senders *senders, const struct sender *site,
                              struct text name, struct error *error)
{
    if (map_find_text(senders->by_name, name) || !site || site->guests < SENDERS_OF_SITE_MAX) {
        return OK;
    }
    (void)error_set(error, QUOTA,
                    "%d users of the site %s have sent files within a day, as many "
                    "as may",
                    SENDERS_OF_SITE_MAX, site->name + 1);
    error_fix(error, "try again tomorrow, or as one of them");
    return QUOTA;
}

static enum status spend_of_guest(struct senders *senders, const struct principal *principal,
                                  int64_t bytes, int64_t now_us, struct error *error)
{
    int64_t limit = senders->limits.guest_bytes;
    int64_t site_limit =
        limit > INT64_MAX / SENDERS_SITE_FACTOR ? INT64_MAX : limit * SENDERS_SITE_FACTOR;
    struct text name = principal->name;
    struct text site_name = guest_site(name);
    TRY(check(senders, site_name, site_limit, bytes, now_us, error));
    TRY(check_name(senders, map_find_text(senders->by_name, site_name), name, error));
    TRY(check(senders, name, limit, bytes, now_us, error));
    struct sender *site = find_or_make(senders, site_name);
    struct sender *sender = find_or_make(senders, name);
    site->guests += sender->site == NULL;
    sender->site = site;
    day_sum_add(&site->sent, bytes, now_us);
    day_sum_add(&sender->sent, bytes, now_us);
    return OK;
}

static enum status spend_of_user(struct senders *senders, struct text name, int64_t bytes,
                                 int64_t now_us, struct error *error)
{
    TRY(check(senders, name, senders->limits.user_bytes, bytes, now_us, error));
    day_sum_add(&find_or_make(senders, name)->sent, bytes, now_us);
    return OK;
}

enum status senders_spend(struct senders *senders, const struct principal *principal, int64_t bytes,
                          int64_t now_us, struct error *error)
{
    if (limit_of(senders, principal) == 0) {
        return OK;
    }
    (void)pthread_mutex_lock(&senders->lock);
    forget_idle(senders, now_us);
    enum status status = principal->role == ROLE_PEER
                             ? spend_of_guest(senders, principal, bytes, now_us, error)
                             : spend_of_user(senders, principal->name, bytes, now_us, error);
    (void)pthread_mutex_unlock(&senders->lock);
    return status;
}

void senders_give_back(struct senders *senders, const struct principal *principal, int64_t bytes,
                       int64_t now_us)
{
    if (limit_of(senders, principal) == 0) {
        return;
    }
    (void)pthread_mutex_lock(&senders->lock);
    struct sender *sender = map_find_text(senders->by_name, principal->name);
    if (sender) {
        day_sum_add(&sender->sent, -bytes, now_us);
    }
    if (sender && sender->site) {
        day_sum_add(&sender->site->sent, -bytes, now_us);
    }
    (void)pthread_mutex_unlock(&senders->lock);
}
