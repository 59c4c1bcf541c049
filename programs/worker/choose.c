#include "worker/choose.h"

#include "base/memory.h"
#include "cli/ask.h"
#include "cli/discovery.h"
#include "cli/display.h"
#include "os/clock.h"

#include <stdio.h>

// "https://desk:7733" and "desk:7733" are addresses, "desk" is a name.
static bool is_address(const char *site)
{
    const char *colon = strrchr(site, ':');
    int64_t port = 0;
    return strstr(site, "://") || (colon && text_to_int64(text_of(colon + 1), &port));
}

// Says on standard error, around the site's name: "<before>desk<between>https://10.0.0.1:7733<after>".
static void say(const char *before, const struct discovered_site *site, const char *between,
                const char *after)
{
    AUTO_BUFFER struct buffer line = {0};
    buffer_append_string(&line, before);
    display_text(&line, text_of(site->site.said.name));
    buffer_printf(&line, "%s%s%s", between, site->site.url, after);
    (void)fputs(line.bytes, stderr);
}

static enum status take_address(const char *site, struct worker_site *out, struct error *error)
{
    struct site_address address;
    TRY(site_address_from_url(text_of(site), &address, error));
    (void)snprintf(out->url, sizeof out->url, "https://%s", address.text);
    out->key = (struct fingerprint){""};
    return OK;
}

// Is it one of those that were asked for: of that name, with that key?
static bool is_wanted(const struct discovered_site *site, const char *name, const char *pin)
{
    return (!name || strcmp(site->site.said.name, name) == 0) &&
           (!pin || strcmp(site->site.said.fingerprint.text, pin) == 0);
}

// Keeps the sites that are wanted and show their keys, each once; says why others are left out. *refused is the first of these, or
// NULL.
static void sort_out(struct discovery *found, const char *name, const char *pin,
                     struct error *refused)
{
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        struct discovered_site *site = &found->sites[i];
        bool is_again = kept > 0 && strcmp(found->sites[kept - 1].site.said.fingerprint.text,
                                           site->site.said.fingerprint.text) == 0;
        if (!is_wanted(site, name, pin)) {
            continue;
        }
        if (!discovered_is_usable(site)) {
            say("lode worker: ", site, " at ", " is left out\n");
            (void)fprintf(stderr, "  %s\n", site->problem.detail);
            *refused = refused->status == OK ? site->problem : *refused;
        } else if (!is_again) {
            found->sites[kept++] = *site;
        }
    }
    found->count = kept;
}

static enum status ask_which(const struct discovery *found, const struct discovered_site **out,
                             struct error *error)
{
    AUTO_BUFFER struct buffer answer = {0};
    int64_t number = 0;
    (void)fprintf(stderr, "lode worker: %zu sites announce themselves on this network:\n",
                  found->count);
    for (size_t i = 0; i < found->count; i++) {
        (void)fprintf(stderr, "%4zu  ", i + 1);
        say("", &found->sites[i], "  ", "  ");
        (void)fprintf(stderr, "%s\n", found->sites[i].site.said.fingerprint.text);
    }
    enum status status =
        ask_terminal("Whose tasks shall run here? Number: ", false, &answer, error);
    if (status == UNAVAILABLE) {
        (void)error_set(error, CONFLICT, "%zu sites announce themselves, and none was named",
                        found->count);
        error_fix(error, "say which: lode worker --site NAME, or --site URL --pin "
                         "FINGERPRINT where names are equal");
        return CONFLICT;
    }
    TRY(status);
    if (!text_to_int64(text_trim(buffer_text(&answer)), &number) || number < 1 ||
        (size_t)number > found->count) {
        return error_set(error, INVALID, "that is none of the numbers");
    }
    *out = &found->sites[number - 1];
    return OK;
}

// Nobody who is wanted can be taken.
static enum status explain_none(const struct discovery *found, const char *name, const char *pin,
                                const struct error *refused, struct error *error)
{
    if (refused->status != OK) {
        (void)error_set(error, refused->status, "%s", refused->detail);
        error_fix(error, "%s", refused->fix);
        return refused->status;
    }
    if (!name && !pin) {
        return discovery_nobody(found, error);
    }
    if (!name) {
        (void)error_set(error, NOT_FOUND, "no site with the key %s announces itself here", pin);
        error_fix(error, "\"lode discover\" lists those that do");
        return NOT_FOUND;
    }
    (void)error_set(error, NOT_FOUND, "no site named \"%.80s\" announces itself on this network",
                    name);
    error_fix(error,
              "\"lode discover\" lists those that do; an address, which needs no "
              "announcement, has its port: --site %.80s:%d",
              name, SITE_PORT_DEFAULT);
    return NOT_FOUND;
}

static enum status take(const char *folder, const struct discovered_site *site,
                        struct worker_site *out, struct error *error)
{
    struct known_site known;
    (void)snprintf(out->url, sizeof out->url, "%s", site->site.url);
    out->key = site->site.said.fingerprint;
    say("lode worker: runs tasks of ", site, " at ",
        site->key == KEY_KNOWN ? "\n  it has the key that it had before: "
                               : "\n  it is met for the first time, and its key is kept: ");
    (void)fprintf(stderr, "%s\n", out->key.text);
    if (known_sites_find(folder, &site->address, &known, error) == OK) {
        return OK;
    }
    enum status status = known_sites_add(folder, &site->address, &out->key, clock_real_us(), error);
    // Another worker of this user may have met it meanwhile.
    return status == CONFLICT ? known_sites_check(folder, &site->address, &out->key, error)
                              : status;
}

static enum status choose_announced(const char *name, const char *pin, struct worker_site *out,
                                    struct error *error)
{
    AUTO_FREE char *folder = NULL;
    AUTO_FREE struct discovery *found = NEW(struct discovery);
    struct error refused = {0};
    const struct discovered_site *taken = NULL;
    char checked[PIN_SIZE];
    TRY(pin ? fingerprint_to_pin(pin, checked, error) : OK);
    TRY(site_choice_folder(&folder, error));
    (void)fputs("lode worker: looks for a site on the local network ...\n", stderr); // Seconds.
    TRY(discovery_make(folder, BROWSE_WAIT_US, BROWSE_PATIENCE_US, found, error));
    sort_out(found, name, pin, &refused);
    if (found->count == 0) {
        return explain_none(found, name, pin, &refused, error);
    }
    taken = &found->sites[0];
    if (found->count > 1) {
        TRY(ask_which(found, &taken, error));
    }
    return take(folder, taken, out, error);
}

enum status worker_site_choose(const struct options *given, struct worker_site *out,
                               struct error *error)
{
    const char *site = options_text(given, "site", NULL);
    if (site && is_address(site)) {
        return take_address(site, out, error);
    }
    return choose_announced(site, options_text(given, "pin", NULL), out, error);
}
