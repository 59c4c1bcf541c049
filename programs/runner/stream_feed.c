// Items of the queued ranges on their way to a streamed program.
#include "runner/stream.h"

#include "os/clock.h"

#include <errno.h>
#include <unistd.h>

enum { FEED_SIZE = 256 << 10 }; // Bytes prepared for the program ahead of its reading.

void stream_rewind(struct stream *stream)
{
    for (size_t i = 0; i < stream->runner->range_count; i++) {
        struct queued_range *range = range_at(stream->runner, i);
        range->taken = 0;
        range->items_at = 0;
    }
    buffer_clear(&stream->feed);
    stream->feed_at = 0;
    stream->feeding = 0;
    stream->taken = 0;
    stream->is_refused = false;
    buffer_clear(&stream->answers);
    stream->answers_end = 0;
}

static void add_line(struct stream *stream, struct queued_range *range, struct text line)
{
    buffer_append_text(&stream->feed, line);
    buffer_append_byte(&stream->feed, '\n');
    range->taken++;
    stream->taken++;
}

// The line for the next item of the range goes to the program; false: there is none at present.
static bool take_item(struct stream *stream, struct queued_range *range)
{
    struct runner *runner = stream->runner;
    if (range->next + range->taken >= range->to) {
        return false;
    }
    if (runner->job.items == ITEMS_COUNT) {
        buffer_append_int64(&stream->feed, runner->job.first_index + range->next + range->taken);
        add_line(stream, range, TEXT_NONE);
        return true;
    }
    struct text items = buffer_text(&range->items);
    size_t end = text_find_byte(items, range->items_at, '\n');
    if (end >= items.length) {
        return false;
    }
    struct text line = text_slice(items, range->items_at, end);
    if (runner->job.items == ITEMS_FILES) {
        struct item_file file;
        if (item_file_parse(line, &file, &stream->refusal) != OK ||
            item_file_check(&runner->job, line, &stream->refusal) != OK) {
            stream->is_refused = true;
            return false;
        }
        buffer_append_text(&stream->feed, runner->job.data_folder);
        buffer_append_byte(&stream->feed, '/');
        line = file.path;
    }
    add_line(stream, range, line);
    range->items_at = end + 1;
    return true;
}

// Takes items, range after range, until the program has enough ahead. A cancelled range is a barrier: the program ends
// before what comes behind it.
static void take_items(struct stream *stream)
{
    struct runner *runner = stream->runner;
    while (stream->feed.length - stream->feed_at < FEED_SIZE && !stream->is_refused) {
        struct queued_range *range = range_at(runner, stream->feeding);
        if (range->is_cancelled) {
            return;
        }
        if (take_item(stream, range)) {
            continue;
        }
        bool is_complete = range->next + range->taken >= range->to;
        if (!is_complete || stream->feeding + 1 >= runner->range_count) {
            return;
        }
        stream->feeding++;
    }
}

void stream_feed(struct stream *stream)
{
    if (stream->input < 0) {
        return; // This program gets no more; its successor will.
    }
    bool was_idle = stream->taken == 0;
    take_items(stream);
    if (was_idle && stream->taken > 0) {
        stream->progress_us = clock_steady_us();
    }
    while (stream->feed_at < stream->feed.length) {
        ssize_t written = write(stream->input, stream->feed.bytes + stream->feed_at,
                                stream->feed.length - stream->feed_at);
        if (written < 0 && errno != EINTR) {
            break; // Full; or broken: its end is seen on the other side.
        }
        stream->feed_at += written > 0 ? (size_t)written : 0;
    }
    if (stream->feed_at == stream->feed.length) {
        buffer_clear(&stream->feed);
        stream->feed_at = 0;
    }
}
