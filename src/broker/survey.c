// Where a job's data is, which sites would run it, and the plan that follows.
#include "broker/heard.h"
#include "broker/state.h"

#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/identifier.h"

#include <stdio.h>

#define BYTES_PER_SECOND 50e6 // That a task is assumed to get through, when nothing is known of it.
#define RESULT_BYTES 1e6      // Outputs that a part is assumed to have.

void survey_done(struct survey *survey)
{
    arena_done(&survey->arena);
}

// --- the data

// The index of the site in the survey, which is added when it is new; -1 when there are too many.
static int site_index(struct survey *survey, const struct peer *peer)
{
    for (size_t i = 1; i < survey->site_count; i++) {
        if (strcmp(survey->peers[i].site.text, peer->site.text) == 0) {
            return (int)i;
        }
    }
    if (survey->site_count == PLAN_SITES_MAX) {
        return -1;
    }
    size_t at = survey->site_count++;
    survey->peers[at] = *peer;
    survey->sites[at] = (struct plan_site){
        .fingerprint = survey->peers[at].site.text,
        .name = survey->peers[at].name,
    };
    if (peer->bytes_per_second > 0) {
        survey->request.rates[at][0] = (double)peer->bytes_per_second;
        survey->request.rates[0][at] = (double)peer->bytes_per_second;
    }
    return (int)at;
}

static bool is_usable(const struct broker *broker, const struct location *location)
{
    return strcmp(location->state, "available") == 0 && location->has_digest &&
           strcmp(location->site.text, broker->self.text) != 0 &&
           strcmp(location->liveness, "down") != 0;
}

// The site as peers know it, or as the answer describes it.
static void describe_peer(struct broker *broker, const struct location *location, struct peer *out)
{
    struct error absence;
    if (!peers_find(broker->peers, &location->site, out) &&
        peers_meet(broker->peers, &location->site, location->url, out, &absence) != OK) {
        *out = (struct peer){.site = location->site, .key = location->key, .rtt_us = -1};
        (void)snprintf(out->name, sizeof out->name, "%.*s", PEER_NAME_MAX, location->name);
    }
    if (out->url[0] == '\0') {
        (void)snprintf(out->url, sizeof out->url, "%.*s", PEER_URL_MAX, location->url);
    }
}

static void add_locations(struct broker *broker, struct survey *survey, size_t at,
                          const struct location *locations, size_t count)
{
    struct survey_data *known = &survey->known[at];
    for (size_t i = 0; i < count; i++) {
        const struct location *location = &locations[i];
        if (!is_usable(broker, location)) {
            continue;
        }
        // The best one says what the data is; other content under the same name is other data.
        if (known->file_count < 0) {
            known->digest = location->digest;
            known->size_bytes = location->size_bytes;
            known->file_count = location->file_count;
        }
        struct peer peer;
        describe_peer(broker, location, &peer);
        int site = digest_equal(&known->digest, &location->digest) ? site_index(survey, &peer) : -1;
        if (site >= 0) {
            survey->data[at].is_at[site] = true;
        }
    }
}

static enum status find_elsewhere(struct broker *broker, struct survey *survey, size_t at,
                                  struct error *error)
{
    struct identifier identifier;
    AUTO_BUFFER struct buffer document = {0};
    struct location *locations = NULL;
    struct error problem;
    size_t count = 0;
    TRY(identifier_parse(text_of(survey->known[at].id), &identifier, error));
    struct text name = identifier_text(&identifier);
    TRY(resolver_ask(broker->resolver, name, RESOLVE_ASKS_ANEW, &document, error));
    TRY(resolve_read_answer(buffer_text(&document), name, &survey->arena, &locations, &count,
                            &problem, error));
    add_locations(broker, survey, at, locations, count);
    return OK;
}

