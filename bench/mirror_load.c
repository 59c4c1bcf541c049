// A hub under load: the logs of many sites, signed for real, taken by a mirror as they come; and what is found in it then.
//
//   mirror_load FOLDER SITES DATASETS REPLICAS THREADS [logs|heads]
//
// With `heads` only the heads of batches are signed, and entries have random bytes for signatures: to the hub, which verifies the head and the chain
// that leads to it, that is all the same, and it is written in a tenth of the time. Clients would refuse the answers.
// With `logs` it only writes keys and logs (chunks, each behind its length), for a benchmark that pushes them to a real hub.
//
// Each dataset is at REPLICAS of the SITES. The logs are written to files in FOLDER first, compressed, so that what is measured is taking alone: reading the
// file, unpacking (1 to 2 µs an entry), verifying, the commit and the index. A file goes as soon as it was taken. FOLDER/hub is left as the directory of a site that has
// mirrored all of it, and FOLDER/site-N as those sites' keys. Prints a JSON object a line: progress, then the whole.
#include "base/calendar.h"
#include "base/hex.h"
#include "base/memory.h"
#include "ledger/chain.h"
#include "ledger/mirror.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "store/compressed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    THREADS_MAX = 64,
    SITES_MAX = 10000,
    CHUNK_BATCHES = 7, // Of about half a MiB each: what one request brings.
    CHUNK_SIZE_MAX = CHUNK_BATCHES * LEDGER_BATCH_SIZE_MAX,
    ALIASED_ONE_IN = 5,
    PROGRESS_SECONDS = 20,
    FINDS = 20000,
    HOT_IDS = 1000,
    TIME_US_BASE = 1795255200,
};

struct load {
    const char *folder;
    int64_t sites;
    int64_t datasets;
    int64_t replicas;
    size_t threads;
    bool is_only_logs;
    bool is_only_heads_signed;
    struct store *store;
    struct mirror *mirror;
    struct signing_key *keys[SITES_MAX];
    struct digest chained[SITES_MAX]; // So that nobody leaves the floor's work out.
    atomic_llong next_site;           // For the threads to share.
    atomic_llong done;                // Entries of this phase, but for CHAIN.
    int64_t began_us;
    double began_cpu_seconds;
    enum phase { WRITE, CHAIN, TAKE } phase;
};

static void fail(const char *what, const struct error *error)
{
    (void)fprintf(stderr, "mirror_load: %s: %s\n", what, error->detail);
    exit(1);
}

// splitmix64: what looks random and can be made again.
static uint64_t scramble(uint64_t x)
{
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

static void name_of(int64_t dataset, char *out, size_t size)
{
    (void)snprintf(out, size, "doi:10.5065/%016" PRIx64, scramble((uint64_t)dataset));
}

static bool is_at(const struct load *load, int64_t dataset, int64_t site)
{
    uint64_t first = scramble((uint64_t)dataset ^ 0x5EEDU) % (uint64_t)load->sites;
    uint64_t distance = ((uint64_t)site + (uint64_t)load->sites - first) % (uint64_t)load->sites;
    return distance < (uint64_t)load->replicas;
}

// --- logs

struct log {
    struct load *load;
    const struct signing_key *key;
    uint64_t seed; // Of made up signatures.
    int64_t serial;
    struct digest chain;
    struct buffer entries; // Of the batch under way.
    int64_t batch_count;
    struct buffer chunk;
    size_t chunk_batches;
    int fd;
};

static void append_statement(const char *front, const struct signature *signature, const char *back,
                             struct buffer *out)
{
    buffer_printf(out, "%s,\"signature\":\"", front);
    base64_append(out, signature->bytes, SIGNATURE_SIZE);
    buffer_printf(out, "\"%s", back);
}

static void sign(const struct signing_key *key, const char *front, const char *back,
                 struct buffer *out)
{
    AUTO_BUFFER struct buffer message = {0};
    struct signature signature;
    buffer_printf(&message, "lode-statement-1\n%s%s", front, back);
    signing_key_sign(key, buffer_text(&message), &signature);
    append_statement(front, &signature, back, out);
}

// What looks like a signature of the entry.
static void make_up(const struct log *log, const char *front, const char *back, struct buffer *out)
{
    uint64_t words[SIGNATURE_SIZE / sizeof(uint64_t)];
    struct signature signature;
    for (uint64_t i = 0; i < SIGNATURE_SIZE / sizeof *words; i++) {
        words[i] = scramble(log->seed ^ ((uint64_t)log->serial << 8) ^ i);
    }
    memcpy(signature.bytes, words, SIGNATURE_SIZE);
    append_statement(front, &signature, back, out);
}

static void flush_chunk(struct log *log)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer frame = {0};
    struct text chunk = buffer_text(&log->chunk);
    if (chunk.length == 0) {
        return;
    }
    if (!log->load->is_only_logs) {
        compressed_append(chunk, &frame);
        chunk = buffer_text(&frame);
    }
    uint64_t length = chunk.length;
    if (file_write_all(log->fd, (struct text){(const char *)&length, sizeof length}, &error) !=
            OK ||
        file_write_all(log->fd, chunk, &error) != OK) {
        fail("cannot write a log", &error);
    }
    buffer_clear(&log->chunk);
    log->chunk_batches = 0;
}

