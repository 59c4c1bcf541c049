#include "cli/site_choice.h"

#include "base/json.h"
#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { SITE_FILE_MAX = 64 << 10 };

void site_choice_done(struct site_choice *choice)
{
    free(choice->local_directory);
    explicit_bzero(&choice->token, sizeof(choice->token));
    choice->local_directory = NULL;
}

enum status site_choice_folder(char **out, struct error *error)
{
    *out = client_folder(getenv("XDG_CONFIG_HOME"), getenv("HOME"));
    if (!*out) {
        (void)error_set(error, UNAVAILABLE, "there is no place for what lode remembers of sites");
        error_fix(error, "set HOME or XDG_CONFIG_HOME");
        return UNAVAILABLE;
    }
    return OK;
}

// Where `lode site` keeps its files when it is not told; heap string, NULL when there is no such place.
static char *default_directory(void)
{
    const char *data = getenv("XDG_DATA_HOME");
    if (data && data[0] == '/') {
        return memory_format("%s/lode", data);
    }
    const char *home = getenv("HOME");
    return home && home[0] == '/' ? memory_format("%s/.local/share/lode", home) : NULL;
}

// Reads a file that must belong to this user (root may read anybody's).
static enum status read_own(const char *directory, const char *name, struct buffer *out,
                            struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/%s", directory, name);
    struct stat found;
    if (stat(path, &found) != 0) {
        return error_set_errno(error, errno, "cannot look at %s", path);
    }
    if (found.st_uid != geteuid() && geteuid() != 0) {
        return error_set(error, DENIED, "%s belongs to another user", path);
    }
    return file_read(path, SITE_FILE_MAX, out, error);
}

static void set_address(struct site_choice *choice)
{
    (void)snprintf(choice->url, sizeof(choice->url), "https://%s", choice->address.text);
}

static enum status copy_checked(struct text text, char *out, size_t size, const char *what,
                                struct error *error)
{
    text = text_trim(text);
    if (text.length == 0 || text.length >= size || text_has_control(text)) {
        return error_set(error, CORRUPT, "%s cannot be read", what);
    }
    memcpy(out, text.bytes, text.length);
    out[text.length] = '\0';
    return OK;
}

static enum status read_local(const char *directory, struct site_choice *out, struct error *error)
{
    AUTO_BUFFER struct buffer file = {0};
    AUTO_BUFFER struct buffer token = {0};
    AUTO_JSON json_t *site = NULL;
    struct text url = TEXT_NONE;
    struct text fingerprint = TEXT_NONE;
    TRY(read_own(directory, "site.json", &file, error));
    TRY(read_own(directory, "admin.token", &token, error));
    TRY(json_parse(buffer_text(&file), &site, error));
    TRY(json_field_text(site, "url", JSON_REQUIRED, SITE_URL_SIZE, &url, error));
    TRY(json_field_text(site, "fingerprint", JSON_REQUIRED, FINGERPRINT_SIZE, &fingerprint, error));
    TRY(site_address_from_url(url, &out->address, error));
    TRY(copy_checked(fingerprint, out->pin.text, sizeof(out->pin.text), "the key in site.json",
                     error));
    TRY(copy_checked(buffer_text(&token), out->token.text, sizeof(out->token.text),
                     "the token in admin.token", error));
    set_address(out);
    explicit_bzero(token.bytes, token.length);
    return OK;
}

enum status site_choice_local(const char *directory, struct site_choice *out, struct error *error)
{
    AUTO_FREE char *place = directory ? memory_copy_string(directory) : default_directory();
    if (!place) {
        return error_set(error, NOT_FOUND, "neither HOME nor XDG_DATA_HOME is set");
    }
    struct site_choice found = {0};
    TRY(read_local(place, &found, error));
    *out = found;
    out->local_directory = TAKE(place);
    return OK;
}

// The address that is asked for; NOT_FOUND when none is.
static enum status find_wanted(const char *folder, const char *url, struct site_address *out,
                               struct error *error)
{
    const char *named = url ? url : getenv("LODE_SITE");
    if (named && *named) {
        return site_address_from_url(text_of(named), out, error);
    }
    return default_site_find(folder, out, error);
}

// The key and the token of a site that was met before.
static enum status find_known(const char *folder, struct site_choice *choice, struct error *error)
{
    struct known_site known;
    enum status status = known_sites_find(folder, &choice->address, &known, error);
    if (status == NOT_FOUND) {
        (void)error_set(error, NOT_FOUND, "the site %s is not known yet", choice->url);
        error_fix(error, "lode login %s", choice->url);
        return NOT_FOUND;
    }
    TRY(status);
    choice->pin = known.fingerprint;
    return credentials_find(folder, &choice->address, &choice->token, error);
}

// A token stored for a local site by a login is preferred: it says who the user wants to be there.
static void prefer_stored_token(const char *folder, struct site_choice *choice)
{
    struct known_site known;
    struct token_secret token;
    struct error ignored;
    if (known_sites_find(folder, &choice->address, &known, &ignored) == OK &&
        strcmp(known.fingerprint.text, choice->pin.text) == 0 &&
        credentials_find(folder, &choice->address, &token, &ignored) == OK) {
        choice->token = token;
    }
}

enum status site_choice_make(const char *url, struct site_choice *out, struct error *error)
{
    AUTO_FREE char *folder = NULL;
    TRY(site_choice_folder(&folder, error));
    struct site_choice choice = {0};
    enum status wanted = find_wanted(folder, url, &choice.address, error);
    if (wanted != OK && wanted != NOT_FOUND) {
        return wanted;
    }
    set_address(&choice);
    struct site_choice local = {0};
    struct error ignored;
    bool is_local = site_choice_local(NULL, &local, &ignored) == OK &&
                    (wanted == NOT_FOUND || strcmp(local.address.text, choice.address.text) == 0);
    if (is_local) {
        prefer_stored_token(folder, &local);
        *out = local;
        return OK;
    }
    site_choice_done(&local);
    if (wanted == NOT_FOUND) {
        (void)error_set(error, NOT_FOUND, "no site is known, and none runs here");
        error_fix(error, "start one with \"lode site\", or log in to one: lode login URL");
        return NOT_FOUND;
    }
    TRY(find_known(folder, &choice, error));
    *out = choice;
    return OK;
}
