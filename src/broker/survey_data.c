// What is known of a job's data, and which sites have it.
#include "broker/state.h"

#include "catalog/catalog.h"
#include "catalog/identifier.h"
#include "resolve/claims.h"

#include <stdio.h>

int survey_site(struct survey *survey, const struct peer *peer)
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

// Is it the content that the job is for?
static bool is_wanted(const struct survey_data *known, const struct digest *content)
{
    char text[DIGEST_TEXT_SIZE];
    return known->wanted ? strcmp(known->wanted, digest_to_text(content, text)) == 0
                         : !known->meant || digest_equal(known->meant, content);
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
        if (!is_usable(broker, location) || !is_wanted(known, &location->digest)) {
            continue;
        }
        // Other content under the same name is other data.
        if (known->file_count < 0) {
            known->digest = location->digest;
            known->size_bytes = location->size_bytes;
            known->file_count = location->file_count;
        }
        struct peer peer;
        describe_peer(broker, location, &peer);
        int site =
            digest_equal(&known->digest, &location->digest) ? survey_site(survey, &peer) : -1;
        if (site >= 0) {
            survey->data[at].is_at[site] = true;
        }
    }
}

// The content that the site has which the user named; NULL: he named none that has it.
static const struct digest *content_at(const struct survey *survey,
                                       const struct location *locations, size_t count)
{
    for (size_t i = 0; i < count && survey->named_site; i++) {
        if (locations[i].has_digest && strcmp(locations[i].site.text, survey->named_site) == 0) {
            return &locations[i].digest;
        }
    }
    return NULL;
}

// Which content is meant: what the job names, what the site has that it is to run at, what is here, or what all say. CONFLICT when they say different things.
static enum status choose_content(struct survey *survey, size_t at,
                                  const struct location *locations, size_t count,
                                  struct error *error)
{
    struct survey_data *known = &survey->known[at];
    const struct digest *there = content_at(survey, locations, count);
    const struct claims claims = claims_compare(locations, count);
    if (known->wanted) {
        return OK;
    }
    if (there) {
        bool is_same = known->is_here && digest_equal(there, &known->digest);
        known->is_here = is_same;
        known->file_count = is_same ? known->file_count : -1;
        known->meant = there;
        return OK;
    }
    if (!known->is_here && claims.other) {
        return claims_refuse(&claims, known->id, error);
    }
    known->meant = claims.first && !known->is_here ? &claims.first->digest : NULL;
    return OK;
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
    TRY(choose_content(survey, at, locations, count, error));
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
    if (here == OK && is_wanted(known, &dataset.digest)) {
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
    if (known->wanted && known->file_count < 0) {
        (void)error_set(error, NOT_FOUND, "no site that can be used has %.200s as %s", known->id,
                        known->wanted);
        error_fix(error, "lode resolve %.150s shows who has what", known->id);
        return NOT_FOUND;
    }
    survey->data[at].id = known->id;
    survey->data[at].size_bytes = known->size_bytes;
    survey->data[at].is_at[0] = known->is_here;
    return OK;
}

static enum status note_data(struct survey *survey, const struct spec_data *data,
                             struct error *error)
{
    if (survey->data_count == PLAN_DATA_MAX) {
        return error_set(error, QUOTA, "a job can name at most %d datasets", PLAN_DATA_MAX);
    }
    // Copies, as the spec is the queue's once the job is submitted.
    survey->known[survey->data_count] =
        (struct survey_data){.id = arena_copy(&survey->arena, text_of(data->id)),
                             .name = arena_copy(&survey->arena, text_of(data->name))};
    if (data->digest) {
        survey->known[survey->data_count].wanted =
            arena_copy(&survey->arena, text_of(data->digest));
    }
    survey->data_count++;
    return OK;
}

enum status survey_find_all(struct broker *broker, const struct job_spec *spec,
                            struct survey *survey, struct error *error)
{
    for (size_t i = 0; i < spec->data_count; i++) {
        TRY(note_data(survey, &spec->data[i], error));
    }
    if (spec->over) {
        const struct spec_data over = {spec->over, spec->over_name, spec->over_digest};
        TRY(note_data(survey, &over, error));
    }
    for (size_t i = 0; i < survey->data_count; i++) {
        TRY(survey_find(broker, survey, i, error));
    }
    return OK;
}
