// Which sites would run a job beside its data, and the plan that follows.
#include "broker/heard.h"
#include "broker/state.h"

#include "base/memory.h"

#define BYTES_PER_SECOND 50e6 // That a task is assumed to get through, when nothing is known of it.
#define RESULT_BYTES 1e6      // Outputs that a part is assumed to have.

void survey_done(struct survey *survey)
{
    arena_done(&survey->arena);
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
    survey->request.wanted_site = survey_site(survey, &peer); // The first one: there is room.
    survey->named_site = survey->peers[survey->request.wanted_site].site.text;
    return OK;
}

// How many tasks the job has, as far as that is known before it is submitted.
static enum status count_tasks(struct broker *broker, const struct job_spec *spec,
                               struct survey *survey, struct error *error)
{
    int64_t all = spec->count;
    if (spec->index == SPEC_INDEX_OVER) {
        all = survey->known[survey->data_count - 1].file_count - spec->first_index;
    } else if (spec->index == SPEC_INDEX_ITEMS) {
        TRY(queue_count_items(broker->queue, spec->items, &all, error));
        all -= spec->first_index;
    }
    all = spec->part_count > 0 && spec->part_count < all ? spec->part_count : all;
    survey->task_count = all > 0 ? all : 1;
    return OK;
}

static double expect_seconds(const struct survey *survey, const struct job_spec *spec)
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

static void write_datum(const struct survey_data *known, struct buffer *out)
{
    char digest[DIGEST_TEXT_SIZE];
    buffer_append_string(out, "{\"id\":");
    buffer_append_json_string(out, text_of(known->id));
    if (known->file_count >= 0) {
        buffer_printf(out, ",\"digest\":\"%s\"", digest_to_text(&known->digest, digest));
    }
    buffer_append_byte(out, '}');
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
            write_datum(&survey->known[d], out);
            separator = ",";
        }
    }
    buffer_printf(out,
                  "],\"count\":%lld,\"cpus\":%.3f,\"memory_bytes\":%lld,\"disk_bytes\":%lld,"
                  "\"walltime_seconds\":%.6f,\"task_seconds\":%.3f,\"stage\":%s}",
                  (long long)survey->task_count, (double)spec->need.cpu_millis / 1000,
                  (long long)spec->need.memory_bytes, (long long)spec->need.disk_bytes,
                  (double)spec->walltime_us / 1e6, survey->task_seconds,
                  may_stage ? "true" : "false");
}

// What the site says of the links to it, where they were not measured from here.
static void take_rate(struct survey *survey, size_t site, double rate)
{
    for (size_t from = 0; from < survey->site_count; from++) {
        if (survey->request.rates[from][site] <= 0) {
            survey->request.rates[from][site] = rate;
        }
    }
}

static enum status note_offer(struct survey *survey, size_t site, struct text document,
                              struct error *error)
{
    struct heard_offer offer;
    struct plan_site *out = &survey->sites[site];
    TRY(heard_read_offer(document, &survey->arena, &offer, error));
    take_rate(survey, site, offer.stage_rate);
    survey->offers[site] = offer.name;
    survey->expiries[site] = offer.expires_at;
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
        survey->sites[site].gives_nothing = status == DENIED;
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
            peers_measured_call(broker->peers, &questions[i].site->site, questions[i].duration_us);
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
    TRY(find_wanted(broker, spec, survey, error)); // First, as it may say which content is meant.
    TRY(survey_find_all(broker, spec, survey, error));
    TRY(count_tasks(broker, spec, survey, error));
    survey->task_seconds = expect_seconds(survey, spec);
    TRY(offer_home(broker, spec, survey, error));
    if (survey->request.wanted_site == 0) {
        survey->sites[0].has_offer = true; // It waits for a worker here, as any job does.
    }
    TRY(ask_for_offers(broker, spec, user, survey, error));
    struct plan_request *request = &survey->request;
    request->sites = survey->sites;
    request->site_count = survey->site_count;
    request->data = survey->data;
    request->data_count = survey->data_count;
    request->may_split = spec->merge && spec->index == SPEC_INDEX_COUNT;
    request->may_move = spec->stage == SPEC_STAGE_AUTO;
    request->result_bytes = RESULT_BYTES;
    enum status status = plan_make(request, &survey->arena, &survey->plan, error);
    if (status != OK && spec->merge && !request->may_split && survey->data_count > 1) {
        error_fix(error, "a job over the files of a dataset or over items is not split by "
                         "where its data lies, as each task takes all of it: let data be "
                         "moved (--stage auto), or submit a job for each dataset");
    }
    return status;
}

struct prepare_offer survey_offer(const struct survey *survey, int site)
{
    return (struct prepare_offer){.id = survey->offers[site],
                                  .core_hours = survey->sites[site].core_hours,
                                  .bytes = (int64_t)survey->sites[site].stage_bytes};
}
