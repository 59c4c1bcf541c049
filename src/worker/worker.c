#include "worker/state.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TRIM_DELAY_US INT64_C(1000000)
#define RETIRED_LOOK_US INT64_C(10000)

static enum status lock_directory(const char *directory, int *fd, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/lock", directory);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) < 0) {
        return error_set(error, CONFLICT, "another worker serves in %s", directory);
    }
    // Who holds it, for a site that was started anew and finds this worker at work (src/executor/local.c).
    AUTO_FREE char *process = memory_format("%lld\n", (long long)getpid());
    if (ftruncate(*fd, 0) < 0) {
        return error_set_errno(error, errno, "cannot write %s", path);
    }
    return file_write_all(*fd, text_of(process), error);
}

// Uploads and logs hold descriptors: as many as the system gives.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// A name for this directory's cgroups: the same after a restart, so that what was left is found.
static char *cgroup_name(const char *directory)
{
    struct digest digest = digest_of(directory, strlen(directory));
    return memory_format("lode-worker-%02x%02x%02x%02x", digest.bytes[0], digest.bytes[1],
                         digest.bytes[2], digest.bytes[3]);
}

// Empty folders for slots and jobs: what a killed worker left is of no use.
static enum status prepare_folders(struct worker *worker, struct error *error)
{
    const char *directory = worker->options->directory;
    const char *slots = arena_format(&worker->arena, "%s/slots", directory);
    worker->jobs_folder = arena_format(&worker->arena, "%s/jobs", directory);
    worker->place.folder = slots;
    worker->place.etc_folder = arena_format(&worker->arena, "%s/etc", directory);
    TRY(file_remove_tree(slots, error));
    TRY(file_remove_tree(worker->jobs_folder, error));
    TRY(file_make_folder(slots, error));
    return file_make_folder(worker->jobs_folder, error);
}

static enum status prepare_sandbox(struct worker *worker, struct error *error)
{
    worker->place.runner = worker->options->runner;
    if (access(worker->options->runner, X_OK) < 0) {
        return error_set_errno(error, errno, "cannot execute %s", worker->options->runner);
    }
    if (!worker->options->has_sandbox) {
        log_line(LOG_LEVEL_WARNING,
                 "event=no-sandbox detail=\"tasks see and may change whatever this user may\"");
        return OK;
    }
    TRY(sandbox_find(&worker->arena, &worker->place.bubblewrap, error));
    return sandbox_prepare_etc(worker->place.etc_folder, error);
}

// Room for fetched inputs, when nobody says how much: half of what is free and what they take already.
static int64_t default_cache_size(const struct worker *worker, const char *folder)
{
    struct input_cache *found = NULL;
    int64_t used = 0;
    if (input_cache_open(folder, 0, &found, NULL) == OK) {
        used = input_cache_used(found);
        input_cache_free(found);
    }
    return (worker->disk_bytes + used) / 2;
}

static enum status prepare_inputs(struct worker *worker, struct error *error)
{
    const char *directory = worker->options->directory;
    AUTO_FREE char *folder = memory_format("%s/cache", directory);
    AUTO_FREE char *proofs = memory_format("%s/proofs", directory);
    int64_t size = worker->options->cache_bytes;
    worker->proofs = proofs_open(proofs);
    TRY(input_cache_open(folder, size >= 0 ? size : default_cache_size(worker, folder),
                         &worker->input_cache, error));
    worker->fetches = fetches_new(worker->input_cache, serving_begin, worker);
    return serving_prepare(worker, error);
}

static enum status prepare(struct worker *worker, struct error *error)
{
    struct statvfs disk;
    AUTO_FREE char *name = cgroup_name(worker->options->directory);
    worker->cgroups = cgroups_new(name); // Ends what is left of an earlier worker here.
    worker->place.cgroups = worker->cgroups;
    TRY(prepare_folders(worker, error));
    TRY(prepare_sandbox(worker, error));
    if (statvfs(worker->options->directory, &disk) == 0) {
        worker->disk_bytes = (int64_t)(disk.f_bavail * disk.f_frsize);
    }
    if (gethostname(worker->host, sizeof worker->host - 1) < 0) {
        worker->host[0] = '\0';
    }
    worker->jobs = map_new();
    worker->transfers = transfers_new();
    worker->executable_cache = executable_cache_new();
    TRY(software_open_shelf(worker, error));
    view_read(worker->view);
    return prepare_inputs(worker, error);
}

