// `lode login`: the leap of faith. The site's key is shown and stored at the first meeting, and a changed one is refused.
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/output.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_BYTES = 4096 };

struct login {
    const struct options *options;
    char *folder; // Of what the client remembers.
    struct site_choice site;
    bool is_local; // The site is this user's own: neither key nor token need a question.
};

// The first line of a file; "-" is standard input.
static enum status read_token_file(const char *path, struct buffer *out, struct error *error)
{
    if (strcmp(path, "-") != 0) {
        return file_read(path, LINE_MAX_BYTES, out, error);
    }
    char *room = buffer_reserve(out, LINE_MAX_BYTES);
    size_t got = fread(room, 1, LINE_MAX_BYTES, stdin);
    buffer_advance(out, got);
    return OK;
}

static enum status take_token(struct login *login, struct text typed, struct error *error)
{
    struct text token = text_trim(typed);
    if (token.length == 0 || token.length >= TOKEN_TEXT_SIZE || text_has_control(token)) {
        (void)error_set(error, INVALID, "that is no token of a site");
        error_fix(error, "it looks like lode_... and comes from \"lode token create\" there");
        return INVALID;
    }
    memcpy(login->site.token.text, token.bytes, token.length);
    login->site.token.text[token.length] = '\0';
    return OK;
}

// The token: given by an option, stored by an earlier login, or typed.
static enum status find_token(struct login *login, struct error *error)
{
    const char *path = options_text(login->options, "token-file", NULL);
    path = options_has(login->options, "token") ? "-" : path;
    AUTO_BUFFER struct buffer typed = {0};
    if (path) {
        TRY(read_token_file(path, &typed, error));
        return take_token(login, buffer_text(&typed), error);
    }
    if (credentials_find(login->folder, &login->site.address, &login->site.token, error) == OK) {
        return OK;
    }
    enum status status = ask_terminal("Token: ", true, &typed, error);
    if (status == UNAVAILABLE) {
        (void)error_set(error, UNAVAILABLE, "a token is needed for %s", login->site.url);
        error_fix(error, "its operator makes one with \"lode token create NAME\"; give it with "
                         "--token-file FILE");
        return UNAVAILABLE;
    }
    status = status == OK ? take_token(login, buffer_text(&typed), error) : status;
    if (typed.length > 0) {
        explicit_bzero(typed.bytes, typed.length);
    }
    return status;
}

// The fingerprint of --pin, "sha256:" or not before it, must be one; NULL without --pin.
static enum status read_pin(const struct options *options, char **out, struct error *error)
{
    const char *said = options_text(options, "pin", NULL);
    char checked[PIN_SIZE];
    if (!said) {
        return OK;
    }
    AUTO_FREE char *wanted = memory_format("%s%s", strchr(said, ':') ? "" : "sha256:", said);
    TRY(fingerprint_to_pin(wanted, checked, error));
    *out = TAKE(wanted);
    return OK;
}

// The site's key must be that of --pin, whatever is known of the site.
static enum status check_pin(const struct login *login, const char *wanted, const char *shown,
                             struct error *error)
{
    if (!wanted || strcmp(wanted, shown) == 0) {
        return OK;
    }
    (void)error_set(error, DENIED, "%s has the key %s, not %s of --pin", login->site.url, shown,
                    wanted);
    error_fix(error,
              "ask its operator for the fingerprint (\"lode status\" there shows it); when it "
              "is that of --pin, somebody is in between");
    return DENIED;
}

// The key of another's site: as it was at the first meeting, or confirmed now.
static enum status meet(struct login *login, struct error *error)
{
    enum status status =
        known_sites_check(login->folder, &login->site.address, &login->site.pin, error);
    if (status != NOT_FOUND) {
        return status;
    }
    if (!options_has(login->options, "pin")) {
        TRY(ask_leap_of_faith("site", login->site.url, login->site.pin.text, "--pin", error));
    }
    return known_sites_add(login->folder, &login->site.address, &login->site.pin, clock_real_us(),
                           error);
}

// The key of this user's own site: its site.json is believed, whatever was stored before.
static enum status meet_own(struct login *login, struct error *error)
{
    struct error ignored;
    enum status status =
        known_sites_check(login->folder, &login->site.address, &login->site.pin, &ignored);
    if (status == OK) {
        return OK;
    }
    if (status == DENIED) {
        TRY(known_sites_forget(login->folder, &login->site.address, error));
    }
    return known_sites_add(login->folder, &login->site.address, &login->site.pin, clock_real_us(),
                           error);
}

// Chooses the site: the address asked for, and whether it is this user's own.
static enum status choose(struct login *login, struct error *error)
{
    const char *directory = options_text(login->options, "directory", NULL);
    const char *url = login->options->operands[0];
    struct site_choice local = {0};
    struct error local_error;
    enum status found = site_choice_local(directory, &local, &local_error);
    if (directory && found != OK) {
        *error = local_error;
        return found;
    }
    AUTO_FREE char *standard = memory_format("https://127.0.0.1:%d", SITE_PORT_DEFAULT);
    if (!url) {
        url = found == OK ? local.url : standard;
    }
    struct site_address address;
    enum status status = site_address_from_url(text_of(url), &address, error);
    login->is_local = status == OK && found == OK && strcmp(address.text, local.address.text) == 0;
    if (login->is_local) {
        login->site = local;
        return OK;
    }
    site_choice_done(&local);
    login->site.address = address;
    (void)snprintf(login->site.url, sizeof(login->site.url), "https://%s", address.text);
    return status;
}

