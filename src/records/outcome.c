#include "records/outcome.h"

static const char *const OUTCOME_NAMES[OUTCOME_COUNT] = {
    "exited", "signal", "walltime", "memory", "disk", "input", "worker", "pids", "lost"};

const char *outcome_name(enum poll_outcome outcome)
{
    return (unsigned)outcome < OUTCOME_COUNT ? OUTCOME_NAMES[outcome] : "unknown";
}

int64_t outcome_exit_code(enum poll_outcome outcome, int64_t code)
{
    switch (outcome) {
    case OUTCOME_EXITED:
        return code;
    case OUTCOME_SIGNAL:
        return 128 + code;
    case OUTCOME_WALLTIME:
        return 124;
    case OUTCOME_MEMORY:
    case OUTCOME_DISK:
    case OUTCOME_INPUT:
    case OUTCOME_WORKER:
    case OUTCOME_PIDS:
    case OUTCOME_LOST:
        break;
    }
    return 125;
}

enum task_cause outcome_cause(enum poll_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_WALLTIME:
    case OUTCOME_MEMORY:
    case OUTCOME_DISK:
    case OUTCOME_PIDS:
        return CAUSE_LIMIT;
    case OUTCOME_INPUT:
        return CAUSE_INPUT;
    case OUTCOME_WORKER:
        return CAUSE_WORKER;
    case OUTCOME_LOST:
        return CAUSE_LOST;
    case OUTCOME_EXITED:
    case OUTCOME_SIGNAL:
        break;
    }
    return CAUSE_FAIL;
}

void outcome_message(enum poll_outcome outcome, int64_t code, struct text detail,
                     struct buffer *out)
{
    if (detail.length > 0) {
        buffer_append_text(out, detail);
    } else if (outcome == OUTCOME_EXITED && code != 0) {
        buffer_printf(out, "exit status %lld", (long long)code);
    } else if (outcome == OUTCOME_SIGNAL) {
        buffer_printf(out, "killed by signal %lld", (long long)code);
    } else if (outcome != OUTCOME_EXITED) {
        buffer_printf(out, "ended for the reason: %s", outcome_name(outcome));
    }
}
