// A worker that shows its key is not always welcome: it waits to be accepted, or hears that it is not.
#include "worker/state.h"

#include "base/json.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/random.h"

enum { KIND_MAX = 200 };
#define ASK_AGAIN_MIN_US INT64_C(1000000)
#define ASK_AGAIN_SPREAD_US INT64_C(2000000) // Workers that wait do not ask all at once.

static int64_t ask_again_us(void)
{
    uint32_t random = 0;
    random_fill(&random, sizeof random);
    return ASK_AGAIN_MIN_US + (int64_t)random % ASK_AGAIN_SPREAD_US;
}

// Said once; the operator needs the fingerprint, so it stands in what the site says.
static void wait_for_operator(struct worker *worker, const struct http_answer *answer)
{
    worker->retry_us = clock_steady_us() + ask_again_us();
    if (!worker->is_pending) {
        worker->is_pending = true;
        log_line(LOG_LEVEL_WARNING, "event=pending detail=\"%s\" change=\"%s\"",
                 answer->error.detail, answer->error.fix);
        if (worker->options->on_welcome) {
            worker->options->on_welcome(WORKER_PENDING);
        }
    }
}

static bool is_of_kind(const struct http_answer *answer, struct text wanted)
{
    AUTO_JSON json_t *problem = NULL;
    struct text kind = TEXT_NONE;
    return json_parse(answer->body, &problem, NULL) == OK &&
           json_field_text(problem, "type", JSON_REQUIRED, KIND_MAX, &kind, NULL) == OK &&
           text_equal(kind, wanted);
}

bool admission_take_denial(struct worker *worker, const struct http_answer *answer)
{
    if (answer->code != 403 || !is_of_kind(answer, TEXT("urn:lode:problem:denied"))) {
        return false;
    }
    worker->fault = answer->error;
    worker->fault.status = DENIED;
    worker->is_ended = true;
    return true;
}

bool admission_take_refusal(struct worker *worker, const struct http_answer *answer)
{
    AUTO_JSON json_t *problem = NULL;
    struct text kind = TEXT_NONE;
    bool is_candidate = answer->code == 403 || answer->code == 409;
    if (!is_candidate || json_parse(answer->body, &problem, NULL) != OK ||
        json_field_text(problem, "type", JSON_REQUIRED, KIND_MAX, &kind, NULL) != OK) {
        return false;
    }
    if (text_equal(kind, TEXT("urn:lode:problem:worker_pending"))) {
        wait_for_operator(worker, answer);
        return true;
    }
    if (!text_equal(kind, TEXT("urn:lode:problem:worker_refused")) &&
        !text_equal(kind, TEXT("urn:lode:problem:worker_key_changed"))) {
        return false;
    }
    worker->fault = answer->error;
    worker->fault.status = DENIED;
    worker->is_ended = true;
    return true;
}
