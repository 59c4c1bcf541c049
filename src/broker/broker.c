#include "broker/state.h"

#include "base/memory.h"

enum status broker_open(const struct broker_options *options, struct broker **out,
                        struct error *error)
{
    struct broker *broker = NEW(struct broker);
    broker->store = options->store;
    broker->queue = options->queue;
    broker->catalog = options->catalog;
    broker->resolver = options->resolver;
    broker->peers = options->peers;
    broker->transfers = options->transfers;
    broker->find_known = options->find_known;
    broker->placed = options->placed;
    broker->context = options->context;
    broker->name = memory_copy_string(options->name);
    memcpy(broker->self.text, options->fingerprint, strlen(options->fingerprint) + 1);
    broker->offers = offers_new();
    broker->callers = callers_new(options->directory);
    enum status status = staging_new(broker, &broker->staging, error);
    if (status == OK) {
        status = replans_new(broker, &broker->replans, error);
    }
    if (status != OK) {
        broker_close(broker);
        return status;
    }
    *out = broker;
    return OK;
}

void broker_close(struct broker *broker)
{
    if (!broker) {
        return;
    }
    replans_free(broker->replans);
    staging_free(broker->staging);
    callers_free(broker->callers);
    offers_free(broker->offers);
    free(broker->name);
    free(broker);
}

enum status broker_plan(struct broker *broker, const struct job_spec *spec, struct text owner,
                        struct buffer *out, struct error *error)
{
    struct survey *survey = NEW(struct survey);
    AUTO_FREE char *user = text_copy(owner);
    enum status status = survey_make(broker, spec, user, survey, error);
    if (status == OK) {
        survey_write(survey, out);
    }
    survey_done(survey);
    free(survey);
    return status;
}

enum status broker_find_site(struct broker *broker, struct text name, struct peer *out,
                             struct error *error)
{
    if (broker->find_known && broker->find_known(broker->context, name, out)) {
        return OK;
    }
    return peers_introduce(broker->peers, name, out, error);
}

enum status broker_call(struct broker *broker, const struct fingerprint *site, const char *user,
                        const char *method, const char *path, struct text body, struct buffer *out,
                        struct error *error)
{
    struct peer peer;
    TRY(broker_find_site(broker, text_of(site->text), &peer, error));
    struct caller_question question = {
        .site = &peer, .method = method, .path = path, .user = user, .body = body};
    enum status status = callers_ask(broker->callers, &question, 1, BROKER_WAIT_US, error);
    if (status == OK && question.status != OK) {
        *error = question.error;
        status = question.status;
    }
    if (status == OK) {
        buffer_append_text(out, buffer_text(&question.answer));
    }
    buffer_done(&question.answer);
    return status;
}
