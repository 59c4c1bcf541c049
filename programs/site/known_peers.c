#include "site/known_peers.h"

#include "base/memory.h"

#include <stdio.h>

static bool is_fingerprint(struct text text)
{
    char pin[PIN_SIZE];
    struct fingerprint fingerprint;
    if (text.length >= sizeof fingerprint.text) {
        return false;
    }
    memcpy(fingerprint.text, text.bytes, text.length);
    fingerprint.text[text.length] = '\0';
    return fingerprint_to_pin(fingerprint.text, pin, NULL) == OK;
}

static bool is_name(struct text text)
{
    return text.length > 0 && text.length <= KNOWN_PEER_NAME_MAX && text_is_utf8(text) &&
           !text_has_control(text);
}

static void copy_text(struct text text, char *out)
{
    memcpy(out, text.bytes, text.length);
    out[text.length] = '\0';
}

enum status known_peer_parse(struct text text, struct known_peer *out, struct error *error)
{
    size_t equals = text_find_byte(text, 0, '=');
    size_t at = text_find_byte(text, equals, '@');
    struct text name = text_slice(text, 0, equals);
    struct text site = text_slice(text, equals + 1, at);
    struct text url = text_slice(text, at + 1, text.length);
    const char *wrong = !is_name(name)          ? "the name"
                        : !is_fingerprint(site) ? "the fingerprint"
                        : !text_starts_with(url, TEXT("https://")) ||
                                url.length > KNOWN_PEER_URL_MAX || text_has_control(url)
                            ? "the URL"
                            : NULL;
    if (wrong) {
        (void)error_set(error, INVALID, "--peer \"%.200s\": %s is not right",
                        text.length > 0 ? text.bytes : "", wrong);
        error_fix(error, "write NAME=sha256:...@https://HOST:PORT; lode site prints the key");
        return INVALID;
    }
    *out = (struct known_peer){0};
    copy_text(name, out->name);
    copy_text(site, out->site.text);
    copy_text(url, out->url);
    return OK;
}

enum status known_peers_read(const struct options *options, struct known_peer **out, size_t *count,
                             struct error *error)
{
    size_t at = 0;
    size_t found = 0;
    const char *given = NULL;
    AUTO_FREE struct known_peer *peers = NULL;
    while ((given = options_next(options, "peer", &at))) {
        if (found == KNOWN_PEERS_MAX) {
            return error_set(error, INVALID, "--peer was given more than %d times",
                             KNOWN_PEERS_MAX);
        }
        peers = memory_resize(peers, found + 1, sizeof *peers);
        TRY(known_peer_parse(text_of(given), &peers[found++], error));
    }
    *out = TAKE(peers);
    *count = found;
    return OK;
}

const struct known_peer *known_peers_find(const struct known_peer *peers, size_t count,
                                          struct text name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_equal(name, text_of(peers[i].name)) ||
            text_equal(name, text_of(peers[i].site.text))) {
            return &peers[i];
        }
    }
    return NULL;
}
