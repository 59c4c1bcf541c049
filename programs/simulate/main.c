// lode-simulate: drives the real scheduler through years of a large site in seconds, from a seed, and asserts what must hold.
#include "world.h"

#include "base/json.h"
#include "os/clock.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

static const char usage[] =
    "Usage: lode-simulate [OPTION...]\n"
    "\n"
    "Runs a simulated site on Lode's scheduler: workers fail and come back, tasks fail, groups "
    "compete. Ends with status 1\n"
    "when a task is committed twice or never, a capacity is exceeded, a lease crosses places, a "
    "held\n"
    "task is leased, a worker gets tasks of a group out of turn or what it cannot end before it "
    "leaves,\n"
    "what has no checkpoints is to give way, or competing groups do not get their shares.\n"
    "\n"
    "  --workers N            workers (default 200)\n"
    "  --jobs N               jobs (50)\n"
    "  --tasks N              tasks of all jobs together (200000)\n"
    "  --seed N               the same seed gives the same run, and the same digest (1)\n"
    "  --failures RATE        part of the attempts that fail (0.01)\n"
    "  --worker-failures N    times an hour that a worker crashes or falls silent (4)\n"
    "  --restarts N           times that the site restarts and is told of leases again (2)\n"
    "  --elsewhere PART       part of the jobs that are to run at other places (0.1)\n"
    "  --lifetimes PART       part of the workers that leave at a time that is known before (0)\n"
    "  --poison PART          part of the tasks whose worker dies of them: they must be held (0)\n"
    "  --limited PART         part of the workers that are for one owner's jobs, or spare ones "
    "(0)\n"
    "  --checkpoints PART     part of the jobs that have some: their tasks give way to others (0)\n"
    "  --dedicated PART       part of the workers that work for two of the groups, in order (0.1)\n"
    "  --json                 one JSON object\n"
    "\n"
    "Example: lode-simulate --workers 10000 --jobs 1000 --tasks 10000000 --seed 7\n";

struct options {
    struct world_settings settings;
    bool is_json;
    bool is_help;
};

static bool read_count(const char *text, int64_t min, int64_t max, int64_t *out)
{
    int64_t value = 0;
    if (!text_to_int64(text_of(text), &value) || value < min || value > max) {
        (void)fprintf(stderr,
                      "lode-simulate: \"%s\" is no whole number from %" PRId64 " to %" PRId64 "\n",
                      text, min, max);
        return false;
    }
    *out = value;
    return true;
}

static bool read_rate(const char *text, double max, double *out)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= max)) {
        (void)fprintf(stderr, "lode-simulate: \"%s\" is no number from 0 to %g\n", text, max);
        return false;
    }
    *out = value;
    return true;
}

// The options that are rates and parts; false for any other.
static bool read_part(int letter, struct world_settings *settings)
{
    switch (letter) {
    case 'f':
        return read_rate(optarg, 0.9, &settings->failures);
    case 'W':
        return read_rate(optarg, 100, &settings->worker_failures_an_hour);
    case 'e':
        return read_rate(optarg, 1, &settings->elsewhere);
    case 'l':
        return read_rate(optarg, 1, &settings->lifetimes);
    case 'p':
        return read_rate(optarg, 0.5, &settings->poison);
    case 'd':
        return read_rate(optarg, 1, &settings->dedicated);
    case 'c':
        return read_rate(optarg, 1, &settings->checkpoints);
    case 'L':
        return read_rate(optarg, 1, &settings->limited);
    default:
        return false;
    }
}

