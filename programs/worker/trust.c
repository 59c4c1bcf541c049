#include "worker/trust.h"

#include "base/memory.h"
#include "cli/ask.h"
#include "cli/site_choice.h"
#include "http/client.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

enum { CERTIFICATE_SIZE_MAX = 65536 };

static enum status default_directory(char **out, struct error *error)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    if (data && data[0] == '/') {
        *out = memory_format("%s/lode-worker", data);
    } else if (home && home[0] == '/') {
        *out = memory_format("%s/.local/share/lode-worker", home);
    } else {
        (void)error_set(error, INVALID, "there is no place for the worker's key and folders");
        error_fix(error, "give --directory DIR, or set HOME");
        return INVALID;
    }
    return OK;
}

enum status worker_directory(const struct options *given, char **out, struct error *error)
{
    const char *said = options_text(given, "directory", NULL);
    AUTO_FREE char *path = said ? memory_copy_string(said) : NULL;
    if (!path) {
        TRY(default_directory(&path, error));
    }
    TRY(file_make_folder(path, error));
    char *real = realpath(path, NULL);
    *out = real ? real : TAKE(path);
    return OK;
}

enum status worker_key_ensure(const char *directory, const char *name, struct worker_key *out,
                              struct error *error)
{
    AUTO_CLOSE int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || flock(folder, LOCK_EX) < 0) {
        return error_set_errno(error, errno, "cannot lock %s", directory);
    }
    struct worker_key key = {
        .key_path = memory_format("%s/worker.key", directory),
        .certificate_path = memory_format("%s/worker.pem", directory),
    };
    enum status status =
        key_ensure_files(key.key_path, key.certificate_path, name, &key.fingerprint, error);
    if (status != OK) {
        worker_key_done(&key);
        return status;
    }
    *out = key;
    return OK;
}

enum status worker_certificate_read(const char *path, struct fingerprint *out, struct error *error)
{
    AUTO_BUFFER struct buffer pem = {0};
    TRY(file_read(path, CERTIFICATE_SIZE_MAX, &pem, error));
    return key_fingerprint(buffer_text(&pem), out, error);
}

void worker_key_done(struct worker_key *key)
{
    free(TAKE(key->key_path));
    free(TAKE(key->certificate_path));
}

// The site of this user on this machine: its folder says what its key is.
static bool is_own_site(const struct site_address *address, struct fingerprint *pin)
{
    struct site_choice local = {0};
    struct error ignored;
    bool is_own = site_choice_local(NULL, &local, &ignored) == OK &&
                  strcmp(local.address.text, address->text) == 0;
    if (is_own) {
        *pin = local.pin;
    }
    site_choice_done(&local);
    return is_own;
}

// A first meeting: the leap of faith, and what is remembered of it.
static enum status leap(const struct options *given, const char *folder, const char *url,
                        const struct site_address *address, const struct fingerprint *shown,
                        struct error *error)
{
    if (options_has(given, "trust")) {
        (void)fprintf(stderr,
                      "lode: %s is met for the first time. As --trust says, its key is taken as it "
                      "is and remembered:\n      %s\n",
                      url, shown->text);
    } else {
        TRY(ask_leap_of_faith("site", url, shown->text, "--pin", error));
    }
    enum status status = known_sites_add(folder, address, shown, clock_real_us(), error);
    // Another worker of this user may have met it meanwhile.
    return status == CONFLICT ? known_sites_check(folder, address, shown, error) : status;
}

enum status worker_meet_site(const struct options *given, const char *url, struct fingerprint *pin,
                             struct error *error)
{
    struct site_address address;
    struct known_site known;
    struct fingerprint shown = {{0}};
    char checked[PIN_SIZE];
    AUTO_FREE char *folder = NULL;
    const char *wanted = options_text(given, "pin", NULL);
    if (wanted) {
        TRY(fingerprint_to_pin(wanted, checked, error));
        (void)snprintf(pin->text, sizeof pin->text, "%s", wanted);
        return OK;
    }
    TRY(site_address_from_url(text_of(url), &address, error));
    if (is_own_site(&address, pin)) {
        return OK;
    }
    TRY(site_choice_folder(&folder, error));
    enum status found = known_sites_find(folder, &address, &known, error);
    if (found != OK && found != NOT_FOUND) {
        return found;
    }
    enum status reached = http_client_fingerprint(url, shown.text, error);
    if (found == OK) {
        // One that is away is awaited; the pin holds when it comes.
        *pin = known.fingerprint;
        return reached == OK ? known_sites_check(folder, &address, &shown, error) : OK;
    }
    TRY(reached);
    TRY(leap(given, folder, url, &address, &shown, error));
    *pin = shown;
    return OK;
}
