// Answers of a streamed program on their way to the worker.
#include "runner/stream.h"

#include "os/clock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
    READ_SIZE = 256 << 10,
    ANSWERS_SIZE = 256 << 10, // Bytes of answers that are sent at once.
};

void stream_send_answers(struct stream *stream)
{
    struct runner *runner = stream->runner;
    struct queued_range *range = range_first(runner);
    if (!range || stream->answered_from == range->next) {
        return;
    }
    AUTO_BUFFER struct buffer errors = {0};
    stream_take_errors(runner, &errors);
    int64_t cpu_us = stream_cpu_us(stream->child);
    int64_t now_us = clock_steady_us();
    struct runner_answers message = {
        .lease = range->lease,
        .from = stream->answered_from,
        .to = range->next,
        .started_us = stream->real_us,
        .wall_us = now_us - stream->since_us - stream->waited_us,
        .cpu_us = cpu_us > stream->cpu_told_us ? cpu_us - stream->cpu_told_us : 0,
        .peak_bytes = stream_peak_bytes(stream->child),
        .errors = buffer_text(&errors),
        .lines = text_slice(buffer_text(&stream->answers), 0, stream->answers_end),
    };
    control_send_answers(runner, &message);
    buffer_consume(&stream->answers, stream->answers_end);
    stream->answers_end = 0;
    stream->answered_from = range->next;
    stream->since_us = now_us;
    stream->waited_us = 0;
    stream->real_us = clock_real_us();
    stream->cpu_told_us = cpu_us > 0 ? cpu_us : stream->cpu_told_us;
}

void stream_end_program(struct stream *stream, enum runner_outcome ending, const char *detail)
{
    if (stream->ending == OUTCOME_EXITED) {
        stream->ending = ending;
        (void)snprintf(stream->detail, sizeof stream->detail, "%s", detail);
    }
    stream->is_ended = true;
}

// Forgets the items of the range that were answered.
static void use_items(struct stream *stream, struct queued_range *range, int64_t count)
{
    struct text items = buffer_text(&range->items);
    size_t used = 0;
    for (int64_t i = 0; stream->runner->job.items != ITEMS_COUNT && i < count; i++) {
        used = text_find_byte(items, used, '\n') + 1;
    }
    buffer_consume(&range->items, used);
    range->items_at -= used;
    range->next += count;
    range->taken -= count;
    stream->taken -= count;
}

void stream_end_range(struct stream *stream)
{
    struct runner *runner = stream->runner;
    stream_send_answers(stream);
    range_drop_first(runner);
    stream->feeding -= stream->feeding > 0 ? 1 : 0;
    struct queued_range *range = range_first(runner);
    stream->answered_from = range ? range->next : 0;
}

// Gives the complete lines to the ranges at the front, in order.
static void count_answers(struct stream *stream)
{
    struct runner *runner = stream->runner;
    while (!stream->is_ended) {
        struct queued_range *range = range_first(runner);
        struct text all = buffer_text(&stream->answers);
        int64_t count = 0;
        size_t end = text_find_byte(all, stream->answers_end, '\n');
        while (end < all.length && range && count < range->taken) {
            count++;
            stream->answers_end = end + 1;
            end = text_find_byte(all, end + 1, '\n');
        }
        if (count > 0) {
            use_items(stream, range, count);
            stream->progress_us = clock_steady_us();
        }
        if (range && !range->is_cancelled && range->next >= range->to) {
            stream_end_range(stream);
            continue;
        }
        if (end < all.length) {
            stream_end_program(
                stream, OUTCOME_WORKER,
                "the program gave more answers than items: exactly one line for each is needed");
        } else if (all.length - stream->answers_end > RUNNER_ITEM_MAX) {
            stream_end_program(stream, OUTCOME_WORKER,
                               "the program gave an answer of more than 1 MiB");
        }
        return;
    }
}

void stream_read_answers(struct stream *stream)
{
    while (!stream->is_ended) {
        char *room = buffer_reserve(&stream->answers, READ_SIZE);
        ssize_t got = read(stream->output, room, READ_SIZE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return;
        }
        if (got == 0) {
            stream->is_ended = true;
            return;
        }
        buffer_advance(&stream->answers, (size_t)got);
        count_answers(stream);
        if (stream->answers_end >= ANSWERS_SIZE) {
            stream_send_answers(stream);
        }
        if (got < READ_SIZE) {
            return;
        }
    }
}