enum status survey_find(struct broker *broker, struct survey *survey, size_t at,
                        struct error *error)
{
    struct survey_data *known = &survey->known[at];
    struct dataset dataset;
    struct error elsewhere = {0};
    known->file_count = -1;
    enum status here = catalog_resolve_for_job(broker->catalog, text_of(known->id), &survey->arena,
                                               &dataset, error);
    if (here == OK) {
        known->is_here = true;
        known->digest = dataset.digest;
        known->size_bytes = dataset.size_bytes;
        known->file_count = dataset.file_count;
    }
    enum status status = find_elsewhere(broker, survey, at, &elsewhere);
    if (status != OK && here != OK) {
        *error = elsewhere;
        return status;
    }
    survey->data[at].id = known->id;
    survey->data[at].size_bytes = known->size_bytes;
    survey->data[at].is_at[0] = known->is_here;
    return OK;
}

static enum status note_data(struct survey *survey, const char *id, const char *name,
                             struct error *error)
{
    if (survey->data_count == PLAN_DATA_MAX) {
        return error_set(error, QUOTA, "a job can name at most %d datasets", PLAN_DATA_MAX);
    }
    // Copies, as the spec is the queue's once the job is submitted.
    survey->known[survey->data_count] =
        (struct survey_data){.id = arena_copy(&survey->arena, text_of(id)),
                             .name = arena_copy(&survey->arena, text_of(name))};
    survey->data_count++;
    return OK;
}

static enum status find_all_data(struct broker *broker, const struct job_spec *spec,
                                 struct survey *survey, struct error *error)
{
    for (size_t i = 0; i < spec->data_count; i++) {
        TRY(note_data(survey, spec->data[i].id, spec->data[i].name, error));
    }
    if (spec->over) {
        TRY(note_data(survey, spec->over, spec->over_name, error));
    }
    for (size_t i = 0; i < survey->data_count; i++) {
        TRY(survey_find(broker, survey, i, error));
    }
    return OK;
}

// --- the sites

static bool is_home_named(const struct broker *broker, const char *at)
{
    return strcmp(at, broker->name) == 0 || strcmp(at, broker->self.text) == 0 ||
           strcmp(at, "home") == 0;
}

static enum status find_wanted(struct broker *broker, const struct job_spec *spec,
                               struct survey *survey, struct error *error)
{
    struct peer peer;
    survey->request.wanted_site = -1;
    if (!spec->at) {
        return OK;
    }
    if (is_home_named(broker, spec->at)) {
        survey->request.wanted_site = 0;
        return OK;
    }
    TRY(broker_find_site(broker, text_of(spec->at), &peer, error));
    survey->request.wanted_site = site_index(survey, &peer);
    return survey->request.wanted_site >= 0
               ? OK
               : error_set(error, QUOTA, "more than %d sites have the data", PLAN_SITES_MAX);
}

static double task_seconds(const struct survey *survey, const struct job_spec *spec)
{
    double bytes = 0;
    for (size_t i = 0; i < survey->data_count; i++) {
        bytes += (double)survey->known[i].size_bytes;
    }
    if (spec->over && survey->data_count > 0) { // One file of it a task.
        const struct survey_data *over = &survey->known[survey->data_count - 1];
        double files = over->file_count > 0 ? (double)over->file_count : 1;
        bytes -= (double)over->size_bytes * (1 - 1 / files);
    }
    return 1 + bytes / BYTES_PER_SECOND;
}

static void write_question(const struct survey *survey, const struct job_spec *spec, size_t site,
                           struct buffer *out)
{
    const char *separator = "";
    bool may_stage = spec->stage == SPEC_STAGE_AUTO && !spec->merge;
    buffer_append_string(out, "{\"data\":[");
    for (size_t d = 0; d < survey->data_count; d++) {
        if (survey->data[d].is_at[site] || may_stage) {
            buffer_append_string(out, separator);
            buffer_append_json_string(out, text_of(survey->data[d].id));
            separator = ",";
        }
    }
    int64_t count = spec->over && survey->data_count > 0
                        ? survey->known[survey->data_count - 1].file_count
                        : spec->count;
    buffer_printf(out,
                  "],\"count\":%lld,\"cpus\":%.3f,\"memory_bytes\":%lld,\"disk_bytes\":%lld,"
                  "\"task_seconds\":%.3f,\"stage\":%s}",
                  (long long)(count > 0 ? count : 1), (double)spec->need.cpu_millis / 1000,
                  (long long)spec->need.memory_bytes, (long long)spec->need.disk_bytes,
                  task_seconds(survey, spec), may_stage ? "true" : "false");
}

