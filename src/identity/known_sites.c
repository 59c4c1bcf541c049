#include "identity/known_sites.h"

#include "base/buffer.h"
#include "base/calendar.h"
#include "crypto/digest.h"
#include "identity/site_lines.h"

#include <arpa/inet.h>
#include <stdio.h>

#define FILE_NAME "known_sites"
enum { HOST_MAX = 253, PORT_MAX = 65535, PORT_HTTPS = 443 };

static enum status refuse_url(struct text url, const char *why, struct error *error)
{
    struct text shown = text_slice(url, 0, 200);
    (void)error_set(error, INVALID, "\"%.*s\" is no address of a site: %s", TEXT_ARGS(shown), why);
    error_fix(error, "write https://host:port, such as https://127.0.0.1:%d", SITE_PORT_DEFAULT);
    return INVALID;
}

static bool is_host_byte(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_';
}

static bool is_host_name(struct text host)
{
    for (size_t i = 0; i < host.length; i++) {
        if (!is_host_byte(host.bytes[i])) {
            return false;
        }
    }
    return host.length > 0 && host.length <= HOST_MAX;
}

// "[...]" to the one form of an IPv6 address.
static bool normalise_ipv6(struct text host, char out[INET6_ADDRSTRLEN])
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.length < 4 || host.length >= sizeof text + 2 || host.bytes[host.length - 1] != ']') {
        return false;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)host.length - 2, host.bytes + 1);
    return inet_pton(AF_INET6, text, &address) == 1 &&
           inet_ntop(AF_INET6, &address, out, INET6_ADDRSTRLEN) != NULL;
}

static void write_address(struct text host, int64_t port, struct site_address *out)
{
    (void)snprintf(out->text, sizeof out->text, "%.*s:%lld", TEXT_ARGS(host), (long long)port);
    for (char *at = out->text; *at; at++) {
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
    }
}

// Where the name ends and, after a colon, the port begins.
static size_t find_port(struct text authority)
{
    size_t from = 0;
    if (authority.length > 0 && authority.bytes[0] == '[') {
        from = text_find_byte(authority, 0, ']');
    }
    return text_find_byte(authority, from, ':');
}

static struct text cut_authority(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] == '/' || text.bytes[i] == '?' || text.bytes[i] == '#') {
            return text_slice(text, 0, i);
        }
    }
    return text;
}

enum status site_address_from_url(struct text url, struct site_address *out, struct error *error)
{
    static const struct text scheme = {"https://", sizeof "https://" - 1};
    bool has_scheme = text_equal_no_case(text_slice(url, 0, scheme.length), scheme);
    struct text rest = has_scheme ? text_slice(url, scheme.length, url.length) : url;
    struct text authority = cut_authority(rest);
    int64_t port = has_scheme ? PORT_HTTPS : SITE_PORT_DEFAULT;
    size_t colon = find_port(authority);
    struct text host = text_slice(authority, 0, colon);
    if (colon < authority.length) {
        struct text digits = text_slice(authority, colon + 1, authority.length);
        if (digits.length == 0 && rest.length > authority.length && !has_scheme) {
            return refuse_url(url, "a site speaks https only", error);
        }
        if (!text_to_int64(digits, &port) || port < 1 || port > PORT_MAX) {
            return refuse_url(url, "the port must be 1 to 65535, and an IPv6 address in brackets",
                              error);
        }
    }
    char ipv6[INET6_ADDRSTRLEN + 2] = "[";
    if (host.length > 0 && host.bytes[0] == '[') {
        if (!normalise_ipv6(host, ipv6 + 1)) {
            return refuse_url(url, "what is in brackets is no IPv6 address", error);
        }
        size_t length = strlen(ipv6);
        ipv6[length] = ']';
        host = (struct text){ipv6, length + 1};
    } else if (!is_host_name(host)) {
        return refuse_url(url,
                          "the host is missing, too long or has other than letters, digits, "
                          "\"-\", \".\" and \"_\"",
                          error);
    }
    write_address(host, port, out);
    return OK;
}

