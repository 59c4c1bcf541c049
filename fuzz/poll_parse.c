// poll_parse: any bytes as the body of a worker's poll. What is accepted keeps what the queue relies on.
#include "protocol/poll_parse.h"
#include "fuzz.h"

static void check_result(const struct poll_result *result)
{
    for (size_t i = 0; i < result->task_count; i++) {
        const struct poll_task *task = &result->tasks[i];
        FUZZ_CHECK(task->index >= 0 && task->code >= 0 && task->wall_us >= 0);
        FUZZ_CHECK((unsigned)task->outcome < OUTCOME_COUNT);
        FUZZ_CHECK(task->output.bytes.length <= POLL_INLINE_MAX);
        FUZZ_CHECK(task->detail.length <= POLL_DETAIL_MAX);
    }
    FUZZ_CHECK(!result->has_chunk ||
               (result->chunk.from >= 0 && result->chunk.from < result->chunk.to));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct poll_body *body = NULL;
    if (poll_parse(fuzz_text(data, size), &body, NULL) != OK) {
        return 0;
    }
    FUZZ_CHECK(body->wait_us >= 0);
    for (size_t i = 0; i < body->result_count; i++) {
        check_result(&body->results[i]);
    }
    for (size_t i = 0; i < body->lease_count; i++) {
        FUZZ_CHECK(body->leases[i].from <= body->leases[i].to);
    }
    poll_free(body);
    return 0;
}
