#include "helper/hosts.h"

#include "helper/message.h"

#include <stdio.h>

enum { PORT_MAX = 65535 };

static enum status refuse(struct text said, const char *why, struct error *error)
{
    (void)error_set(error, INVALID, "\"%.*s\" is no machine: %s",
                    TEXT_ARGS(text_slice(said, 0, 100)), why);
    error_fix(error, "write node7 or ada@node7 for ssh, node7:%d for a helper that listens",
              HELPER_PORT_DEFAULT);
    return INVALID;
}

static bool is_name_byte(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || strchr("-._%:", byte) != NULL;
}

// A word that no program takes for an option.
static bool is_word(struct text word, bool may_have_colon)
{
    for (size_t i = 0; i < word.length; i++) {
        if (word.bytes[i] == '\0' || !is_name_byte(word.bytes[i]) ||
            (word.bytes[i] == ':' && !may_have_colon)) {
            return false;
        }
    }
    return word.length > 0 && word.bytes[0] != '-';
}

// What a machine was written as, in its parts.
struct parts {
    struct text user;
    struct text name;
    struct text port;
    bool has_user;
    bool has_port;
    bool is_ipv6;
};

static struct parts split(struct text said)
{
    struct parts parts = {0};
    size_t at = text_find_byte(said, 0, '@');
    parts.has_user = at < said.length;
    parts.user = text_slice(said, 0, parts.has_user ? at : 0);
    struct text rest = text_slice(said, parts.has_user ? at + 1 : 0, said.length);
    parts.is_ipv6 = rest.length > 0 && rest.bytes[0] == '[';
    size_t from = parts.is_ipv6 ? text_find_byte(rest, 0, ']') : 0;
    size_t colon = text_find_byte(rest, from, ':');
    parts.has_port = colon < rest.length;
    parts.port = text_slice(rest, colon + 1, rest.length);
    parts.name = text_slice(rest, 0, colon);
    if (parts.is_ipv6 && text_ends_with(parts.name, TEXT("]"))) {
        parts.name = text_slice(parts.name, 1, parts.name.length - 1);
    }
    return parts;
}

enum status host_read(struct text said, enum host_way way, struct host *out, struct error *error)
{
    struct parts parts = split(said);
    int64_t port = 0;
    if (said.length > HOST_TEXT_MAX) {
        return refuse(said, "it is too long", error);
    }
    if (!is_word(parts.name, parts.is_ipv6) || (parts.has_user && !is_word(parts.user, false))) {
        return refuse(said, "its name has other than letters, digits, \"-\", \".\" and \"_\"",
                      error);
    }
    if (parts.has_port && (!text_to_int64(parts.port, &port) || port < 1 || port > PORT_MAX)) {
        return refuse(said, "the port must be 1 to 65535, and an IPv6 address in brackets", error);
    }
    if (way == HOST_WAY_ANY) {
        way = parts.has_port ? HOST_WAY_LISTEN : HOST_WAY_SSH;
    }
    if (way == HOST_WAY_LISTEN && parts.has_user) {
        return refuse(said, "a helper that listens knows the account by the caller's key", error);
    }
    *out = (struct host){.port = port, .way = way};
    (void)snprintf(out->said, sizeof out->said, "%.*s", TEXT_ARGS(said));
    (void)snprintf(out->name, sizeof out->name, "%.*s%s%.*s", TEXT_ARGS(parts.user),
                   parts.has_user ? "@" : "", TEXT_ARGS(parts.name));
    return OK;
}

static enum status read_line(struct text line, enum host_way way, struct host *out,
                             struct error *error)
{
    size_t end = 0;
    while (end < line.length && line.bytes[end] != ' ' && line.bytes[end] != '\t') {
        end++;
    }
    struct text pin = text_trim(text_slice(line, end, line.length));
    char checked[PIN_SIZE];
    TRY(host_read(text_slice(line, 0, end), way, out, error));
    if (pin.length == 0) {
        return OK;
    }
    if (out->way == HOST_WAY_SSH) {
        return error_set(error, INVALID, "a machine that ssh goes to has no fingerprint here");
    }
    (void)snprintf(out->pin.text, sizeof out->pin.text, "%.*s", TEXT_ARGS(pin));
    return pin.length < FINGERPRINT_SIZE
               ? fingerprint_to_pin(out->pin.text, checked, error)
               : error_set(error, INVALID, "what follows the machine is no fingerprint");
}

enum status hosts_read(struct text content, enum host_way way,
                       enum status (*on_host)(void *context, const struct host *host,
                                              struct error *error),
                       void *context, struct error *error)
{
    struct text line;
    for (int number = 1; text_next_part(&content, '\n', &line); number++) {
        struct host host;
        struct error why = {0};
        line = text_trim(text_slice(line, 0, text_find_byte(line, 0, '#')));
        if (line.length == 0) {
            continue;
        }
        if (read_line(line, way, &host, &why) != OK) {
            (void)error_set(error, why.status, "line %d of the hosts: %.400s", number, why.detail);
            error_fix(error, "%s", why.fix);
            return why.status;
        }
        TRY(on_host(context, &host, error));
    }
    return OK;
}
