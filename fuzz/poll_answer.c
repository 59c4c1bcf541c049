// poll_answer_read: any bytes as what a site tells a worker, or the link. What is accepted can be leased.
#include "protocol/poll_answer.h"
#include "fuzz.h"
#include "jobs/spec.h"
#include "protocol/source_answer.h"

static void check_registration(struct text text)
{
    struct registration registration;
    struct error error = {0};
    if (registration_read(text, &registration, &error) == OK) {
        FUZZ_CHECK(registration.worker > 0 && registration.wait_seconds >= 0);
        FUZZ_CHECK(registration.wait_seconds <= POLL_ANSWER_WAIT_SECONDS_MAX);
    } else {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
    }
}

static void check_source(struct text text)
{
    struct source_answer answer;
    struct error error = {0};
    if (source_answer_read(text, &answer, &error) == OK) {
        FUZZ_CHECK((answer.kind == SOURCE_WORKER) == (answer.worker > 0));
        FUZZ_CHECK(strlen(answer.url) <= WORKER_URL_MAX && strlen(answer.pass) < PASS_SIZE);
    } else {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
    }
}

static void check_answer(const struct poll_answer *answer)
{
    FUZZ_CHECK(answer->lease_count <= POLL_ANSWER_JOBS_MAX);
    for (size_t i = 0; i < answer->lease_count; i++) {
        const struct leased *leased = &answer->leases[i];
        FUZZ_CHECK(leased->lease > 0 && leased->job > 0);
        FUZZ_CHECK(leased->from >= 0 && leased->from < leased->to && leased->to <= SPEC_COUNT_MAX);
    }
    for (size_t i = 0; i < answer->cancelled_count; i++) {
        FUZZ_CHECK(answer->cancelled[i] > 0);
    }
    for (size_t i = 0; i < answer->yield_count; i++) {
        FUZZ_CHECK(answer->yields[i] > 0);
    }
    for (size_t i = 0; i < answer->dropped_count; i++) {
        FUZZ_CHECK(answer->dropped[i] > 0);
    }
    FUZZ_CHECK(json_array_size(answer->jobs) <= POLL_ANSWER_JOBS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA struct arena arena = {0};
    AUTO_POLL_ANSWER struct poll_answer answer = {0};
    struct error error = {0};
    struct text text = fuzz_text(data, size);
    check_registration(text);
    check_source(text);
    if (poll_answer_read(text, &arena, &answer, &error) == OK) {
        check_answer(&answer);
    } else {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0' && !answer.document);
    }
    return 0;
}