static void clean_up(struct worker *worker)
{
    spares_free(worker);
    for (size_t i = 0; i < worker->seat_count; i++) {
        slot_kill(worker->seats[i]->slot);
    }
    for (size_t i = 0; i < worker->seat_count; i++) {
        seat_free(worker->seats[i]);
    }
    seats_free_retired(worker, true);
    transfers_free(worker->transfers);
    checkpoints_free(worker);
    for (size_t i = 0; i < worker->lease_count; i++) {
        lease_free(worker->leases[i]);
    }
    size_t at = 0;
    for (struct worker_job *job = worker->jobs ? map_next(worker->jobs, &at) : NULL; job;
         job = map_next(worker->jobs, &at)) {
        worker_job_free(job);
    }
    map_free(worker->jobs);
    sharing_stop(worker->sharing);
    fetches_free(worker->fetches);
    input_cache_free(worker->input_cache);
    proofs_free(worker->proofs);
    shelf_free(worker->shelf);
    http_client_free(worker->client);
    free(worker->site_url);
    free(worker->site_fingerprint);
    executable_cache_free(worker->executable_cache);
    cgroups_free(worker->cgroups);
    entries_done(&worker->logs);
    entries_done(&worker->returned);
    entries_done(&worker->checkpoints);
    free(worker->leases);
    free(worker->seats);
    free(worker->retired);
    if (worker->place.folder) {
        (void)file_remove_tree(worker->place.folder, NULL);
        (void)file_remove_tree(worker->jobs_folder, NULL);
    }
    arena_done(&worker->arena);
}

// Results that the site has not taken hold up the runners: memory stays bounded however long it is away.
static bool is_full(const struct worker *worker)
{
    size_t ready = 0;
    for (size_t i = 0; i < worker->lease_count; i++) {
        ready += worker->leases[i]->ready.text.length;
    }
    return ready > READY_MAX || worker->held_count > HELD_MAX;
}

static int64_t earlier(int64_t a_us, int64_t b_us)
{
    return a_us < 0 || (b_us >= 0 && b_us < a_us) ? b_us : a_us;
}

// How long the loop may sleep: -1 would be for ever, which http_client_wait is not asked for.
static int64_t sleep_us(const struct worker *worker, int64_t transfer_delay_us, int64_t now_us)
{
    int64_t delay_us = earlier(transfer_delay_us, poll_delay_us(worker, now_us));
    if (worker->live_next_us != INT64_MAX) {
        int64_t left_us = worker->live_next_us - now_us;
        delay_us = earlier(delay_us, left_us > 0 ? left_us : 0);
    }
    for (size_t i = 0; i < worker->lease_count; i++) {
        if (worker->leases[i]->gather.to > worker->leases[i]->gather.from) {
            delay_us = earlier(delay_us, GATHER_US / 4);
            break;
        }
    }
    if (worker->lease_count == 0 && worker->trim_us != INT64_MAX) {
        delay_us = earlier(delay_us, worker->trim_us > now_us ? worker->trim_us - now_us : 0);
    }
    if (worker->retired_count > 0) {
        delay_us = earlier(delay_us, RETIRED_LOOK_US);
    }
    delay_us = earlier(delay_us, leaving_delay_us(worker, now_us));
    delay_us = earlier(delay_us, room_delay_us(worker, now_us));
    return earlier(delay_us, INT64_C(60000000));
}

// A worker that has had nothing to do for a while gives back what it does not need for that.
static void trim_when_idle(struct worker *worker, int64_t now_us)
{
    if (worker->lease_count > 0) {
        worker->trim_us = now_us + TRIM_DELAY_US;
    } else if (now_us >= worker->trim_us) {
        worker->trim_us = INT64_MAX;
        process_trim_memory();
    }
}

