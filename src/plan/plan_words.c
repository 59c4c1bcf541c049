#include "plan/plan_words.h"

#include "base/buffer.h"

#include <stdio.h>

enum { AMOUNT_SIZE = 32, NAMED_MAX = 3 };

// "1.5 GiB"
static const char *bytes_words(double bytes, char out[AMOUNT_SIZE])
{
    static const char *const UNITS[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof UNITS / sizeof UNITS[0]) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, AMOUNT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, UNITS[unit]);
    return out;
}

// "1.2 s", "3 min", "5.0 h"
static const char *seconds_words(double seconds, char out[AMOUNT_SIZE])
{
    if (seconds < 120) {
        (void)snprintf(out, AMOUNT_SIZE, "%.1f s", seconds);
    } else if (seconds < 7200) {
        (void)snprintf(out, AMOUNT_SIZE, "%.0f min", seconds / 60);
    } else {
        (void)snprintf(out, AMOUNT_SIZE, "%.1f h", seconds / 3600);
    }
    return out;
}

static const char *text_in(struct arena *arena, const struct buffer *words)
{
    return arena_copy(arena, buffer_text(words));
}

static void append_parts(const struct plan_request *request, const struct plan_option *option,
                         struct buffer *out)
{
    for (size_t p = 0; p < option->part_count; p++) {
        const struct plan_part *part = &option->parts[p];
        buffer_append_string(out, p > 0 ? "; " : "");
        const char *separator = "";
        for (size_t d = 0; d < request->data_count; d++) {
            if (part->has_data[d]) {
                buffer_printf(out, "%s%s", separator, request->data[d].id);
                separator = ", ";
            }
        }
        buffer_printf(out, " at %s", request->sites[part->site].name);
    }
}

static void append_moves(const struct plan_request *request, const struct plan_option *option,
                         bool is_rate_assumed, struct buffer *out)
{
    char amount[AMOUNT_SIZE];
    char time[AMOUNT_SIZE];
    for (size_t m = 0; m < option->move_count; m++) {
        const struct plan_move *move = &option->moves[m];
        const struct plan_data *data = &request->data[move->data];
        buffer_printf(out, "%smoves %s (%s) from %s to %s in about %s", m > 0 ? ", " : "", data->id,
                      bytes_words((double)data->size_bytes, amount),
                      request->sites[move->from].name, request->sites[move->to].name,
                      seconds_words(move->seconds, time));
    }
    if (is_rate_assumed) {
        buffer_printf(out, " (a link that was never measured is taken for %s a second)",
                      bytes_words(PLAN_RATE_DEFAULT, amount));
    }
}

const char *plan_option_words(const struct plan_request *request, const struct plan_option *option,
                              bool is_rate_assumed, struct arena *arena)
{
    AUTO_BUFFER struct buffer words = {0};
    char time[AMOUNT_SIZE];
    const char *site = request->sites[option->site].name;
    switch (option->kind) {
    case PLAN_LOCAL:
        buffer_append_string(&words, "all data is here");
        break;
    case PLAN_AT:
        buffer_printf(&words, "all data is at %s", site);
        break;
    case PLAN_SPLIT:
        append_parts(request, option, &words);
        buffer_printf(&words, "; merged at %s", site);
        break;
    case PLAN_MOVE:
        append_moves(request, option, is_rate_assumed, &words);
        buffer_printf(&words, ", and runs at %s", site);
        break;
    }
    buffer_printf(&words, "; done in about %s", seconds_words(option->seconds, time));
    return text_in(arena, &words);
}

const char *plan_choice_words(const struct plan_request *request, const struct plan *plan,
                              struct arena *arena)
{
    AUTO_BUFFER struct buffer words = {0};
    char amount[AMOUNT_SIZE];
    char time[AMOUNT_SIZE];
    if (plan->option_count == 1) {
        return "it is the only way";
    }
    const struct plan_option *next = &plan->options[1];
    buffer_printf(&words, "the next best (%s%s%s) would be done in about %s and move %s",
                  plan_kind_name(next->kind), next->kind == PLAN_LOCAL ? "" : ", at ",
                  next->kind == PLAN_LOCAL ? "" : request->sites[next->site].name,
                  seconds_words(next->seconds, time),
                  bytes_words((double)next->bytes_moved, amount));
    return text_in(arena, &words);
}

enum status plan_refuse(const struct plan_request *request, struct error *error)
{
    AUTO_BUFFER struct buffer words = {0};
    size_t named = 0;
    for (size_t d = 0; d < request->data_count; d++) {
        bool is_somewhere = false;
        for (size_t s = 0; s < request->site_count; s++) {
            is_somewhere = is_somewhere || request->data[d].is_at[s];
        }
        if (!is_somewhere) {
            (void)error_set(error, NOT_FOUND, "no site that can be asked has %s available",
                            request->data[d].id);
            error_fix(error, "lode resolve %.150s shows what is known of it", request->data[d].id);
            return NOT_FOUND;
        }
    }
    for (size_t s = 0; s < request->site_count && named < NAMED_MAX; s++) {
        const struct plan_site *site = &request->sites[s];
        if (!site->has_offer && (request->wanted_site < 0 || (size_t)request->wanted_site == s)) {
            buffer_printf(&words, "%s%s: %.150s", named++ > 0 ? "; " : "", site->name,
                          site->refusal ? site->refusal : "it made no offer");
        }
    }
    if (named > 0) {
        (void)error_set(error, CONFLICT, "no site takes the job: %s", words.bytes);
        error_fix(error, "lode plan shows what each site says");
        return CONFLICT;
    }
    (void)error_set(error, CONFLICT, "the data lies at different sites");
    error_fix(error, "give --merge COMMAND to run where each part lies, or let data be "
                     "moved (--stage auto)");
    return CONFLICT;
}
