// A plan as a document: POST /v1/plans.
#include "broker/state.h"

static void write_text(const char *name, const char *value, struct buffer *out)
{
    buffer_printf(out, ",\"%s\":", name);
    buffer_append_json_string(out, text_of(value));
}

static void write_candidates(const struct survey *survey, struct buffer *out)
{
    for (size_t i = 0; i < survey->site_count; i++) {
        const struct plan_site *site = &survey->sites[i];
        buffer_printf(out, "%s{\"site\":\"%s\"", i > 0 ? "," : "", site->fingerprint);
        write_text("name", site->name, out);
        buffer_printf(out, ",\"is_home\":%s,\"has_offer\":%s", site->is_home ? "true" : "false",
                      site->has_offer ? "true" : "false");
        if (site->has_offer) {
            buffer_printf(out,
                          ",\"start_seconds\":%.3f,\"run_seconds\":%.3f,\"stage_bytes\":%.0f,"
                          "\"stage_seconds\":%.3f,\"price\":{\"core_hours\":%.6f,\"bytes\":%.0f}",
                          site->start_seconds, site->run_seconds, site->stage_bytes,
                          site->stage_seconds, site->core_hours, site->stage_bytes);
            if (survey->expiries[i]) {
                write_text("expires_at", survey->expiries[i], out);
            }
        } else {
            write_text("refusal", site->refusal ? site->refusal : "it made no offer", out);
        }
        buffer_append_string(out, ",\"data\":[");
        const char *separator = "";
        for (size_t d = 0; d < survey->data_count; d++) {
            if (survey->data[d].is_at[i]) {
                buffer_append_string(out, separator);
                buffer_append_json_string(out, text_of(survey->data[d].id));
                separator = ",";
            }
        }
        buffer_append_string(out, "]}");
    }
}

static void write_step(const char *what, const char *data, const char *from, const char *to,
                       bool *is_first, struct buffer *out)
{
    buffer_printf(out, "%s{\"do\":\"%s\"", *is_first ? "" : ",", what);
    *is_first = false;
    if (data) {
        write_text("data", data, out);
    }
    if (from) {
        write_text("from", from, out);
    }
    write_text("at", to, out);
    buffer_append_byte(out, '}');
}

static void write_steps(const struct survey *survey, const struct plan_option *option,
                        struct buffer *out)
{
    bool is_first = true;
    for (size_t m = 0; m < option->move_count; m++) {
        const struct plan_move *move = &option->moves[m];
        write_step("move", survey->data[move->data].id, survey->sites[move->from].name,
                   survey->sites[move->to].name, &is_first, out);
    }
    for (size_t p = 0; p < option->part_count; p++) {
        for (size_t d = 0; d < survey->data_count; d++) {
            if (option->parts[p].has_data[d]) {
                write_step("run", survey->data[d].id, NULL,
                           survey->sites[option->parts[p].site].name, &is_first, out);
            }
        }
    }
    write_step(option->kind == PLAN_SPLIT ? "merge" : "run", NULL, NULL,
               survey->sites[option->site].name, &is_first, out);
}

void survey_write(const struct survey *survey, struct buffer *out)
{
    const struct plan *plan = &survey->plan;
    buffer_printf(out, "{\"chosen\":\"%s\"", plan_kind_name(plan->options[0].kind));
    write_text("reason", plan->reason, out);
    buffer_append_string(out, ",\"candidates\":[");
    write_candidates(survey, out);
    buffer_append_string(out, "],\"alternatives\":[");
    for (size_t i = 0; i < plan->option_count; i++) {
        const struct plan_option *option = &plan->options[i];
        buffer_printf(out, "%s{\"kind\":\"%s\"", i > 0 ? "," : "", plan_kind_name(option->kind));
        write_text("site", survey->sites[option->site].name, out);
        buffer_append_string(out, ",\"steps\":[");
        write_steps(survey, option, out);
        buffer_printf(out, "],\"bytes_moved\":%lld,\"seconds\":%.3f,\"core_hours\":%.6f",
                      (long long)option->bytes_moved, option->seconds, option->core_hours);
        write_text("reason", option->reason, out);
        buffer_append_byte(out, '}');
    }
    buffer_append_string(out, "]}\n");
}
