#include "cli/discovery.h"

#include "base/memory.h"
#include "http/client.h"
#include "os/crew.h"

#include <stdio.h>

enum { ASKERS = 8 }; // Sites that are asked for their keys at once.

// One site, and where what is known of sites is kept.
struct question {
    struct discovered_site *site;
    const char *folder;
};

static enum discovered_key compare_key(struct discovered_site *site, const char *folder)
{
    const struct fingerprint *said = &site->site.said.fingerprint;
    struct fingerprint shown = {""};
    if (http_client_fingerprint(site->site.url, shown.text, &site->problem) != OK) {
        return KEY_UNSEEN;
    }
    if (strcmp(shown.text, said->text) != 0) {
        (void)error_set(&site->problem, DENIED,
                        "%s announces itself with the key %s, but has the key %s", site->site.url,
                        said->text, shown.text);
        return KEY_FALSE;
    }
    enum status known = known_sites_check(folder, &site->address, &shown, &site->problem);
    if (known == DENIED) {
        return KEY_CHANGED;
    }
    return known == OK || known_sites_has_key(folder, said) ? KEY_KNOWN : KEY_NEW;
}

static void ask(void *context)
{
    const struct question *question = context;
    question->site->key = compare_key(question->site, question->folder);
}

static enum status ask_all(const char *folder, struct discovery *discovery, struct error *error)
{
    struct question questions[BROWSED_SITES_MAX];
    struct crew *crew = NULL;
    if (discovery->count == 0) {
        return OK;
    }
    TRY(crew_start("discover", ASKERS, &crew, error));
    for (size_t i = 0; i < discovery->count; i++) {
        questions[i] = (struct question){.site = &discovery->sites[i], .folder = folder};
        crew_add(crew, ask, &questions[i]);
    }
    crew_stop(crew);
    return OK;
}

enum status discovery_make(const char *folder, int64_t wait_us, int64_t patience_us,
                           struct discovery *out, struct error *error)
{
    AUTO_FREE struct browsed *browsed = NEW(struct browsed);
    TRY(browse_sites(wait_us, patience_us, browsed, error));
    out->count = 0;
    out->ignored = browsed->ignored;
    out->by = browsed->by;
    for (size_t i = 0; i < browsed->count; i++) {
        struct discovered_site *site = &out->sites[out->count++];
        *site = (struct discovered_site){.site = browsed->sites[i]};
        TRY(site_address_from_url(text_of(site->site.url), &site->address, error));
    }
    return ask_all(folder, out, error);
}

const char *discovered_key_word(enum discovered_key key)
{
    static const char *const WORDS[] = {[KEY_KNOWN] = "known",
                                        [KEY_NEW] = "new",
                                        [KEY_CHANGED] = "changed",
                                        [KEY_FALSE] = "false",
                                        [KEY_UNSEEN] = "unreachable"};
    return WORDS[key];
}

bool discovered_is_usable(const struct discovered_site *site)
{
    return site->key == KEY_KNOWN || site->key == KEY_NEW;
}

enum status discovery_nobody(const struct discovery *discovery, struct error *error)
{
    (void)error_set(error, NOT_FOUND, "no site announces itself on this network%s%s",
                    discovery->ignored > 0 ? " in a way that can be read" : "",
                    discovery->by == RESPONDER_DAEMON ? " (the avahi-daemon was asked)" : "");
    error_fix(error, "a site does that when it listens there (lode site --address "
                     "0.0.0.0:7733); one whose address you know needs none: --site URL");
    return NOT_FOUND;
}