static void end_batch(struct log *log)
{
    AUTO_BUFFER struct buffer front = {0};
    AUTO_BUFFER struct buffer back = {0};
    char digest[DIGEST_TEXT_SIZE];
    if (log->batch_count == 0) {
        return;
    }
    buffer_printf(&front, "{\"epoch\":1,\"head\":\"%s\",\"kind\":\"head\",\"serial\":%" PRId64,
                  digest_to_text(&log->chain, digest), log->serial);
    buffer_printf(&back, ",\"site\":\"%s\",\"time\":\"2026-11-21T10:00:00Z\"}",
                  signing_key_fingerprint(log->key)->text);
    sign(log->key, front.bytes, back.bytes, &log->chunk);
    buffer_append_byte(&log->chunk, '\n');
    buffer_append_text(&log->chunk, buffer_text(&log->entries));
    buffer_clear(&log->entries);
    atomic_fetch_add(&log->load->done, log->batch_count);
    log->batch_count = 0;
    if (++log->chunk_batches == CHUNK_BATCHES) {
        flush_chunk(log);
    }
}

static void add_entry(struct log *log, int64_t dataset)
{
    AUTO_BUFFER struct buffer front = {0};
    AUTO_BUFFER struct buffer back = {0};
    char id[64];
    char digest[DIGEST_TEXT_SIZE];
    char time[CALENDAR_TEXT_SIZE];
    uint64_t noise = scramble((uint64_t)dataset ^ 0xA11A5U);
    name_of(dataset, id, sizeof id);
    struct digest content = digest_of(id, strlen(id));
    if (dataset % ALIASED_ONE_IN == 0) {
        buffer_printf(&front, "{\"aliases\":[\"ocean:run-%016" PRIx64 "\"]", noise);
    } else {
        buffer_append_string(&front, "{\"aliases\":[]");
    }
    log->serial++;
    buffer_printf(&front,
                  ",\"digest\":\"%s\",\"epoch\":1,\"file_count\":%d,\"id\":\"%s\",\"kind\":"
                  "\"dataset\",\"previous\":0,\"serial\":%" PRId64,
                  digest_to_text(&content, digest), (int)(noise % 1000), id, log->serial);
    int64_t time_us = TIME_US_BASE * INT64_C(1000000) + log->serial * 1000 + (int64_t)(noise % 999);
    buffer_printf(&back,
                  ",\"site\":\"%s\",\"size_bytes\":%" PRId64
                  ",\"state\":\"available\",\"tier\":\"online\",\"time\":\"%s\","
                  "\"title\":\"Monthly mean temperature and salinity, run %d\"}",
                  signing_key_fingerprint(log->key)->text, (int64_t)(noise >> 24),
                  calendar_format(time_us, time), (int)(noise % 100000));
    size_t before = log->entries.length;
    if (log->load->is_only_heads_signed) {
        make_up(log, front.bytes, back.bytes, &log->entries);
    } else {
        sign(log->key, front.bytes, back.bytes, &log->entries);
    }
    struct text entry = {log->entries.bytes + before, log->entries.length - before};
    log->chain = chain_next(&log->chain, entry);
    buffer_append_byte(&log->entries, '\n');
    if (++log->batch_count == LEDGER_BATCH_ENTRIES_MAX) {
        end_batch(log);
    }
}

