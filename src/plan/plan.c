#include "plan/plan.h"

#include "base/memory.h"
#include "base/sum.h"

#include "plan/plan_words.h"

#include <assert.h>

const char *plan_kind_name(enum plan_kind kind)
{
    static const char *const NAMES[] = {"local", "at", "split", "move"};
    assert((unsigned)kind < sizeof NAMES / sizeof NAMES[0]);
    return NAMES[kind];
}

struct planning {
    const struct plan_request *request;
    struct arena *arena;
    struct plan *plan;
    int home;             // Its index, or -1.
    bool is_rate_assumed; // For the option being made.
};

// Seconds that so many bytes take from site to site.
static double seconds_between(struct planning *planning, double bytes, int from, int to)
{
    if (from == to || from < 0 || to < 0 || bytes <= 0) {
        return 0;
    }
    double rate = planning->request->rates[from][to];
    if (rate <= 0) {
        planning->is_rate_assumed = true;
        rate = PLAN_RATE_DEFAULT;
    }
    return bytes / rate;
}

static bool is_wanted(const struct plan_request *request, size_t site)
{
    return request->wanted_site < 0 || (size_t)request->wanted_site == site;
}

static struct plan_option *add_option(struct planning *planning, enum plan_kind kind, int site)
{
    struct plan_option *option = &planning->plan->options[planning->plan->option_count++];
    planning->is_rate_assumed = false;
    *option = (struct plan_option){.kind = kind, .site = site};
    return option;
}

static void finish_option(struct planning *planning, struct plan_option *option)
{
    option->reason =
        plan_option_words(planning->request, option, planning->is_rate_assumed, planning->arena);
}

static bool has_all(const struct plan_request *request, size_t site)
{
    for (size_t d = 0; d < request->data_count; d++) {
        if (!request->data[d].is_at[site]) {
            return false;
        }
    }
    return true;
}

// Runs where everything is already.
static void consider_site(struct planning *planning, size_t s)
{
    const struct plan_request *request = planning->request;
    const struct plan_site *site = &request->sites[s];
    if (!site->has_offer || !has_all(request, s)) {
        return;
    }
    struct plan_option *option = add_option(planning, site->is_home ? PLAN_LOCAL : PLAN_AT, (int)s);
    bool travels = planning->home >= 0 && (int)s != planning->home;
    option->bytes_moved = travels ? (int64_t)request->result_bytes : 0;
    option->seconds = site->start_seconds + site->run_seconds +
                      seconds_between(planning, request->result_bytes, (int)s, planning->home);
    option->core_hours = site->core_hours;
    finish_option(planning, option);
}

// The site that has the data and would be done first with all of it; -1: none.
static int quickest_holder(const struct plan_request *request, const struct plan_data *data)
{
    int best = -1;
    for (size_t s = 0; s < request->site_count; s++) {
        const struct plan_site *site = &request->sites[s];
        if (!data->is_at[s] || !site->has_offer) {
            continue;
        }
        const struct plan_site *known = best < 0 ? NULL : &request->sites[best];
        if (!known ||
            site->start_seconds + site->run_seconds < known->start_seconds + known->run_seconds) {
            best = (int)s;
        }
    }
    return best;
}

static struct plan_part *part_at(struct plan_option *option, int site)
{
    for (size_t p = 0; p < option->part_count; p++) {
        if (option->parts[p].site == site) {
            return &option->parts[p];
        }
    }
    struct plan_part *part = &option->parts[option->part_count++];
    part->site = site;
    return part;
}

static double total_size(const struct plan_request *request)
{
    double total = 0;
    for (size_t d = 0; d < request->data_count; d++) {
        total += (double)request->data[d].size_bytes;
    }
    return total;
}

// What part of the whole work the data of the part is: by size, or by number where no size is known.
static double share_of(const struct plan_request *request, const struct plan_part *part)
{
    double total = total_size(request);
    double share = 0;
    for (size_t d = 0; d < request->data_count; d++) {
        if (part->has_data[d]) {
            share += total > 0 ? (double)request->data[d].size_bytes / total
                               : 1.0 / (double)request->data_count;
        }
    }
    return share;
}

static void price_split(struct planning *planning, struct plan_option *option)
{
    const struct plan_request *request = planning->request;
    for (size_t p = 0; p < option->part_count; p++) {
        const struct plan_site *site = &request->sites[option->parts[p].site];
        double share = share_of(request, &option->parts[p]);
        double seconds =
            site->start_seconds + site->run_seconds * share +
            seconds_between(planning, request->result_bytes, option->parts[p].site, option->site);
        option->seconds = seconds > option->seconds ? seconds : option->seconds;
        option->core_hours += site->core_hours * share;
        option->bytes_moved +=
            option->parts[p].site == option->site ? 0 : (int64_t)request->result_bytes;
    }
}

static const struct plan_part *largest_part(const struct plan_request *request,
                                            const struct plan_option *option)
{
    const struct plan_part *largest = &option->parts[0];
    for (size_t p = 1; p < option->part_count; p++) {
        if (share_of(request, &option->parts[p]) > share_of(request, largest)) {
            largest = &option->parts[p];
        }
    }
    return largest;
}

