#include "runner/runner.h"

#include <unistd.h>

enum { FILE_MAX = 1024 };

// Has the count grown since the last look?
static bool has_grown(struct event_count *events)
{
    char content[FILE_MAX];
    ssize_t got = pread(events->fd, content, sizeof content, 0);
    struct text rest = {content, got > 0 ? (size_t)got : 0};
    struct text key = text_of(events->key);
    struct text line;
    int64_t count = 0;
    while (text_next_part(&rest, '\n', &line)) {
        size_t space = text_find_byte(line, 0, ' ');
        if (text_equal(text_slice(line, 0, space), key) &&
            text_to_int64(text_slice(line, space + 1, line.length), &count)) {
            break;
        }
    }
    int64_t before = events->seen;
    events->seen = count;
    return count > before;
}

void events_judge(struct runner *runner, struct runner_result *result)
{
    bool is_memory = has_grown(&runner->memory_kills);
    bool is_pids = has_grown(&runner->pids_refusals);
    bool is_failure = result->outcome == OUTCOME_SIGNAL ||
                      (result->outcome == OUTCOME_EXITED && result->code != 0);
    if (is_failure && is_memory) {
        result->outcome = OUTCOME_MEMORY;
    } else if (is_failure && is_pids) {
        result->outcome = OUTCOME_PIDS;
    }
}
