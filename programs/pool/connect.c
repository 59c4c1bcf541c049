// `lode pool connect`: standard input and output, carried to a helper that listens; what ssh is for the other machines.
#include "pool/pool.h"

#include "base/memory.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "http/tls_stream.h"
#include "identity/site_lines.h"
#include "os/clock.h"

#include <stdio.h>
#include <unistd.h>

#define KNOWN_HELPERS "known_helpers"
#define CONNECT_US INT64_C(15000000)
#define GOODBYE_US INT64_C(1000000)
enum { PORT_SIZE = 24, ADDRESS_SIZE = HOST_TEXT_MAX + PORT_SIZE + 2 };

static enum status refuse_key(const char *address, const char *wanted, const char *shown,
                              struct error *error)
{
    (void)error_set(error, DENIED, "the helper %.200s has the key %s, and not %s as before",
                    address, shown, wanted);
    error_fix(error, "if its machine was set up anew, take its line out of known_helpers in "
                     "~/.config/lode, or out of the hosts");
    return DENIED;
}

static enum status ask(const char *address, const struct fingerprint *shown, struct error *error)
{
    enum status status = ask_leap_of_faith("helper", address, shown->text, "--pin", error);
    if (status == DENIED) {
        error_fix(error,
                  "its key is %s; if its operator says so too, --trust takes it, or it stands "
                  "behind the machine in --hosts FILE",
                  shown->text);
    }
    return status;
}

// Is it the helper that it was the last time, or that it must be?
static enum status check_key(const struct options *given, const char *address,
                             const struct fingerprint *shown, struct error *error)
{
    AUTO_FREE char *folder = NULL;
    AUTO_BUFFER struct buffer known = {0};
    struct site_line line = {0};
    const char *pin = options_text(given, "pin", NULL);
    if (pin) {
        return strcmp(pin, shown->text) == 0 ? OK : refuse_key(address, pin, shown->text, error);
    }
    TRY(site_choice_folder(&folder, error));
    TRY(site_lines_read(folder, KNOWN_HELPERS, &known, error));
    if (site_line_find(buffer_text(&known), text_of(address), &line)) {
        AUTO_FREE char *wanted = text_copy(line.value);
        return strcmp(wanted, shown->text) == 0 ? OK
                                                : refuse_key(address, wanted, shown->text, error);
    }
    if (!options_has(given, "trust")) {
        TRY(ask(address, shown, error));
    }
    return site_lines_replace(folder, KNOWN_HELPERS, text_of(address), text_of(shown->text), error);
}

static enum status carry(const struct options *given, const char *address,
                         struct tls_stream *stream, struct error *error)
{
    struct fingerprint shown = {""};
    if (!tls_stream_peer_key(stream, &shown)) {
        return error_set(error, DENIED, "the helper %s shows no key", address);
    }
    TRY(check_key(given, address, &shown, error));
    return tls_stream_carry(stream, STDIN_FILENO, STDOUT_FILENO, error);
}

static enum status connect_and_carry(const struct options *given, struct error *error)
{
    struct host host;
    char port[PORT_SIZE];
    char address[ADDRESS_SIZE];
    char pin[PIN_SIZE];
    struct caller_key key = {0};
    struct tls_stream *stream = NULL;
    SSL_CTX *context = NULL;
    const char *wanted = options_text(given, "pin", NULL);
    TRY(host_read(text_of(given->operands[0]), HOST_WAY_LISTEN, &host, error));
    TRY(wanted ? fingerprint_to_pin(wanted, pin, error) : OK);
    int64_t number = host.port > 0 ? host.port : HELPER_PORT_DEFAULT;
    (void)snprintf(port, sizeof port, "%lld", (long long)number);
    (void)snprintf(address, sizeof address, "%s:%s", host.name, port);
    TRY(caller_key_ensure(&key, error));
    enum status status = tls_client_key_read(key.key_path, key.certificate_path, &context, error);
    caller_key_done(&key);
    TRY(status);
    status = tls_stream_connect(host.name, port, context, clock_steady_us() + CONNECT_US, &stream,
                                error);
    if (status == UNAVAILABLE) {
        error_fix(error,
                  "does \"lode worker --listen\" run there? When it serves as many as it may, it "
                  "closes others, and says so in its log");
    }
    status = status == OK ? carry(given, address, stream, error) : status;
    tls_stream_close(stream, clock_steady_us() + (status == OK ? GOODBYE_US : 0));
    SSL_CTX_free(context);
    return status;
}

static int run_connect(const struct command *command, const struct options *given)
{
    (void)command;
    struct error error = {0};
    enum status status = connect_and_carry(given, &error);
    return status == OK ? EXIT_SUCCESS
                        : command_fail(&error, status == INVALID ? EXIT_USAGE : EXIT_FAILED);
}

static const struct command_option CONNECT_OPTIONS[] = {
    {"pin", 0, OPTION_TEXT, "FINGERPRINT", "the helper's key must have this fingerprint", NULL},
    {"trust", 0, OPTION_FLAG, NULL,
     "of a helper that is met for the first time: take the key that it shows, without a question",
     NULL},
    {"json", 0, OPTION_FLAG, NULL, "changes nothing: what a helper answers is JSON", NULL},
};

static const struct command_example CONNECT_EXAMPLES[] = {
    {"lode pool connect --trust node7:7730 < request.json",
     "sends the helper on node7 what stands in a file, and prints what it answers"},
};

const struct command COMMAND_POOL_CONNECT = {
    .name = "pool connect",
    .usage = "HOST[:PORT]",
    .purpose = "carries standard input and output to a helper that listens",
    .description =
        "What \"lode pool start\" uses for machines with a port, as it uses ssh for others; for "
        "trying things by hand, and for other programs that speak the helper protocol. It shows "
        "the key of \"lode pool key\". The helper's key is remembered at the first meeting, in "
        "known_helpers in ~/.config/lode, and another one is refused from then on.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(CONNECT_OPTIONS),
    .examples = EXAMPLES(CONNECT_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .is_offline = true,
    .run = run_connect,
};
