// Registering with the site: what this worker says of itself, and that the site knows it no more.
#include "worker/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/log.h"
#include "protocol/poll_answer.h"

#include <inttypes.h>
#include <unistd.h>

static void write_enforcement(const struct worker *worker, struct buffer *out)
{
    static const char *const names[] = {"memory", "pids", "cpu"};
    const bool is_kept[] = {true, cgroups_has(worker->cgroups, CGROUP_PIDS),
                            cgroups_has(worker->cgroups, CGROUP_CPU)}; // Memory by the runner too.
    buffer_printf(out, "{\"kind\":\"%s\",\"enforced\":[\"walltime\",\"disk\"",
                  worker->place.bubblewrap ? "bubblewrap" : "none");
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (is_kept[i]) {
            buffer_printf(out, ",\"%s\"", names[i]);
        }
    }
    buffer_append_string(out, "],\"not_enforced\":[");
    bool is_first = true;
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (!is_kept[i]) {
            buffer_printf(out, "%s\"%s\"", is_first ? "" : ",", names[i]);
            is_first = false;
        }
    }
    if (!worker->place.bubblewrap) {
        buffer_printf(out, "%s\"files\",\"network\",\"users\"", is_first ? "" : ",");
    }
    buffer_append_string(out, "]}");
}

static void write_groups(const char *groups, struct buffer *out)
{
    struct text rest = text_of(groups ? groups : "");
    struct text name;
    if (rest.length == 0) {
        return;
    }
    buffer_append_string(out, ",\"groups\":[");
    for (bool is_first = true; rest.length > 0 && text_next_part(&rest, ',', &name);
         is_first = false) {
        buffer_append_string(out, is_first ? "" : ",");
        buffer_append_json_string(out, name);
    }
    buffer_append_byte(out, ']');
}

static void on_registered(void *context, const struct http_answer *answer)
{
    struct worker *worker = context;
    struct registration registration;
    struct error error = {0};
    worker->registering = NULL;
    if (admission_take_refusal(worker, answer) || admission_take_denial(worker, answer)) {
        site_note_return(worker);
        return;
    }
    if (answer->status != OK || registration_read(answer->body, &registration, &error) != OK) {
        site_note_absence(worker, answer);
        return;
    }
    site_note_return(worker);
    worker->is_pending = false;
    worker->id = registration.worker;
    worker->wait_seconds = registration.wait_seconds;
    worker->heartbeat_us = registration.heartbeat_us;
    worker->is_new = worker->lease_count > 0;
    worker->sees_site_files = registration.sees_files;
    if (worker->sharing) {
        sharing_set_key(worker->sharing, registration.serve_key);
    }
    fetches_set_site(worker->fetches, worker->client, worker->id);
    live_send_again(worker);
    if (worker->is_new || notes_are_due(worker)) {
        report_mark(worker, true);
    }
    log_line(LOG_LEVEL_INFO, "event=registered worker=%" PRId64, worker->id);
    if (registration.unknown_groups[0] != '\0') {
        log_line(
            LOG_LEVEL_WARNING,
            "event=unknown-groups groups=\"%s\" detail=\"the site has no group, and nobody, of "
            "that name: it has no tasks for this worker as long as that is so\" "
            "fix=\"at the site: lode group list, lode group create, lode worker move\"",
            registration.unknown_groups);
    }
    if (worker->options->on_welcome) {
        worker->options->on_welcome(WORKER_REGISTERED);
    }
}

void register_start(struct worker *worker)
{
    const struct worker_options *options = worker->options;
    AUTO_BUFFER struct buffer body = {0};
    serving_settle(worker);
    buffer_append_string(&body, "{\"name\":");
    buffer_append_json_string(&body, text_of(options->name));
    buffer_printf(&body,
                  ",\"cpus\":%.3f,\"memory_bytes\":%" PRId64 ",\"disk_bytes\":%" PRId64
                  ",\"version\":\"" LODE_VERSION "\",\"process\":%ld,\"sandbox\":",
                  options->cpus, options->memory_bytes, worker->disk_bytes, (long)getpid());
    write_enforcement(worker, &body);
    write_groups(options->groups, &body);
    buffer_printf(&body, ",\"gpus\":%zu,\"labels\":[", options->gpus.count);
    for (size_t i = 0; i < options->label_count; i++) {
        buffer_append_string(&body, i > 0 ? "," : "");
        buffer_append_json_string(&body, text_of(options->labels[i]));
    }
    buffer_append_byte(&body, ']');
    serving_write(worker, &body);
    buffer_append_string(&body, ",\"view\":");
    buffer_append_json_string(&body, text_of(worker->view));
    buffer_printf(&body, ",\"software\":[\"host\"%s]", worker->shelf ? ",\"bundle\",\"oci\"" : "");
    leaving_write_left(&body, "leaves_in_seconds", worker->own_end_us);
    leaving_write_left(&body, "drain_in_seconds", worker->ordered_end_us);
    buffer_printf(&body, ",\"notice_seconds\":%.3f}", (double)leaving_notice_us(worker) / 1e6);
    const struct http_ask ask = {.method = "POST",
                                 .path = "/v1/workers",
                                 .body = buffer_text(&body),
                                 .timeout_us = SITE_TIMEOUT_US,
                                 .context = worker};
    worker->registering = http_client_start(worker->client, &ask, on_registered);
}

void register_forget(struct worker *worker)
{
    size_t at = 0;
    worker->id = 0;
    fetches_set_site(worker->fetches, worker->client, 0);
    notes_forget(worker);
    if (worker->waiting) {
        // The site has no reason to answer it soon.
        http_client_cancel(worker->client, TAKE(worker->waiting));
    }
    for (struct worker_job *job = map_next(worker->jobs, &at); job;
         job = map_next(worker->jobs, &at)) {
        job->is_setup_told = false;
        // The site describes it again with its next lease; of its end it tells those only that it has told of it.
        job->is_dropped = true;
    }
}
