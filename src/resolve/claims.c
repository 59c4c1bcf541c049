#include "resolve/claims.h"

enum { DIGEST_SHOWN = 23, TIME_SHOWN = 20 }; // "sha256:" and 16 digits; a time in whole seconds.

// Nobody has accepted it yet.
static bool is_stranger(const struct location *location)
{
    return strcmp(location->standing, "pending") == 0;
}

static bool counts(const struct location *location)
{
    return location->has_digest && strcmp(location->state, "changed") != 0 &&
           strcmp(location->state, "lost") != 0 && strcmp(location->standing, "denied") != 0;
}

static bool has_others(const struct location *locations, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (counts(&locations[i]) && !is_stranger(&locations[i])) {
            return true;
        }
    }
    return false;
}

// Times of one form (RFC 3339, UTC) sort as texts.
static bool is_earlier(const struct location *location, const struct location *than)
{
    return !than || strcmp(location->said_at, than->said_at) < 0;
}

struct claims claims_compare(const struct location *locations, size_t count)
{
    struct claims claims = {0};
    bool no_strangers = has_others(locations, count);
    for (size_t i = 0; i < count; i++) {
        const struct location *each = &locations[i];
        if (counts(each) && (!no_strangers || !is_stranger(each)) &&
            is_earlier(each, claims.first)) {
            claims.first = each;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct location *each = &locations[i];
        if (counts(each) && (!no_strangers || !is_stranger(each)) &&
            !digest_equal(&each->digest, &claims.first->digest) && is_earlier(each, claims.other)) {
            claims.other = each;
        }
    }
    return claims;
}

enum status claims_refuse(const struct claims *claims, const char *id, struct error *error)
{
    char first[DIGEST_TEXT_SIZE];
    char other[DIGEST_TEXT_SIZE];
    (void)error_set(
        error, CONFLICT,
        "sites say different content of %.120s: %.40s says %.*s since %.*s, %.40s says "
        "%.*s since %.*s",
        id, claims->first->name, DIGEST_SHOWN, digest_to_text(&claims->first->digest, first),
        TIME_SHOWN, claims->first->said_at, claims->other->name, DIGEST_SHOWN,
        digest_to_text(&claims->other->digest, other), TIME_SHOWN, claims->other->said_at);
    error_fix(error, "name the one that is meant: by its digest (--data ID@sha256:..., lode "
                     "resolve prints both), or by its site (--at SITE)");
    return CONFLICT;
}