static bool read_options(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {
        {"workers", required_argument, NULL, 'w'},
        {"jobs", required_argument, NULL, 'j'},
        {"tasks", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {"failures", required_argument, NULL, 'f'},
        {"worker-failures", required_argument, NULL, 'W'},
        {"restarts", required_argument, NULL, 'r'},
        {"elsewhere", required_argument, NULL, 'e'},
        {"lifetimes", required_argument, NULL, 'l'},
        {"poison", required_argument, NULL, 'p'},
        {"dedicated", required_argument, NULL, 'd'},
        {"limited", required_argument, NULL, 'L'},
        {"checkpoints", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'J'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct world_settings *settings = &out->settings;
    int64_t seed = 1;
    bool is_good = true;
    int letter;
    while (is_good && (letter = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (letter) {
        case 'w':
            is_good = read_count(optarg, 1, 1000000, &settings->workers);
            break;
        case 'j':
            is_good = read_count(optarg, 1, 1000000, &settings->jobs);
            break;
        case 't':
            is_good = read_count(optarg, 1, INT64_C(1000000000), &settings->tasks);
            break;
        case 's':
            is_good = read_count(optarg, 1, INT64_MAX, &seed);
            break;
        case 'r':
            is_good = read_count(optarg, 0, 1000, &settings->restarts);
            break;
        case 'J':
            out->is_json = true;
            break;
        case 'h':
            out->is_help = true;
            break;
        default:
            is_good = read_part(letter, settings);
        }
    }
    settings->seed = (uint64_t)seed;
    settings->tasks = settings->tasks > settings->jobs ? settings->tasks : settings->jobs;
    return is_good && optind == argc;
}

static json_t *describe_meter(const struct meter *meter)
{
    double total_us = meter->total_us > 0 ? (double)meter->total_us : 1;
    return json_pack("{s:I, s:I, s:f, s:f, s:I, s:I, s:I}", "decisions", (json_int_t)meter->count,
                     "calls", (json_int_t)meter->calls, "per_second",
                     (double)meter->count * 1e6 / total_us, "mean_us",
                     total_us / (double)(meter->calls > 0 ? meter->calls : 1), "median_us",
                     (json_int_t)meter_quantile(meter, 0.5), "p99_us",
                     (json_int_t)meter_quantile(meter, 0.99), "max_us", (json_int_t)meter->max_us);
}

static json_t *describe(const struct world *world, double real_s)
{
    const struct world_figures *figures = &world->figures;
    struct rusage usage_now = {0};
    (void)getrusage(RUSAGE_SELF, &usage_now);
    char digest[32];
    (void)snprintf(digest, sizeof digest, "%016" PRIx64, world->digest);
    double decisions = (double)(world->leasing.count + world->finishing.count);
    double decision_us = (double)(world->leasing.total_us + world->finishing.total_us);
    json_t *object = json_pack(
        "{s:I, s:I, s:I, s:I, s:s, s:f, s:f}", "workers", (json_int_t)world->settings.workers,
        "jobs", (json_int_t)world->settings.jobs, "tasks", (json_int_t)world->settings.tasks,
        "seed", (json_int_t)world->settings.seed, "digest", digest, "simulated_seconds",
        (double)world->now_us / 1e6, "real_seconds", real_s);
    json_t *more = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I}",
        "leases", (json_int_t)figures->leases, "leases_elsewhere", (json_int_t)figures->elsewhere,
        "attempts", (json_int_t)figures->attempts, "retries", (json_int_t)figures->retries,
        "duplicates", (json_int_t)figures->duplicates, "failed_tasks", (json_int_t)figures->failed,
        "worker_crashes", (json_int_t)figures->crashes, "worker_silences",
        (json_int_t)figures->silences, "lives_ended", (json_int_t)figures->lives, "leases_cut",
        (json_int_t)figures->cut, "leases_cut_of_unknown_length", (json_int_t)figures->cut_unknown,
        "leases_cut_after_a_wait", (json_int_t)figures->cut_late, "reattached",
        (json_int_t)figures->reattached, "restarts", (json_int_t)figures->restarts,
        "shares_compared", (json_int_t)figures->shares_compared, "worst_share_ratio",
        figures->worst_share, "events", (json_int_t)figures->events);
    (void)json_object_update(object, more);
    (void)json_object_set_new(object, "held", json_integer(figures->held));
    (void)json_object_set_new(object, "held_innocent", json_integer(figures->held_innocent));
    (void)json_object_set_new(object, "released", json_integer(figures->released));
    (void)json_object_set_new(object, "leases_dedicated", json_integer(figures->dedicated));
    (void)json_object_set_new(object, "leases_limited", json_integer(figures->limited));
    (void)json_object_set_new(object, "leases_given_up", json_integer(figures->yields));
    (void)json_object_set_new(object, "worker_moves", json_integer(figures->moves));
    json_decref(more);
    (void)json_object_set_new(object, "decisions_per_second",
                              json_real(decisions * 1e6 / (decision_us > 0 ? decision_us : 1)));
    (void)json_object_set_new(object, "lease", describe_meter(&world->leasing));
    (void)json_object_set_new(object, "finish", describe_meter(&world->finishing));
    (void)json_object_set_new(object, "peak_memory_bytes",
                              json_integer((json_int_t)usage_now.ru_maxrss * 1024));
    return object;
}

static void print_lines(const json_t *object, const char *prefix)
{
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const json_t *value = json_object_iter_value(at);
        AUTO_BUFFER struct buffer name = {0};
        buffer_printf(&name, "%s%s", prefix, json_object_iter_key(at));
        if (json_is_real(value)) {
            (void)printf("%-22s %.2f\n", name.bytes, json_real_value(value));
        } else if (json_is_integer(value)) {
            (void)printf("%-22s %lld\n", name.bytes, (long long)json_integer_value(value));
        } else if (json_is_string(value)) {
            (void)printf("%-22s %s\n", name.bytes, json_string_value(value));
        }
    }
}

static void print_result(const struct world *world, double real_s, bool is_json)
{
    AUTO_JSON json_t *object = describe(world, real_s);
    if (is_json) {
        AUTO_BUFFER struct buffer text = {0};
        json_write(object, false, &text);
        (void)printf("%s\n", text.bytes);
        return;
    }
    print_lines(object, "");
    print_lines(json_object_get(object, "lease"), "lease ");
    print_lines(json_object_get(object, "finish"), "finish ");
}

int main(int argc, char **argv)
{
    struct options options = {.settings = {.workers = 200,
                                           .jobs = 50,
                                           .tasks = 200000,
                                           .failures = 0.01,
                                           .worker_failures_an_hour = 4,
                                           .restarts = 2,
                                           .elsewhere = 0.1,
                                           .dedicated = 0.1}};
    if (!read_options(argc, argv, &options) || options.is_help) {
        (void)fputs(usage, options.is_help ? stdout : stderr);
        return options.is_help ? 0 : 2;
    }
    int64_t begin_us = clock_steady_us();
    struct error error = {0};
    struct world *world = world_new(&options.settings);
    enum status status = world_run(world, &error);
    double real_s = (double)(clock_steady_us() - begin_us) / 1e6;
    if (status != OK) {
        (void)fprintf(stderr, "lode-simulate: seed %" PRIu64 ": %s\n", options.settings.seed,
                      error.detail);
    }
    print_result(world, real_s, options.is_json);
    world_free(world);
    return status == OK ? 0 : 1;
}