static enum status read_value(const struct site_line *line, struct known_site *out,
                              struct error *error)
{
    size_t space = text_find_byte(line->value, 0, ' ');
    struct known_site site = {.line = line->number};
    struct digest digest;
    if (digest_from_text(text_slice(line->value, 0, space), &digest, NULL) != OK ||
        !calendar_parse(text_trim(text_slice(line->value, space, line->value.length)),
                        &site.met_us)) {
        (void)error_set(error, INVALID, "line %lld of %s is not \"host:port fingerprint date\"",
                        (long long)line->number, FILE_NAME);
        error_fix(error, "remove the line and log in again");
        return INVALID;
    }
    (void)digest_to_text(&digest, site.fingerprint.text);
    *out = site;
    return OK;
}

enum status known_sites_look(struct text content, const struct site_address *address,
                             struct known_site *out, struct error *error)
{
    struct site_line line;
    if (!site_line_find(content, text_of(address->text), &line)) {
        return error_set(error, NOT_FOUND, "the site %s is not known yet", address->text);
    }
    return read_value(&line, out, error);
}

enum status known_sites_find(const char *folder, const struct site_address *address,
                             struct known_site *out, struct error *error)
{
    AUTO_BUFFER struct buffer content = {0};
    TRY(site_lines_read(folder, FILE_NAME, &content, error));
    return known_sites_look(buffer_text(&content), address, out, error);
}

bool known_sites_has_key(const char *folder, const struct fingerprint *fingerprint)
{
    AUTO_BUFFER struct buffer content = {0};
    if (site_lines_read(folder, FILE_NAME, &content, NULL) != OK) {
        return false;
    }
    struct text rest = buffer_text(&content);
    struct site_line line = {0};
    while (site_line_next(&rest, &line)) {
        struct known_site known;
        if (read_value(&line, &known, NULL) == OK &&
            strcmp(known.fingerprint.text, fingerprint->text) == 0) {
            return true;
        }
    }
    return false;
}

enum status known_sites_check(const char *folder, const struct site_address *address,
                              const struct fingerprint *shown, struct error *error)
{
    struct known_site known;
    TRY(known_sites_find(folder, address, &known, error));
    if (strcmp(known.fingerprint.text, shown->text) == 0) {
        return OK;
    }
    (void)error_set(error, DENIED,
                    "the key of %s has changed: line %lld of %s/" FILE_NAME
                    " has %s, the site shows %s. Somebody may be in between, or the site was made "
                    "anew",
                    address->text, (long long)known.line, folder, known.fingerprint.text,
                    shown->text);
    error_fix(error,
              "ask the site's administrator for its fingerprint; if the new one is right, run: "
              "lode login --forget https://%.100s",
              address->text);
    return DENIED;
}

enum status known_sites_add(const char *folder, const struct site_address *address,
                            const struct fingerprint *fingerprint, int64_t now_us,
                            struct error *error)
{
    struct known_site known;
    enum status status = known_sites_find(folder, address, &known, error);
    if (status == OK) {
        return error_set(error, CONFLICT, "the site %s is known already, with key %s",
                         address->text, known.fingerprint.text);
    }
    if (status != NOT_FOUND) {
        return status;
    }
    AUTO_BUFFER struct buffer value = {0};
    char date[CALENDAR_TEXT_SIZE];
    buffer_printf(&value, "%s %s", fingerprint->text, calendar_format(now_us, date));
    return site_lines_replace(folder, FILE_NAME, text_of(address->text), buffer_text(&value),
                              error);
}

enum status known_sites_forget(const char *folder, const struct site_address *address,
                               struct error *error)
{
    AUTO_BUFFER struct buffer content = {0};
    TRY(site_lines_read(folder, FILE_NAME, &content, error));
    struct site_line line;
    if (!site_line_find(buffer_text(&content), text_of(address->text), &line)) {
        return error_set(error, NOT_FOUND, "the site %s is not known", address->text);
    }
    return site_lines_replace(folder, FILE_NAME, text_of(address->text), TEXT_NONE, error);
}
