// A job is submitted where its plan says: here, at another site, in parts, or held until data has moved.
#include "broker/state.h"

#include "base/memory.h"
#include "catalog/catalog.h"

// --- submitting and waiting for the answer

static enum status read_job(struct text answer, int64_t *job, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    TRY(json_parse(answer, &document, error));
    *job = json_integer_value(json_object_get(document, "id"));
    return OK;
}

// Submits and waits until the queue has taken it; *job is its number.
static enum status submit_and_wait(struct broker *broker, const struct queue_submission *submission,
                                   int64_t *job, struct error *error)
{
    struct awaited awaited = AWAITED_NEW;
    AUTO_BUFFER struct buffer answer = {0};
    queue_submit(broker->queue, submission, awaited_answer(&awaited));
    TRY(awaited_get(&awaited, &answer, error));
    return read_job(buffer_text(&answer), job, error);
}

// --- what is known of data that is elsewhere

// A site that has the data; NULL: none but this one.
static const struct peer *holder_of(const struct survey *survey, size_t data)
{
    for (size_t s = 1; s < survey->site_count; s++) {
        if (survey->data[data].is_at[s]) {
            return &survey->peers[s];
        }
    }
    return NULL;
}

// Fills in the data that the job names (`is_wanted` NULL: all).
static void fill_known(struct broker *broker, const struct survey *survey, const bool *is_wanted,
                       const struct job_spec *spec, struct known_list *out)
{
    for (size_t i = 0; i < survey->data_count; i++) {
        if (!is_wanted || is_wanted[i]) {
            bool is_index = spec->over && strcmp(spec->over, survey->known[i].id) == 0;
            known_add(out, broker, &survey->known[i], is_index ? holder_of(survey, i) : NULL);
        }
    }
}

static void tell_placed(const struct broker *broker)
{
    if (broker->placed) {
        broker->placed(broker->context);
    }
}

// --- in parts

// Is it what the job runs over, rather than one of its data?
static bool is_over(const struct survey *survey, const struct job_spec *spec, size_t data)
{
    return spec->over && data == survey->data_count - 1;
}

// To the last one of the list.
static void add_content(json_t *data, const char *wanted)
{
    if (wanted) {
        (void)json_object_set_new(json_array_get(data, json_array_size(data) - 1), "digest",
                                  json_string(wanted));
    }
}

// The job's document without what is for the broker, and with only this data.
static json_t *part_document(const struct survey *survey, const struct job_spec *spec,
                             const struct plan_part *part)
{
    json_t *document = spec_to_json(spec);
    json_t *data = json_array();
    for (size_t i = 0; i < survey->data_count; i++) {
        if (part->has_data[i] && !is_over(survey, spec, i)) {
            (void)json_array_append_new(data, json_pack("{s:s, s:s}", "id", survey->known[i].id,
                                                        "name", survey->known[i].name));
            add_content(data, survey->known[i].wanted);
        }
    }
    (void)json_object_set_new(document, "data", data);
    (void)json_object_del(document, "merge");
    (void)json_object_del(document, "at");
    (void)json_object_del(document, "stage");
    return document;
}

static json_t *merge_document(const struct job_spec *spec, const int64_t *parts, size_t count)
{
    static const char *const DROPPED[] = {"merge", "at",        "stage",       "data",
                                          "count", "after",     "first_index", "input_from",
                                          "over",  "over_name", "over_digest", "items"};
    json_t *document = spec_to_json(spec);
    json_t *command = json_array();
    json_t *inputs = json_array();
    for (size_t i = 0; i < sizeof DROPPED / sizeof DROPPED[0]; i++) {
        (void)json_object_del(document, DROPPED[i]);
    }
    for (size_t i = 0; i < spec->merge_count; i++) {
        (void)json_array_append_new(command, json_from_text(text_of(spec->merge[i])));
    }
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(inputs, json_integer(parts[i]));
    }
    (void)json_object_set_new(document, "command", command);
    (void)json_object_set_new(document, "input_from", inputs);
    return document;
}

// Derived from the submission's, so that repeating that finds the part again; NULL without one.
static char *part_key(const struct queue_submission *submission, size_t at)
{
    return submission->idempotency_key.length == 0
               ? NULL
               : memory_format("%.*s part %zu", TEXT_ARGS(submission->idempotency_key), at);
}

static enum status submit_part(struct broker *broker, const struct queue_submission *submission,
                               const struct survey *survey, size_t at, const char *user,
                               int64_t *job, struct error *error)
{
    const struct plan_part *part = &survey->plan.options[0].parts[at];
    AUTO_JSON json_t *document = part_document(survey, submission->spec, part);
    AUTO_FREE char *key = part_key(submission, at);
    struct known_list known = {.user = user};
    struct queue_submission placed = *submission;
    placed.spec = NULL;
    placed.wait_us = 0;
    placed.idempotency_key = text_of(key);
    if (part->site != 0) {
        const struct peer *peer = &survey->peers[part->site];
        fill_known(broker, survey, part->has_data, submission->spec, &known);
        placed.to = known_destination(&known, peer->site.text);
        placed.to.offer = survey_offer(survey, part->site);
        tell_placed(broker);
    }
    TRY(spec_parse(document, &placed.spec, error));
    return submit_and_wait(broker, &placed, job, error);
}

