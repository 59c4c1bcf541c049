// Rates of the ordered map as a hub's index: entries of several sites, each site's in an order of its own, then look-ups of random ids.
//
//     ordered_rate FOLDER [IDS [SITES [LOOKUPS [scan]]]]     (default: 1,000,000 ids at 5 sites, 200,000 look-ups; FOLDER is removed at the end)
//
// All entries of an id are records under one key, found by one look-up; with `scan` each has a key of its own, and they are found by a scan.
//
// Prints one line of JSON. Files are merged in the background: `load_per_second` ends when all is durable, `fresh` look-ups (a tenth of the
// number) are those at once after that, `merged_per_second` ends when nothing is left to merge, `settle_seconds` after the load, and `found` and
// `missing` look-ups are those from then on. `load_cpu_us` and `merged_cpu_us` are the processor time of an entry until then, all threads together.
#include "base/memory.h"
#include "base/text.h"
#include "store/ordered.h"
#include "store/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
    BATCH_ENTRIES = 1000,
    GROUP_BYTES = 40,
    KEY_BYTES = GROUP_BYTES + 16,
    VALUE_BYTES = 350,
    RANDOM_BYTES_OF_VALUE =
        150, // Digests and signatures, as text of 4 to 6 bits a byte; the rest is alike in all.
    FRESH_ONE_IN = 10,
    LINE_MAX = 256,
};

struct load {
    struct ordered *ordered;
    struct ordered_batch *batch;
    uint64_t ids;
    uint64_t sites;
    bool combines; // All entries of an id under one key; else a key for each, found by a scan.
    struct buffer change;
    double batch_seconds_max;
};

// What was spent until then.
struct spent {
    double seconds;
    double cpu_seconds;
};

struct lookups {
    double seconds;
    double cpu_us;
    double p99_us;
    uint64_t entries;
};

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static _Noreturn void give_up(const struct error *error)
{
    (void)fprintf(stderr, "ordered_rate: %s\n", error->detail);
    exit(1);
}

static uint64_t mix(uint64_t number)
{
    number = (number ^ (number >> 33)) * 0xff51afd7ed558ccdU;
    number = (number ^ (number >> 33)) * 0xc4ceb9fe1a85ec53U;
    return number ^ (number >> 33);
}

static void fill_hex(char *out, size_t length, uint64_t seed)
{
    for (size_t i = 0; i < length; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        out[i] = "0123456789abcdef"[seed >> 60];
    }
}

// "sha256:" with 32 hex digits and a zero byte, and the 16 bytes of a site.
static void make_key(char key[KEY_BYTES], uint64_t id, uint64_t site)
{
    memcpy(key, "sha256:", 7);
    fill_hex(key + 7, 32, mix(id + 1));
    key[GROUP_BYTES - 1] = 0;
    fill_hex(key + GROUP_BYTES, KEY_BYTES - GROUP_BYTES, mix(site + 1));
}

static void write_batch(struct load *load)
{
    struct error error;
    double start = seconds_of(CLOCK_MONOTONIC);
    if (ordered_write(load->ordered, load->batch, &error) != OK) {
        give_up(&error);
    }
    double spent = seconds_of(CLOCK_MONOTONIC) - start;
    load->batch_seconds_max = spent > load->batch_seconds_max ? spent : load->batch_seconds_max;
}

static enum status add_entry(struct load *load, struct text key, struct text value,
                             struct error *error)
{
    if (!load->combines) {
        return ordered_batch_put(load->batch, key, value, error);
    }
    const struct record record = {.key = text_slice(key, GROUP_BYTES, KEY_BYTES), .value = value};
    buffer_clear(&load->change);
    records_append(&load->change, &record);
    return ordered_batch_combine(load->batch, text_slice(key, 0, GROUP_BYTES),
                                 buffer_text(&load->change), error);
}

static void load_site(struct load *load, uint64_t site)
{
    char key[KEY_BYTES];
    char value[VALUE_BYTES];
    struct error error;
    memset(value, ' ', sizeof value);
    for (uint64_t i = 0; i < load->ids; i++) {
        make_key(key, (i + site * 12345) % load->ids, site);
        fill_hex(value, RANDOM_BYTES_OF_VALUE, mix(i * load->sites + site));
        if (add_entry(load, (struct text){key, sizeof key}, (struct text){value, sizeof value},
                      &error) != OK) {
            give_up(&error);
        }
        if (ordered_batch_count(load->batch) == BATCH_ENTRIES) {
            write_batch(load);
        }
    }
    write_batch(load);
}

static void load_all(struct load *load)
{
    struct error error;
    for (uint64_t site = 0; site < load->sites; site++) {
        load_site(load, site);
    }
    if (ordered_sync(load->ordered, &error) != OK) {
        give_up(&error);
    }
}

static void await_merges(const struct load *load)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    while (ordered_figures(load->ordered).is_merging) {
        (void)nanosleep(&pause, NULL);
    }
}

static struct spent spent_since(const struct spent *start)
{
    return (struct spent){
        .seconds = seconds_of(CLOCK_MONOTONIC) - start->seconds,
        .cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start->cpu_seconds,
    };
}

static bool count_entry(void *context, struct text key, struct text value)
{
    uint64_t *count = context;
    (void)key;
    *count += value.length > 0;
    return true;
}