static void take_signal(struct worker *worker, int signal_fd, int64_t now_us)
{
    struct signalfd_siginfo info;
    if (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        leaving_take_signal(worker, (int)info.ssi_signo, now_us);
    }
}

static void wait_for_news(struct worker *worker, int signal_fd, int64_t delay_us)
{
    struct pollfd fds[SEATS_MAX + 1];
    struct seat *seats[SEATS_MAX];
    size_t count = 0;
    bool is_held_up = is_full(worker);
    for (size_t i = 0; i < worker->seat_count; i++) {
        short events = slot_poll_events(worker->seats[i]->slot);
        events = is_held_up ? (short)(events & ~POLLIN) : events;
        seats[i] = worker->seats[i];
        fds[count++] =
            (struct pollfd){.fd = events ? slot_fd(worker->seats[i]->slot) : -1, .events = events};
    }
    size_t seat_count = count;
    fds[count++] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
    if (worker->client) {
        (void)http_client_wait(worker->client, fds, count, delay_us);
    } else {
        (void)poll(fds, count, (int)((delay_us + 999) / 1000));
    }
    for (size_t i = 0; i < seat_count; i++) {
        if (fds[i].revents) {
            seat_serve(seats[i], is_held_up ? (short)(fds[i].revents & ~POLLIN) : fds[i].revents);
        }
    }
    if (fds[seat_count].revents) {
        take_signal(worker, signal_fd, clock_steady_us());
    }
}

static void serve(struct worker *worker, int signal_fd)
{
    while (!worker->is_ended) {
        int64_t now_us = clock_steady_us();
        seats_remove_broken(worker);
        int64_t shelf_delay_us = worker->shelf ? shelf_work(worker->shelf, now_us) : -1;
        leases_start(worker);
        gathers_flush_old(worker, now_us);
        live_read(worker, now_us);
        int64_t delay_us = checkpoints_work(worker, now_us);
        delay_us = earlier(delay_us, transfers_work(worker->transfers, now_us));
        delay_us = earlier(delay_us, supplies_work(worker, now_us));
        delay_us = earlier(delay_us, shelf_delay_us);
        poll_work(worker, now_us);
        leases_free_done(worker);
        worker_job_free_unused(worker);
        seats_remove_idle(worker, NULL);
        seats_free_retired(worker, false);
        spares_refill(worker, now_us);
        trim_when_idle(worker, now_us);
        delay_us = earlier(delay_us, interruptions_work(worker, now_us));
        leaving_work(worker, now_us);
        if (worker->is_out_of_room) {
            (void)room_has_run_out(worker, now_us);
        }
        if (!worker->is_ended) {
            wait_for_news(worker, signal_fd, sleep_us(worker, delay_us, now_us));
        }
    }
}

static int open_signals(const struct worker_options *options)
{
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGUSR1); // They would end it.
    (void)sigaddset(&ends, SIGUSR2);
    if (options->warning_signal != 0) {
        (void)sigaddset(&ends, options->warning_signal);
    }
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
}

enum status worker_run(const struct worker_options *options, struct error *error)
{
    int64_t now_us = clock_steady_us();
    struct worker worker = {
        .options = options,
        .own_end_us = options->lifetime_us > 0 ? now_us + options->lifetime_us : INT64_MAX,
        .hard_end_us = options->lifetime_us > 0 ? now_us + options->lifetime_us : INT64_MAX,
        .ordered_end_us = INT64_MAX,
        .live_next_us = INT64_MAX,
        .trim_us = now_us + TRIM_DELAY_US};
    AUTO_CLOSE int lock_fd = -1;
    AUTO_CLOSE int signal_fd = -1;
    TRY(file_make_folder(options->directory, error));
    TRY(lock_directory(options->directory, &lock_fd, error));
    raise_descriptor_limit();
    signal_fd = open_signals(options);
    if (signal_fd < 0) {
        return error_set_errno(error, errno, "cannot open a signal descriptor");
    }
    enum status status = prepare(&worker, error);
    if (status == OK) {
        serve(&worker, signal_fd);
        status = worker.fault.status;
        if (status != OK && error) {
            *error = worker.fault;
        }
    }
    clean_up(&worker);
    return status;
}