static enum status check_merge(const struct job_spec *spec, struct error *error)
{
    if (spec->output_count == 0) {
        (void)error_set(error, INVALID, "nothing of the parts could be merged");
        error_fix(error, "name what each part leaves with --output GLOB");
        return INVALID;
    }
    return OK;
}

// --- after data has moved

static enum status submit_moved(struct broker *broker, const struct queue_submission *submission,
                                const struct survey *survey, int64_t *job, struct error *error)
{
    const struct plan_option *option = &survey->plan.options[0];
    const struct peer *to = option->site == 0 ? NULL : &survey->peers[option->site];
    struct queue_submission held = *submission;
    AUTO_FREE char *owner = text_copy(submission->owner);
    struct known_list known = {.user = owner};
    fill_known(broker, survey, NULL, submission->spec, &known);
    held.hold = (struct queue_hold){text_of(option->reason), TEXT("data is being moved")};
    held.wait_us = 0;
    held.to = known_destination(&known, to ? to->site.text : "");
    if (to) {
        tell_placed(broker);
    }
    TRY(submit_and_wait(broker, &held, job, error));
    const struct staging_job staged = {*job, owner, to ? &to->site : NULL};
    return staging_add(broker->staging, &staged, survey, error);
}

// --- at one place

struct prepare_destination place_destination(struct broker *broker, const struct survey *survey,
                                             const struct job_spec *spec, struct known_list *known)
{
    int site = survey->plan.options[0].site;
    fill_known(broker, survey, NULL, spec, known);
    struct prepare_destination to = known_destination(known, survey->peers[site].site.text);
    to.offer = survey_offer(survey, site);
    tell_placed(broker);
    return to;
}

static void submit_at(struct broker *broker, const struct queue_submission *submission,
                      const struct survey *survey, struct queue_answer answer)
{
    struct queue_submission placed = *submission;
    AUTO_FREE char *owner = text_copy(submission->owner);
    struct known_list known = {.user = owner};
    placed.to = place_destination(broker, survey, submission->spec, &known);
    queue_submit(broker->queue, &placed, answer);
}

// --- parts, and what merges them

// The only part of a job that its plan does not split.
static enum status submit_whole(struct broker *broker, const struct queue_submission *submission,
                                const struct survey *survey, int64_t *job, struct error *error)
{
    struct plan_part all = {0};
    for (size_t i = 0; i < survey->data_count; i++) {
        all.has_data[i] = true;
    }
    AUTO_JSON json_t *document = part_document(survey, submission->spec, &all);
    AUTO_FREE char *key = part_key(submission, 0);
    struct queue_submission part = *submission;
    part.spec = NULL;
    part.wait_us = 0;
    part.idempotency_key = text_of(key);
    TRY(spec_parse(document, &part.spec, error));
    if (survey->plan.options[0].kind == PLAN_MOVE) {
        return submit_moved(broker, &part, survey, job, error);
    }
    if (survey->plan.options[0].kind == PLAN_LOCAL) {
        return submit_and_wait(broker, &part, job, error);
    }
    struct awaited awaited = AWAITED_NEW;
    AUTO_BUFFER struct buffer answer = {0};
    submit_at(broker, &part, survey, awaited_answer(&awaited));
    TRY(awaited_get(&awaited, &answer, error));
    return read_job(buffer_text(&answer), job, error);
}

static enum status submit_parts(struct broker *broker, const struct queue_submission *submission,
                                const struct survey *survey, int64_t *parts, size_t *count,
                                struct error *error)
{
    const struct plan_option *option = &survey->plan.options[0];
    AUTO_FREE char *user = text_copy(submission->owner);
    TRY(check_merge(submission->spec, error));
    if (option->kind != PLAN_SPLIT) {
        *count = 1;
        return submit_whole(broker, submission, survey, &parts[0], error);
    }
    for (*count = 0; *count < option->part_count; (*count)++) {
        TRY(submit_part(broker, submission, survey, *count, user, &parts[*count], error));
    }
    return OK;
}

// At home when it has workers, else where (the largest part of) the data is.
static size_t merge_site(const struct survey *survey)
{
    return survey->sites[0].has_offer ? 0 : (size_t)survey->plan.options[0].site;
}