// Each part where its data lies, merged at home, or, where nothing runs there, at the site of the largest part.
static void consider_split(struct planning *planning)
{
    const struct plan_request *request = planning->request;
    if (!request->may_split || request->wanted_site >= 0 || request->data_count < 2) {
        return;
    }
    struct plan_option option = {.kind = PLAN_SPLIT, .site = planning->home};
    option.parts = arena_new(planning->arena, request->data_count * sizeof(struct plan_part));
    for (size_t d = 0; d < request->data_count; d++) {
        int site = quickest_holder(request, &request->data[d]);
        if (site < 0) {
            return;
        }
        part_at(&option, site)->has_data[d] = true;
    }
    if (option.part_count < 2) {
        return; // One site has it all: no split.
    }
    bool is_home_able = planning->home >= 0 && request->sites[planning->home].has_offer;
    option.site = is_home_able ? planning->home : largest_part(request, &option)->site;
    struct plan_option *added = add_option(planning, PLAN_SPLIT, option.site);
    *added = option;
    price_split(planning, added);
    finish_option(planning, added);
}

// The site from which the data comes soonest; -1: none has it, or none gives it.
static int quickest_source(struct planning *planning, const struct plan_data *data, int to)
{
    int best = -1;
    double best_seconds = 0;
    for (size_t s = 0; s < planning->request->site_count; s++) {
        if (data->is_at[s] && !planning->request->sites[s].gives_nothing) {
            double seconds = seconds_between(planning, (double)data->size_bytes, (int)s, to);
            if (best < 0 || seconds < best_seconds) {
                best = (int)s;
                best_seconds = seconds;
            }
        }
    }
    return best;
}

// Brings what is missing to the site, one after another, and runs there.
static void consider_move(struct planning *planning, size_t s)
{
    const struct plan_request *request = planning->request;
    const struct plan_site *site = &request->sites[s];
    if (!request->may_move || !site->has_offer || has_all(request, s)) {
        return;
    }
    struct plan_option *option = add_option(planning, PLAN_MOVE, (int)s);
    option->moves = arena_new(planning->arena, request->data_count * sizeof(struct plan_move));
    double staging = 0;
    for (size_t d = 0; d < request->data_count; d++) {
        const struct plan_data *data = &request->data[d];
        if (data->is_at[s]) {
            continue;
        }
        int from = quickest_source(planning, data, (int)s);
        if (from < 0) {
            planning->plan->option_count--;
            return;
        }
        double seconds = seconds_between(planning, (double)data->size_bytes, from, (int)s);
        option->moves[option->move_count++] =
            (struct plan_move){.data = (int)d, .from = from, .to = (int)s, .seconds = seconds};
        option->bytes_moved = sum_saturated(option->bytes_moved, data->size_bytes);
        staging += seconds;
    }
    double ready = staging > site->start_seconds ? staging : site->start_seconds;
    bool travels = planning->home >= 0 && (int)s != planning->home;
    int64_t result = travels ? (int64_t)request->result_bytes : 0;
    option->bytes_moved = sum_saturated(option->bytes_moved, result);
    option->seconds = ready + site->run_seconds +
                      seconds_between(planning, request->result_bytes, (int)s, planning->home);
    option->core_hours = site->core_hours;
    finish_option(planning, option);
}

static int compare_options(const void *a, const void *b)
{
    const struct plan_option *first = a;
    const struct plan_option *second = b;
    if (first->seconds != second->seconds) {
        return first->seconds < second->seconds ? -1 : 1;
    }
    if (first->bytes_moved != second->bytes_moved) {
        return first->bytes_moved < second->bytes_moved ? -1 : 1;
    }
    if (first->kind != second->kind) {
        return first->kind < second->kind ? -1 : 1;
    }
    return first->site - second->site;
}

static int find_home(const struct plan_request *request)
{
    for (size_t s = 0; s < request->site_count; s++) {
        if (request->sites[s].is_home) {
            return (int)s;
        }
    }
    return -1;
}

enum status plan_make(const struct plan_request *request, struct arena *arena, struct plan *out,
                      struct error *error)
{
    assert(request->site_count <= PLAN_SITES_MAX && request->data_count <= PLAN_DATA_MAX);
    struct plan plan = {0};
    size_t options_max = 2 * request->site_count + 1;
    plan.options = arena_new(arena, options_max * sizeof(struct plan_option));
    struct planning planning = {
        .request = request, .arena = arena, .plan = &plan, .home = find_home(request)};
    for (size_t s = 0; s < request->site_count; s++) {
        if (is_wanted(request, s)) {
            consider_site(&planning, s);
            consider_move(&planning, s);
        }
    }
    consider_split(&planning);
    if (plan.option_count == 0) {
        return plan_refuse(request, error);
    }
    qsort(plan.options, plan.option_count, sizeof plan.options[0], compare_options);
    plan.reason = plan_choice_words(request, &plan, arena);
    *out = plan;
    return OK;
}