static char *log_path(const struct load *load, int64_t site)
{
    return memory_format("%s/log-%" PRId64, load->folder, site);
}

static void write_log(struct load *load, int64_t site)
{
    AUTO_FREE char *path = log_path(load, site);
    struct log log = {.load = load, .key = load->keys[site], .seed = scramble(~(uint64_t)site)};
    log.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int64_t dataset = 0; dataset < load->datasets; dataset++) {
        if (is_at(load, dataset, site)) {
            add_entry(&log, dataset);
        }
    }
    end_batch(&log);
    flush_chunk(&log);
    (void)close(log.fd);
    buffer_done(&log.entries);
    buffer_done(&log.chunk);
}

// --- taking

// Without the index's files, which are mapped.
static int64_t own_kib(void)
{
    AUTO_BUFFER struct buffer status = {0};
    const char *line = NULL;
    if (file_read("/proc/self/status", 1 << 16, &status, NULL) == OK) {
        line = strstr(status.bytes, "RssAnon:");
    }
    return line ? strtoll(line + 8, NULL, 10) : 0;
}

static bool read_whole(int fd, void *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        ssize_t got = read(fd, (char *)bytes + at, length - at);
        if (got <= 0) {
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

// Reads the next chunk of a log; false at its end.
static bool read_chunk(int fd, struct buffer *chunk)
{
    uint64_t length = 0;
    struct error error = {0};
    AUTO_BUFFER struct buffer frame = {0};
    buffer_clear(chunk);
    if (fd < 0 || !read_whole(fd, &length, sizeof length) ||
        !read_whole(fd, buffer_reserve(&frame, (size_t)length), (size_t)length)) {
        return false;
    }
    buffer_advance(&frame, (size_t)length);
    if (compressed_read(buffer_text(&frame), CHUNK_SIZE_MAX, chunk, &error) != OK) {
        fail("a log cannot be read", &error);
    }
    return true;
}

// The floor: the file is read, and each entry goes into the chain.
static void chain_log(struct load *load, int64_t site)
{
    AUTO_FREE char *path = log_path(load, site);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO_BUFFER struct buffer chunk = {0};
    struct digest chain = {{0}};
    while (read_chunk(fd, &chunk)) {
        struct text rest = buffer_text(&chunk);
        struct text line;
        while (text_next_part(&rest, '\n', &line)) {
            chain = chain_next(&chain, line);
        }
    }
    load->chained[site] = chain;
}

static void take_log(struct load *load, int64_t site)
{
    AUTO_FREE char *path = log_path(load, site);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO_BUFFER struct buffer chunk = {0};
    struct error error = {0};
    int64_t before = 0;
    while (read_chunk(fd, &chunk)) {
        struct ledger_position position;
        if (mirror_take(load->mirror, signing_key_public(load->keys[site]), buffer_text(&chunk),
                        &position, &error) != OK) {
            fail("a log was refused", &error);
        }
        atomic_fetch_add(&load->done, position.serial - before);
        before = position.serial;
    }
    (void)unlink(path);
}

static void *work(void *context)
{
    struct load *load = context;
    for (;;) {
        int64_t site = atomic_fetch_add(&load->next_site, 1);
        if (site >= load->sites) {
            return NULL;
        }
        if (load->phase == WRITE) {
            write_log(load, site);
        } else if (load->phase == CHAIN) {
            chain_log(load, site);
        } else {
            take_log(load, site);
        }
    }
}

static int64_t file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info.st_size : 0;
}

// `who` is RUSAGE_SELF, which is all threads, those that merge the index's files too, or RUSAGE_THREAD.
static double cpu_seconds(int who)
{
    struct rusage usage;
    if (getrusage(who, &usage) != 0) {
        return 0;
    }
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void say(const struct load *load, const char *name, int64_t entries, int64_t us)
{
    AUTO_FREE char *database = memory_format("%s/hub/lode.db", load->folder);
    struct mirror_figures figures = mirror_figures(load->mirror);
    (void)printf(
        "{\"name\": \"%s\", \"entries\": %" PRId64 ", \"seconds\": %.3f, "
        "\"cpu_seconds\": %.3f, \"per_second\": %.0f, \"own_mib\": %.1f, \"index_mib\": %.1f, "
        "\"store_mib\": %.1f}\n",
        name, entries, (double)us / 1e6, cpu_seconds(RUSAGE_SELF) - load->began_cpu_seconds,
        (double)entries / ((double)us / 1e6), (double)own_kib() / 1024,
        (double)figures.index_size_bytes / 1048576, (double)file_size(database) / 1048576);
    (void)fflush(stdout);
}

// What the phases are called: their threads, and the lines of progress and of the whole.
static const struct {
    const char *thread;
    const char *progress;
    const char *whole;
} PHASES[] = {
    [WRITE] = {"write", "hub_write_progress", "hub_write"},
    [CHAIN] = {"chain", NULL, "hub_chain"},
    [TAKE] = {"take", "hub_load_progress", "hub_load"},
};

static void run_threads(struct load *load, enum phase phase)
{
    pthread_t threads[THREADS_MAX];
    struct error error = {0};
    load->phase = phase;
    atomic_store(&load->next_site, 0);
    atomic_store(&load->done, 0);
    load->began_us = clock_steady_us();
    load->began_cpu_seconds = cpu_seconds(RUSAGE_SELF);
    for (size_t i = 0; i < load->threads; i++) {
        if (thread_start(&threads[i], PHASES[phase].thread, work, load, &error) != OK) {
            fail("no thread", &error);
        }
    }
    int64_t told_us = load->began_us;
    int64_t told = 0;
    int64_t all = load->datasets * load->replicas;
    while (PHASES[phase].progress && !load->is_only_logs && atomic_load(&load->done) < all) {
        struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
        int64_t now_us = clock_steady_us();
        if (now_us - told_us > PROGRESS_SECONDS * INT64_C(1000000)) {
            int64_t done = atomic_load(&load->done);
            say(load, PHASES[phase].progress, done - told, now_us - told_us);
            told = done;
            told_us = now_us;
        }
    }
    for (size_t i = 0; i < load->threads; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

// What a hub is told that has all of it already: each site's log from where it ends, and its last head.
static void take_again(struct load *load)
{
    int64_t commits = store_figures(load->store).commits;
    int64_t before_us = clock_steady_us();
    for (int64_t site = 0; site < load->sites; site++) {
        const struct fingerprint *fingerprint = signing_key_fingerprint(load->keys[site]);
        struct ledger_position position = mirror_position(load->mirror, fingerprint);
        AUTO_BUFFER struct buffer head = {0};
        struct error error = {0};
        if (mirror_head(load->mirror, fingerprint, &head, &error) != OK ||
            mirror_take(load->mirror, signing_key_public(load->keys[site]), buffer_text(&head),
                        &position, &error) != OK) {
            fail("a log was refused", &error);
        }
    }
    (void)printf("{\"name\": \"hub_up_to_date\", \"us_each\": %.1f, \"commits\": %" PRId64 "}\n",
                 (double)(clock_steady_us() - before_us) / (double)load->sites,
                 store_figures(load->store).commits - commits);
}

// --- finding

static void count_entry(void *context, const struct mirror_entry *entry)
{
    size_t *bytes = context;
    *bytes += entry->entry.length;
}

static int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure_finds(struct load *load, const char *name, int64_t ids)
{
    AUTO_FREE double *times = memory_new(FINDS, sizeof *times);
    size_t bytes = 0;
    int64_t found = 0;
    double began_cpu_seconds = cpu_seconds(RUSAGE_THREAD);
    for (int64_t i = 0; i < FINDS; i++) {
        char id[64];
        name_of((int64_t)(scramble((uint64_t)i) % (uint64_t)ids), id, sizeof id);
        int64_t before_us = clock_steady_us();
        // Ten of the same, as the clock counts whole microseconds.
        for (int each = 0; each < 10; each++) {
            found += (int64_t)mirror_find(load->mirror, text_of(id), 100, count_entry, &bytes);
        }
        times[i] = (double)(clock_steady_us() - before_us) / 10;
    }
    qsort(times, FINDS, sizeof *times, compare_times);
    double cpu_us = (cpu_seconds(RUSAGE_THREAD) - began_cpu_seconds) * 1e6 / (FINDS * 10);
    (void)printf("{\"name\": \"%s\", \"finds\": %d, \"entries_each\": %.2f, \"cpu_us\": %.2f, "
                 "\"median_us\": %.2f, "
                 "\"p99_us\": %.2f, \"own_mib\": %.1f}\n",
                 name, FINDS * 10, (double)found / FINDS / 10, cpu_us, times[FINDS / 2],
                 times[FINDS * 99 / 100], (double)own_kib() / 1024);
    (void)fflush(stdout);
}

// --- all of it

static void open_all(struct load *load)
{
    AUTO_FREE char *hub = memory_format("%s/hub", load->folder);
    AUTO_FREE char *database = memory_format("%s/lode.db", hub);
    AUTO_FREE char *index = memory_format("%s/index", hub);
    struct error error = {0};
    if (file_make_folder(hub, &error) != OK) {
        fail("no folder", &error);
    }
    struct store_options store = {.url = database,
                                  .migrations = LEDGER_MIGRATIONS,
                                  .migration_count = LEDGER_MIGRATION_COUNT};
    if (store_open(&store, &load->store, &error) != OK) {
        fail("no store", &error);
    }
    struct mirror_options options = {.store = load->store, .index_folder = index};
    if (mirror_open(&options, &load->mirror, &error) != OK) {
        fail("no mirror", &error);
    }
    for (int64_t site = 0; site < load->sites; site++) {
        AUTO_FREE char *place = memory_format("%s/site-%" PRId64, load->folder, site);
        struct fingerprint fingerprint;
        if (file_make_folder(place, &error) != OK ||
            key_ensure(place, "site", &fingerprint, &error) != OK ||
            signing_key_open(place, &load->keys[site], &error) != OK) {
            fail("no key", &error);
        }
    }
}

static int64_t number_of(const char *text, int64_t max)
{
    int64_t number = 0;
    if (!text_to_int64(text_of(text), &number) || number < 1 || number > max) {
        (void)fprintf(stderr, "mirror_load: \"%s\" is not a number from 1 to %" PRId64 "\n", text,
                      max);
        exit(2);
    }
    return number;
}

static void measure_all(struct load *load)
{
    for (enum phase phase = WRITE; phase <= TAKE; phase++) {
        run_threads(load, phase);
        say(load, PHASES[phase].whole, load->datasets * load->replicas,
            clock_steady_us() - load->began_us);
    }
    take_again(load);
    measure_finds(load, "hub_find_hot", load->datasets < HOT_IDS ? load->datasets : HOT_IDS);
    measure_finds(load, "hub_find_random", load->datasets);
}

int main(int count, char **arguments)
{
    bool is_only_logs = count == 7 && strcmp(arguments[6], "logs") == 0;
    bool is_only_heads_signed = count == 7 && strcmp(arguments[6], "heads") == 0;
    if (count != 6 && !is_only_logs && !is_only_heads_signed) {
        (void)fprintf(stderr,
                      "usage: mirror_load FOLDER SITES DATASETS REPLICAS THREADS [logs|heads]\n");
        return 2;
    }
    struct load *load = NEW(struct load);
    load->folder = arguments[1];
    load->sites = number_of(arguments[2], SITES_MAX);
    load->datasets = number_of(arguments[3], INT64_C(1000000000));
    load->replicas = number_of(arguments[4], load->sites);
    load->threads = (size_t)number_of(arguments[5], THREADS_MAX);
    load->is_only_logs = is_only_logs;
    load->is_only_heads_signed = is_only_heads_signed;
    open_all(load);
    if (is_only_logs) {
        run_threads(load, WRITE);
    } else {
        measure_all(load);
    }
    mirror_close(load->mirror);
    store_close(load->store);
    for (int64_t site = 0; site < load->sites; site++) {
        signing_key_free(load->keys[site]);
    }
    free(load);
    return 0;
}