static void submit_merged(struct broker *broker, const struct queue_submission *submission,
                          const struct survey *survey, struct queue_answer answer)
{
    int64_t parts[PLAN_DATA_MAX];
    size_t count = 0;
    size_t site = merge_site(survey);
    struct error error = {0};
    struct queue_submission merge = *submission;
    merge.spec = NULL;
    enum status status = submit_parts(broker, submission, survey, parts, &count, &error);
    if (status == OK) {
        AUTO_JSON json_t *document = merge_document(submission->spec, parts, count);
        status = spec_parse(document, &merge.spec, &error);
    }
    spec_free(submission->spec);
    if (status != OK) {
        answer.done(answer.context, status, &error, TEXT_NONE);
        return;
    }
    if (site != 0) {
        merge.to.place = text_of(survey->sites[site].fingerprint);
        tell_placed(broker);
    }
    queue_submit(broker->queue, &merge, answer);
}

// --- as planned

static void submit_held(struct broker *broker, const struct queue_submission *submission,
                        const struct survey *survey, struct queue_answer answer)
{
    struct error error = {0};
    int64_t job = 0;
    enum status status = submit_moved(broker, submission, survey, &job, &error);
    if (status != OK) {
        answer.done(answer.context, status, &error, TEXT_NONE);
        return;
    }
    const struct queue_view view = {.wait_us = submission->wait_us, .after_version = -1};
    queue_show_job(broker->queue, job, &view, answer);
}

static void submit_planned(struct broker *broker, const struct queue_submission *submission,
                           const struct survey *survey, struct queue_answer answer)
{
    if (submission->spec->merge) {
        submit_merged(broker, submission, survey, answer);
        return;
    }
    switch (survey->plan.options[0].kind) {
    case PLAN_LOCAL:
        queue_submit(broker->queue, submission, answer);
        break;
    case PLAN_AT:
        submit_at(broker, submission, survey, answer);
        break;
    case PLAN_MOVE:
        submit_held(broker, submission, survey, answer);
        break;
    case PLAN_SPLIT: // Only with a command that merges.
        submit_merged(broker, submission, survey, answer);
        break;
    }
}

static bool is_here(struct broker *broker, const char *id, const char *content)
{
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    char digest[DIGEST_TEXT_SIZE];
    // Here but not usable: the queue says what is wrong with it.
    return catalog_find(broker->catalog, text_of(id), &arena, &dataset, NULL) == OK &&
           (!content || !dataset.has_digest ||
            strcmp(content, digest_to_text(&dataset.digest, digest)) == 0);
}

static bool is_straight(struct broker *broker, const struct job_spec *spec)
{
    bool is_all_here = !spec->at && !spec->merge;
    for (size_t i = 0; is_all_here && i < spec->data_count; i++) {
        is_all_here = is_here(broker, spec->data[i].id, spec->data[i].digest);
    }
    return is_all_here && (!spec->over || is_here(broker, spec->over, spec->over_digest));
}

static void refuse(const struct queue_submission *submission, enum status status,
                   const struct error *error, struct queue_answer answer)
{
    spec_free(submission->spec);
    answer.done(answer.context, status, error, TEXT_NONE);
}

static void show_again(struct broker *broker, const struct queue_submission *submission,
                       int64_t job, struct queue_answer answer)
{
    const struct queue_view view = {.wait_us = submission->wait_us, .after_version = -1};
    spec_free(submission->spec);
    queue_show_job(broker->queue, job, &view, answer);
}

// `repeat`: the number of the job that the same key made before; 0: none.
static void submit_surveyed(struct broker *broker, const struct queue_submission *submission,
                            int64_t repeat, struct queue_answer answer)
{
    struct error error = {0};
    struct survey *survey = NEW(struct survey);
    AUTO_FREE char *user = text_copy(submission->owner);
    enum status status = survey_make(broker, submission->spec, user, survey, &error);
    if (status == OK) {
        submit_planned(broker, submission, survey, answer);
    } else if (repeat > 0) {
        show_again(broker, submission, repeat, answer);
    } else {
        refuse(submission, status, &error, answer);
    }
    survey_done(survey);
    free(survey);
}

void broker_submit(struct broker *broker, const struct queue_submission *submission,
                   struct queue_answer answer)
{
    struct queue_repeat repeat = {0};
    struct error error = {0};
    if (is_straight(broker, submission->spec)) {
        queue_submit(broker->queue, submission, answer);
        return;
    }
    enum status status = queue_find_repeat(broker->queue, submission, &repeat, &error);
    if (status != OK) {
        refuse(submission, status, &error, answer);
    } else if (repeat.job > 0 && !repeat.is_held) {
        // What was planned is not planned again: the sites may be away by now, and the plan would be another one.
        show_again(broker, submission, repeat.job, answer);
    } else {
        submit_surveyed(broker, submission, repeat.job,
                        answer); // Data that is to be moved may not have been ordered yet.
    }
}
