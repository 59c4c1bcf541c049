// lode worker enroll: shows the worker's key to a site together with an invitation, which accepts it.
#include "commands.h"

#include "base/json.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/site_choice.h"
#include "identity/invitations.h"
#include "os/clock.h"
#include "worker/enroll.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOST_MAX = 256, TOKEN_LINE_MAX = 4096 };

static enum status check_token(struct text token, struct error *error)
{
    if (!invitation_is_well_formed(token)) {
        (void)error_set(error, INVALID, "that is no invitation of a site");
        error_fix(error, "it looks like lode_join_... and comes from \"lode worker invite\" "
                         "there; give it with --token, LODE_TOKEN or standard input");
        return INVALID;
    }
    return OK;
}

// The invitation: --token, $LODE_TOKEN, or a line of standard input.
static enum status read_token(const struct options *given, struct buffer *out, struct error *error)
{
    const char *said = options_text(given, "token", getenv("LODE_TOKEN"));
    if (said && strcmp(said, "-") != 0) {
        buffer_append_string(out, said);
    } else {
        char *room = buffer_reserve(out, TOKEN_LINE_MAX);
        buffer_advance(out, fread(room, 1, TOKEN_LINE_MAX, stdin));
    }
    return check_token(text_trim(buffer_text(out)), error);
}

static enum status ask_site(const struct worker_site *site, const struct worker_key *key,
                            const json_t *body, json_t **out, struct error *error)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_BUFFER struct buffer answer = {0};
    struct http_client *client = NULL;
    const struct http_client_options options = {
        .base_url = site->url,
        .pin = site->key.text,
        .key_path = key->key_path,
        .certificate_path = key->certificate_path,
    };
    json_write(body, false, &text);
    TRY(http_client_new(&options, &client, error));
    enum status status =
        http_client_json(client, "POST", "/v1/worker-keys", buffer_text(&text), &answer, error);
    http_client_free(client);
    explicit_bzero(text.bytes, text.length);
    TRY(status);
    return json_parse(buffer_text(&answer), out, error);
}

enum status worker_enroll(const struct worker_site *site, const struct worker_key *key,
                          struct text token, const char *name, json_t **out, struct error *error)
{
    TRY(check_token(token, error));
    AUTO_JSON json_t *body = json_pack("{s:o, s:o}", "token", json_from_text(token), "name",
                                       json_from_text(text_of(name)));
    return ask_site(site, key, body, out, error);
}

// A site that was met before must have the key that it had then, whatever --pin says. That is looked at before the invitation is spent.
static enum status check_known(const char *folder, const struct site_address *address,
                               const struct worker_site *site, struct error *error)
{
    enum status status = known_sites_check(folder, address, &site->key, error);
    return status == NOT_FOUND ? OK : status;
}

// By its key, --pin says who the site is: so it is met, and "lode worker --site URL" asks nothing.
static enum status remember(const char *folder, const struct site_address *address,
                            const struct worker_site *site, struct error *error)
{
    enum status status = known_sites_add(folder, address, &site->key, clock_real_us(), error);
    return status == CONFLICT ? known_sites_check(folder, address, &site->key, error) : status;
}

static enum status enrol(const struct options *given, const char *directory, json_t **out,
                         struct error *error)
{
    char host[HOST_MAX] = "worker";
    struct worker_site site = {0};
    struct worker_key key = {0};
    struct site_address address;
    AUTO_FREE char *folder = NULL;
    AUTO_BUFFER struct buffer token = {0};
    (void)gethostname(host, sizeof host - 1);
    const char *name = options_text(given, "name", host);
    TRY(read_token(given, &token, error));
    TRY(worker_site_choose(given, &site, error));
    if (!site.key.text[0]) {
        TRY(worker_meet_site(given, site.url, &site.key, error));
    }
    TRY(site_choice_folder(&folder, error));
    TRY(site_address_from_url(text_of(site.url), &address, error));
    TRY(check_known(folder, &address, &site, error));
    TRY(worker_key_ensure(directory, name, &key, error));
    enum status status =
        worker_enroll(&site, &key, text_trim(buffer_text(&token)), name, out, error);
    worker_key_done(&key);
    explicit_bzero(token.bytes, token.length);
    return status == OK ? remember(folder, &address, &site, error) : status;
}

int command_worker_enroll(const struct command *command, const struct options *given)
{
    (void)command;
    struct error error = {0};
    AUTO_FREE char *directory = NULL;
    AUTO_JSON json_t *answer = NULL;
    enum status status = worker_directory(given, &directory, &error);
    status = status == OK ? enrol(given, directory, &answer, &error) : status;
    if (status != OK) {
        return command_fail(&error, status == INVALID ? EXIT_USAGE : EXIT_FAILED);
    }
    if (options_has(given, "json")) {
        return print_json(answer) ? EXIT_SUCCESS : EXIT_FAILED;
    }
    AUTO_BUFFER struct buffer out = {0};
    const char *site = options_text(given, "site", NULL);
    const char *folder = options_text(given, "directory", NULL);
    buffer_append_string(&out, "The worker ");
    display_text(&out, field_text(answer, "name"));
    buffer_printf(&out, " with the key %.*s is accepted\nStart it: lode worker%s%s%s%s\n",
                  TEXT_ARGS(field_text(answer, "fingerprint")), site ? " --site " : "",
                  site ? site : "", folder ? " --directory " : "", folder ? folder : "");
    return print_text(&out) ? EXIT_SUCCESS : EXIT_FAILED;
}