// What the site says of the links to it, where they were not measured from here.
static void take_rate(struct survey *survey, size_t site, double stage_bytes, double stage_seconds)
{
    for (size_t from = 0; from < survey->site_count && stage_seconds > 0; from++) {
        if (survey->request.rates[from][site] <= 0) {
            survey->request.rates[from][site] = stage_bytes / stage_seconds;
        }
    }
}

static enum status note_offer(struct survey *survey, size_t site, struct text document,
                              struct error *error)
{
    struct heard_offer offer;
    struct plan_site *out = &survey->sites[site];
    TRY(heard_read_offer(document, &survey->arena, &offer, error));
    take_rate(survey, site, offer.stage_bytes, offer.stage_seconds);
    survey->offers[site] = offer.name;
    out->start_seconds = offer.start_seconds;
    out->run_seconds = offer.run_seconds;
    out->core_hours = offer.core_hours;
    out->stage_bytes = offer.stage_bytes;
    out->stage_seconds = offer.stage_seconds;
    out->has_offer = true;
    return OK;
}

// The site that the user named does not answer: the job waits for it, and says so. Where it would run otherwise is not his wish.
static bool is_worth_waiting(const struct survey *survey, size_t site, enum status status)
{
    bool is_silent = status == UNAVAILABLE || status == TIMEOUT || status == BUSY;
    return is_silent && survey->request.wanted_site >= 0 &&
           (size_t)survey->request.wanted_site == site;
}

static void take_offer(struct survey *survey, size_t site, struct caller_question *question)
{
    struct error error = question->error;
    enum status status = question->status;
    if (is_worth_waiting(survey, site, status)) {
        survey->sites[site].has_offer = true;
        return;
    }
    if (status == OK) {
        status = note_offer(survey, site, buffer_text(&question->answer), &error);
    }
    if (status != OK) {
        survey->sites[site].refusal = arena_copy(&survey->arena, text_of(error.detail));
    }
}

static enum status ask_for_offers(struct broker *broker, const struct job_spec *spec,
                                  const char *user, struct survey *survey, struct error *error)
{
    struct caller_question questions[PLAN_SITES_MAX] = {{0}};
    struct buffer bodies[PLAN_SITES_MAX] = {{0}};
    size_t count = survey->site_count - 1;
    for (size_t i = 0; i < count; i++) {
        write_question(survey, spec, i + 1, &bodies[i]);
        questions[i] = (struct caller_question){.site = &survey->peers[i + 1],
                                                .method = "POST",
                                                .path = "/v1/federation/offers",
                                                .user = user,
                                                .body = buffer_text(&bodies[i])};
    }
    enum status status =
        count > 0 ? callers_ask(broker->callers, questions, count, BROKER_WAIT_US, error) : OK;
    for (size_t i = 0; i < count; i++) {
        if (status == OK) {
            take_offer(survey, i + 1, &questions[i]);
        }
        buffer_done(&questions[i].answer);
        buffer_done(&bodies[i]);
    }
    return status;
}

enum status survey_make(struct broker *broker, const struct job_spec *spec, const char *user,
                        struct survey *survey, struct error *error)
{
    survey->site_count = 1;
    survey->sites[0] =
        (struct plan_site){.fingerprint = broker->self.text, .name = broker->name, .is_home = true};
    TRY(find_all_data(broker, spec, survey, error));
    TRY(find_wanted(broker, spec, survey, error));
    TRY(offer_home(broker, spec, task_seconds(survey, spec), &survey->sites[0], &survey->arena,
                   error));
    if (survey->request.wanted_site == 0) {
        survey->sites[0].has_offer = true; // It waits for a worker here, as any job does.
    }
    TRY(ask_for_offers(broker, spec, user, survey, error));
    struct plan_request *request = &survey->request;
    request->sites = survey->sites;
    request->site_count = survey->site_count;
    request->data = survey->data;
    request->data_count = survey->data_count;
    request->may_split = spec->merge != NULL;
    request->may_move = spec->stage == SPEC_STAGE_AUTO;
    request->result_bytes = RESULT_BYTES;
    return plan_make(request, &survey->arena, &survey->plan, error);
}

// --- as a document

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
