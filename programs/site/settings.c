#include "site/settings.h"

#include "base/memory.h"
#include "ledger/mirror.h"
#include "os/file.h"
#include "os/process.h"

#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

enum {
    PATH_BUFFER = 4096,
    HOST_BUFFER = 256,
    URL_MAX = 300,
    HEARTBEAT_US = 60000000,
    HEARTBEAT_MIN_US = 1000000,
    HEARTBEAT_MAX_US = 600000000,
    LEASE_US = 5000000,
    SWEEP_AFTER_MIN_US = 1000000,
    LEASE_MIN_US = 2000000,
    LEASE_MAX_US = 30000000,
};

#define SWEEP_AFTER_US INT64_C(3600000000)
#define SWEEP_AFTER_MAX_US INT64_C(86400000000)

static const char ADDRESS_DEFAULT[] = "127.0.0.1:7733";

// $XDG_DATA_HOME/lode, or ~/.local/share/lode (XDG Base Directory Specification 0.8).
static char *default_directory(void)
{
    const char *data = getenv("XDG_DATA_HOME");
    if (data && data[0] == '/') {
        return memory_format("%s/lode", data);
    }
    const char *home = getenv("HOME");
    const struct passwd *user = home && *home ? NULL : getpwuid(getuid());
    return memory_format("%s/.local/share/lode", user ? user->pw_dir : home && *home ? home : "");
}

static char *absolute(const char *path)
{
    char here[PATH_BUFFER];
    if (path[0] == '/' || !getcwd(here, sizeof here)) {
        return memory_copy_string(path);
    }
    return memory_format("%s/%s", here, path);
}

static int64_t core_count(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0) {
        return CPU_COUNT(&cores);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? online : 1;
}

static enum status read_name(const struct options *options, struct site_settings *out,
                             struct error *error)
{
    char host[HOST_BUFFER] = "";
    (void)gethostname(host, sizeof host - 1);
    const char *name = options_text(options, "name", *host ? host : "site");
    struct text text = text_of(name);
    if (text.length == 0 || text.length > SITE_NAME_MAX || !text_is_utf8(text) ||
        text_has_control(text)) {
        enum status status = error_set(error, INVALID, "\"%.80s\" cannot be a site's name", name);
        error_fix(error, "give --name 1 to %d bytes without control characters", SITE_NAME_MAX);
        return status;
    }
    out->name = memory_copy_string(name);
    return OK;
}

static enum status read_federation(const struct options *options, struct site_settings *out,
                                   struct error *error)
{
    out->is_mirror = options_has(options, "mirror");
    out->log_size_max = options_int64(options, "log-max", MIRROR_LOG_SIZE_MAX);
    out->join = options_text(options, "join", "ask");
    out->guests = options_text(options, "guests", "members");
    out->upload_limits.guest_bytes =
        options_int64(options, "guest-upload-max", SENDERS_GUEST_BYTES);
    out->upload_limits.user_bytes = options_int64(options, "user-upload-max", 0);
    out->hub_mode = options_text(options, "hub-mode", "both");
    out->heartbeat_us = options_int64(options, "heartbeat", HEARTBEAT_US);
    out->url = options_text(options, "url", NULL);
    if (out->heartbeat_us < HEARTBEAT_MIN_US || out->heartbeat_us > HEARTBEAT_MAX_US) {
        return error_set(error, INVALID, "--heartbeat must be from 1s to 10m");
    }
    bool is_url = !out->url || (text_starts_with(text_of(out->url), TEXT("https://")) &&
                                strlen(out->url) <= URL_MAX);
    if (!is_url ||
        (out->url && (strpbrk(out->url, " ?#") || text_has_control(text_of(out->url))))) {
        enum status status =
            error_set(error, INVALID, "--url %.80s is no address of a site", out->url);
        error_fix(error, "it looks like https://host.example.org:7733");
        return status;
    }
    return OK;
}

enum status settings_read(const struct options *options, struct site_settings *out,
                          struct error *error)
{
    const char *directory = options_text(options, "directory", NULL);
    out->directory = directory ? absolute(directory) : default_directory();
    out->address = memory_copy_string(options_text(options, "address", ADDRESS_DEFAULT));
    out->is_json = options_has(options, "json");
    out->sandbox = options_text(options, "sandbox", "bubblewrap");
    out->workers = options_int64(options, "workers", core_count());
    if (out->workers > SITE_WORKERS_MAX) {
        return error_set(error, INVALID, "--workers %lld is more than %d", (long long)out->workers,
                         SITE_WORKERS_MAX);
    }
    out->lease_us = options_int64(options, "lease", LEASE_US);
    if (out->lease_us < LEASE_MIN_US || out->lease_us > LEASE_MAX_US) {
        return error_set(error, INVALID, "--lease must be from 2s to 30s");
    }
    out->sweep_after_us = options_int64(options, "sweep-after", SWEEP_AFTER_US);
    if (out->sweep_after_us < SWEEP_AFTER_MIN_US || out->sweep_after_us > SWEEP_AFTER_MAX_US) {
        return error_set(error, INVALID, "--sweep-after must be from 1s to 24h");
    }
    out->worker_authority = options_text(options, "worker-ca", NULL);
    out->is_open = options_has(options, "open");
    TRY(read_name(options, out, error));
    TRY(read_federation(options, out, error));
    out->is_announced = options_has(options, "announce");
    out->is_silent = options_has(options, "no-announce");
    if (out->is_announced && out->is_silent) {
        return error_set(error, INVALID, "--announce and --no-announce contradict each other");
    }
    TRY(known_peers_read(options, &out->peers, &out->peer_count, error));
    const struct passwd *user = getpwuid(getuid());
    out->user =
        user ? memory_copy_string(user->pw_name) : memory_format("uid-%lld", (long long)getuid());
    out->program = process_program();
    return out->program ? OK : error_set(error, INTERNAL, "cannot find this program's own file");
}

void settings_done(struct site_settings *settings)
{
    free(settings->directory);
    free(settings->address);
    free(settings->name);
    free(settings->user);
    free(settings->program);
    free(settings->peers);
}