// Shows the token to the site and stores what worked; *who gets the site's answer (a new reference).
static enum status enter(struct login *login, json_t **who, struct error *error)
{
    struct site_choice copy = login->site;
    copy.local_directory = NULL;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    TRY(contact_open_site(&copy, &contact, error));
    enum status status = contact_json(&contact, "GET", "/v1/whoami", NULL, who, error);
    if (status == DENIED) {
        (void)credentials_forget(login->folder, &login->site.address, NULL);
        error_fix(
            error,
            "ask the site's operator for a token (\"lode token create NAME\") and log in again");
        return DENIED;
    }
    TRY(status);
    TRY(credentials_save(login->folder, &login->site.address, &login->site.token, error));
    return default_site_save(login->folder, &login->site.address, error);
}

static enum status log_in(struct login *login, json_t **who, struct error *error)
{
    char fingerprint[FINGERPRINT_SIZE];
    AUTO_FREE char *wanted = NULL;
    TRY(read_pin(login->options, &wanted, error));
    TRY(choose(login, error));
    TRY(http_client_fingerprint(login->site.url, fingerprint, error));
    TRY(check_pin(login, wanted, fingerprint, error));
    if (login->is_local && strcmp(login->site.pin.text, fingerprint) == 0) {
        TRY(meet_own(login, error));
        bool has_token_option =
            options_has(login->options, "token") || options_has(login->options, "token-file");
        if (has_token_option) {
            TRY(find_token(login, error));
        }
    } else {
        memcpy(login->site.pin.text, fingerprint, sizeof(fingerprint));
        TRY(meet(login, error));
        TRY(find_token(login, error));
    }
    return enter(login, who, error);
}

static int forget(struct login *login)
{
    struct error error;
    if (choose(login, &error) != OK ||
        credentials_forget(login->folder, &login->site.address, &error) != OK ||
        known_sites_forget(login->folder, &login->site.address, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (!options_has(login->options, "json")) {
        (void)printf("%s is forgotten\n", login->site.url);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILED;
}

static int say_logged_in(const struct login *login, const json_t *who)
{
    if (options_has(login->options, "json")) {
        AUTO_JSON json_t *answer = json_pack(
            "{s:s, s:s, s:O?, s:O?}", "url", login->site.url, "fingerprint", login->site.pin.text,
            "principal", json_object_get(who, "principal"), "role", json_object_get(who, "role"));
        return print_json(answer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    AUTO_BUFFER struct buffer out = {0};
    buffer_printf(&out, "Logged in to %s as ", login->site.url);
    display_text(&out, field_text(who, "principal"));
    buffer_printf(&out, " (%.*s)\nFingerprint: %s\n", TEXT_ARGS(field_text(who, "role")),
                  login->site.pin.text);
    return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
}

static int run_login(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    struct login login = {.options = options};
    AUTO_JSON json_t *who = NULL;
    int exit_status = EXIT_SUCCESS;
    if (site_choice_folder(&login.folder, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    if (options_has(options, "forget")) {
        exit_status = forget(&login);
    } else if (log_in(&login, &who, &error) != OK) {
        exit_status = command_fail(&error, EXIT_FAILED);
    } else {
        exit_status = say_logged_in(&login, who);
    }
    site_choice_done(&login.site);
    free(login.folder);
    return exit_status;
}

static const struct command_option LOGIN_OPTIONS[] = {
    {"pin", 0, OPTION_TEXT, "FINGERPRINT",
     "the site's key must have this fingerprint; no question is asked", NULL},
    {"token-file", 0, OPTION_TEXT, "FILE", "read the token from this file (-: standard input)",
     NULL},
    {"token", 0, OPTION_TEXT, "-", "read the token from standard input", "-"},
    {"directory", 0, OPTION_TEXT, "DIR", "the directory of a site of yours on this machine", NULL},
    {"forget", 0, OPTION_FLAG, NULL, "forget the site's key and token", NULL},
    {"json", 0, OPTION_FLAG, NULL, "write JSON for programs to standard output", NULL},
};

static const struct command_example LOGIN_EXAMPLES[] = {
    {"lode login", "logs in to your own site on this machine"},
    {"lode login https://desk.example.org:7733",
     "shows the site's fingerprint and asks for a token"},
    {"lode login desk:7733 --pin sha256:9f86... --token-file token", "asks nothing"},
    {"lode login --forget https://desk:7733", "forgets a site, whose key has changed for a reason"},
};

const struct command COMMAND_LOGIN = {
    .name = "login",
    .usage = "[URL]",
    .purpose = "meets a site: checks its key and keeps a token for it",
    .description =
        "At the first meeting the fingerprint of the site's key is shown, and stored when you say "
        "that it "
        "is right; from then on another key is refused. A site of yours on this machine needs no "
        "question, and no login either.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(LOGIN_OPTIONS),
    .examples = EXAMPLES(LOGIN_EXAMPLES),
    .operands_max = 1,
    .is_offline = true,
    .run = run_login,
};
