// Whether and where this worker gives others what it has fetched.
#include "worker/state.h"

#include "base/memory.h"
#include "os/address.h"
#include "os/file.h"
#include "os/log.h"

// "auto:PORT" stands for the address of this machine that leads to the site; *out is the caller's.
static enum status find_address(const struct worker_options *options, char **out,
                                struct error *error)
{
    const char *said = options->serve_address;
    char own[ADDRESS_TEXT_SIZE];
    bool is_here = false;
    size_t length = strlen(WORKER_SERVE_AUTO);
    if (strncmp(said, WORKER_SERVE_AUTO, length) != 0 ||
        (said[length] != '\0' && said[length] != ':')) {
        *out = memory_copy_string(said);
        return OK;
    }
    if (!options->site) {
        return error_set(error, INVALID, "--serve auto needs a site at an address");
    }
    TRY(address_toward(options->site, own, &is_here, error));
    *out = memory_format("%s%s", own, said[length] != '\0' ? said + length : ":0");
    return OK;
}

static enum status make(const struct worker *worker, const char *address, struct sharing **out,
                        struct error *error)
{
    AUTO_FREE char *keys = memory_format("%s/serve", worker->options->directory);
    AUTO_FREE char *cache = memory_format("%s/cache", worker->options->directory);
    TRY(file_make_folder(keys, error));
    return sharing_new(address, keys, cache, out, error);
}

static enum status begin(struct worker *worker, struct error *error)
{
    TRY(sharing_begin(worker->sharing, error));
    log_line(LOG_LEVEL_INFO, "event=serving url=%s", sharing_url(worker->sharing));
    return OK;
}

static bool is_by_default(const struct worker *worker)
{
    return !worker->options->serve_address && worker->options->site;
}

enum status serving_prepare(struct worker *worker, struct error *error)
{
    const char *said = worker->options->serve_address;
    AUTO_FREE char *address = NULL;
    if (!said || strcmp(said, WORKER_SERVE_NONE) == 0) {
        return OK;
    }
    TRY(find_address(worker->options, &address, error));
    TRY(make(worker, address, &worker->sharing, error));
    return begin(worker, error);
}

// Where others of its network reach it: not on the site's own machine, which has all itself, and not where an address holds for one interface
// only. NULL: nowhere.
static char *default_host(const struct worker *worker)
{
    char own[ADDRESS_TEXT_SIZE];
    bool is_here = false;
    struct error error = {0};
    if (address_toward(worker->options->site, own, &is_here, &error) != OK) {
        return NULL; // The site cannot be asked either.
    }
    return is_here || strchr(own, '%') ? NULL : memory_copy_string(own);
}

void serving_settle(struct worker *worker)
{
    bool is_settled = worker->sharing && worker->away_since_us == 0;
    // To look up a name may take a while, when the network is down: nothing runs that would be kept waiting.
    if (!is_by_default(worker) || is_settled || worker->lease_count > 0) {
        return;
    }
    AUTO_FREE char *host = default_host(worker);
    if (worker->sharing && host && sharing_is_at(worker->sharing, host)) {
        return;
    }
    sharing_stop(TAKE(worker->sharing));
    if (host) {
        struct error error = {0};
        AUTO_FREE char *address = memory_format("%s:0", host);
        if (make(worker, address, &worker->sharing, &error) != OK) {
            log_line(LOG_LEVEL_WARNING, "event=cannot-serve detail=\"%s\"", error.detail);
        }
    }
}

void serving_write(const struct worker *worker, struct buffer *out)
{
    if (worker->sharing) {
        buffer_append_string(out, ",\"serve\":{\"url\":");
        buffer_append_json_string(out, text_of(sharing_url(worker->sharing)));
        buffer_printf(out, ",\"fingerprint\":\"%s\"%s}", sharing_fingerprint(worker->sharing),
                      is_by_default(worker) ? ",\"reach\":\"network\"" : "");
    }
}

void serving_begin(void *context)
{
    struct worker *worker = context;
    struct error error = {0};
    bool is_due =
        worker->sharing && sharing_has_key(worker->sharing) && !sharing_has_begun(worker->sharing);
    if (is_due && begin(worker, &error) != OK) {
        log_line(LOG_LEVEL_WARNING, "event=cannot-serve detail=\"%s\"", error.detail);
        sharing_stop(TAKE(worker->sharing)); // Others do not reach it, and are sent elsewhere then.
    }
}