static bool count_records(void *context, struct text key, struct text value)
{
    uint64_t *count = context;
    struct record record;
    (void)key;
    while (records_next(&value, &record) == OK) {
        *count += record.value.length > 0;
    }
    return true;
}

static enum status look_one_up(const struct load *load, struct text group, uint64_t *entries,
                               struct error *error)
{
    if (!load->combines) {
        return ordered_scan(load->ordered, group, TEXT_NONE, count_entry, entries, error);
    }
    enum status status = ordered_visit(load->ordered, group, count_records, entries, error);
    return status == NOT_FOUND ? OK : status;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

// Ids from `first` on, in random order; those from `load->ids` on are not there.
static struct lookups look_up(const struct load *load, uint64_t first, uint64_t count)
{
    struct lookups result = {0};
    struct error error;
    AUTO_FREE double *spent = memory_new(count, sizeof *spent);
    double start = seconds_of(CLOCK_MONOTONIC);
    double cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < count; i++) {
        char key[KEY_BYTES];
        make_key(key, first + mix(i) % load->ids, 0);
        double before = seconds_of(CLOCK_MONOTONIC);
        if (look_one_up(load, (struct text){key, GROUP_BYTES}, &result.entries, &error) != OK) {
            give_up(&error);
        }
        spent[i] = seconds_of(CLOCK_MONOTONIC) - before;
    }
    result.seconds = seconds_of(CLOCK_MONOTONIC) - start;
    result.cpu_us = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e6 / (double)count;
    qsort(spent, count, sizeof *spent, compare_doubles);
    result.p99_us = spent[count - 1 - count / 100] * 1e6;
    return result;
}

// VmHWM, the most that was resident, in KiB.
static long resident_max(void)
{
    char line[LINE_MAX];
    long found = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            found = strtol(line + 6, NULL, 10);
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return found;
}

static void print_lookups(const char *name, const struct lookups *lookups, uint64_t count)
{
    (void)printf(", \"%s_per_second\": %.0f, \"%s_cpu_us\": %.1f, \"%s_p99_us\": %.0f", name,
                 (double)count / lookups->seconds, name, lookups->cpu_us, name, lookups->p99_us);
}

static uint64_t number_of(int argc, char **argv, int at, uint64_t otherwise)
{
    int64_t number = 0;
    bool is_given = at < argc && text_to_int64(text_of(argv[at]), &number) && number > 0;
    return is_given ? (uint64_t)number : otherwise;
}

static void print_load(const struct load *load, const struct spent *loaded,
                       const struct spent *merged)
{
    double entries = (double)(load->ids * load->sites);
    (void)printf("{\"name\": \"ordered\", \"entries\": %.0f, \"load_per_second\": %.0f, "
                 "\"load_cpu_us\": %.1f, \"merged_per_second\": %.0f, \"merged_cpu_us\": %.1f, "
                 "\"settle_seconds\": %.1f, \"batch_max_ms\": %.0f",
                 entries, entries / loaded->seconds, loaded->cpu_seconds * 1e6 / entries,
                 entries / merged->seconds, merged->cpu_seconds * 1e6 / entries,
                 merged->seconds - loaded->seconds, load->batch_seconds_max * 1000);
}

static void print_sizes(struct ordered *ordered)
{
    struct ordered_figures figures = ordered_figures(ordered);
    (void)printf(", \"file_mib\": %" PRId64 ", \"memory_mib\": %" PRId64
                 ", \"resident_max_mib\": %ld}\n",
                 figures.file_bytes >> 20, figures.memory_bytes >> 20, resident_max() >> 10);
}

static void measure(struct load *load, uint64_t count)
{
    uint64_t fresh_count = count / FRESH_ONE_IN + 1;
    const struct spent nothing = {0};
    const struct spent start = spent_since(&nothing);
    load_all(load);
    struct spent loaded = spent_since(&start);
    struct lookups fresh = look_up(load, 0, fresh_count);
    await_merges(load);
    struct spent merged = spent_since(&start);
    struct lookups found = look_up(load, 0, count);
    struct lookups missing = look_up(load, load->ids, count);
    if (found.entries != count * load->sites || missing.entries != 0) {
        (void)fprintf(stderr, "ordered_rate: %" PRIu64 " entries found\n", found.entries);
        exit(1);
    }
    print_load(load, &loaded, &merged);
    print_lookups("fresh", &fresh, fresh_count);
    print_lookups("found", &found, count);
    print_lookups("missing", &missing, count);
    print_sizes(load->ordered);
}

int main(int argc, char **argv)
{
    struct error error;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: ordered_rate FOLDER [IDS [SITES [LOOKUPS [scan]]]]\n");
        return 2;
    }
    struct load load = {
        .ids = number_of(argc, argv, 2, 1000000),
        .sites = number_of(argc, argv, 3, 5),
        .combines = argc < 6 || strcmp(argv[5], "scan") != 0,
    };
    ordered_combine_fn *combine = load.combines ? records_combine : NULL;
    if (ordered_open(argv[1], combine, &load.ordered, &error) != OK) {
        give_up(&error);
    }
    load.batch = ordered_batch_new(load.ordered);
    measure(&load, number_of(argc, argv, 4, 200000));
    ordered_batch_free(load.batch);
    buffer_done(&load.change);
    ordered_close(load.ordered);
    if (ordered_remove(argv[1], &error) != OK) {
        give_up(&error);
    }
    return 0;
}
