#include "cli/progress.h"

#include "cli/display.h"
#include "os/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_WIDTH_MAX = 30, BAR_WIDTH_MIN = 5, LABEL_WIDTH_MAX = 32 };
static const int64_t DRAW_EVERY_US = 100000;
static const int64_t LINE_EVERY_US = 10000000;
static const int64_t RATE_AFTER_US = 300000; // A rate over a shorter time is noise.

static void append_amount(struct buffer *out, enum progress_unit unit, int64_t amount)
{
    if (unit == PROGRESS_BYTES) {
        display_bytes(out, amount);
    } else {
        buffer_append_int64(out, amount);
    }
}

static void append_rate(struct buffer *out, const struct progress_view *view)
{
    static const char *const NAMES[] = {[PROGRESS_BYTES] = "",
                                        [PROGRESS_TASKS] = " tasks",
                                        [PROGRESS_FILES] = " files",
                                        [PROGRESS_MACHINES] = " machines"};
    if (view->rate_us < RATE_AFTER_US || view->rate_done <= 0) {
        return;
    }
    double per_second = (double)view->rate_done * 1e6 / (double)view->rate_us;
    buffer_append_string(out, "  ");
    if (view->unit == PROGRESS_BYTES) {
        display_bytes(out, (int64_t)per_second);
        buffer_append_string(out, "/s");
    } else {
        buffer_printf(out, per_second < 10 ? "%.1f%s/s" : "%.0f%s/s", per_second,
                      NAMES[view->unit]);
    }
    if (view->total > view->done) {
        double left_s = (double)(view->total - view->done) / per_second;
        int64_t whole_s = left_s < 1e9 ? (int64_t)(left_s + 0.999) : 0;
        if (whole_s > 0 && whole_s < 10) {
            buffer_printf(out, "  %lld s left", (long long)whole_s); // A guess: no tenths.
        } else if (whole_s > 0) {
            buffer_append_string(out, "  ");
            display_duration(out, whole_s * 1000000);
            buffer_append_string(out, " left");
        }
    }
}

static void append_bar(struct buffer *out, const struct progress_view *view, size_t width)
{
    double share = view->total > 0 ? (double)view->done / (double)view->total : 0;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    size_t full = (size_t)(share * (double)width);
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < width; i++) {
        if (view->is_utf8) {
            buffer_append_string(out, i < full ? "\u2588" : "\u2591");
        } else {
            buffer_append_byte(out, i < full ? '#' : '.');
        }
    }
    buffer_append_string(out, "] ");
}

void progress_format(const struct progress_view *view, struct buffer *out)
{
    AUTO_BUFFER struct buffer figures = {0};
    bool is_known = view->total >= 0;
    if (is_known) {
        // The last percent is for the end: 100 % means done.
        int64_t percent =
            view->total == 0 ? 100 : (int64_t)((double)view->done * 100 / (double)view->total);
        percent = percent > 99 && view->done < view->total ? 99 : percent > 100 ? 100 : percent;
        buffer_printf(&figures, "%3d %%  ", (int)percent);
    }
    append_amount(&figures, view->unit, view->done);
    if (is_known) {
        buffer_append_string(&figures, " / ");
        append_amount(&figures, view->unit, view->total);
    }
    append_rate(&figures, view);
    if (view->note) {
        buffer_printf(&figures, "  %s", view->note);
    }
    AUTO_BUFFER struct buffer label = {0};
    display_text(&label, text_of(view->label));
    buffer_append_text(out, display_cut(buffer_text(&label), LABEL_WIDTH_MAX));
    buffer_append_string(out, "  ");
    size_t used = display_width(buffer_text(out)) + display_width(buffer_text(&figures)) + 4;
    if (view->width > 0 && is_known && used + BAR_WIDTH_MIN <= view->width) {
        size_t room = view->width - used;
        append_bar(out, view, room < BAR_WIDTH_MAX ? room : BAR_WIDTH_MAX);
    }
    buffer_append_text(out, buffer_text(&figures));
}

void progress_init(struct progress *progress, const char *label, enum progress_unit unit,
                   bool is_quiet)
{
    *progress = (struct progress){.is_quiet = is_quiet};
    progress->view.label = label;
    progress->view.unit = unit;
    progress->view.total = -1;
    progress->view.width = is_quiet ? 0 : terminal_width(STDERR_FILENO);
    progress->view.is_utf8 = terminal_is_utf8();
}

static void draw(struct progress *progress)
{
    AUTO_BUFFER struct buffer line = {0};
    if (progress->view.width > 0) {
        // Overwrites the old line and erases what was longer; nothing wraps.
        buffer_append_string(&line, "\r");
        AUTO_BUFFER struct buffer text = {0};
        progress_format(&progress->view, &text);
        if (display_width(buffer_text(&text)) < progress->view.width) {
            buffer_append_text(&line, buffer_text(&text));
        }
        buffer_append_string(&line, "\033[K");
        progress->is_shown = true;
    } else {
        progress_format(&progress->view, &line);
        buffer_append_byte(&line, '\n');
    }
    (void)fwrite(line.bytes, 1, line.length, stderr);
    (void)fflush(stderr);
}

void progress_update(struct progress *progress, int64_t done, int64_t total)
{
    if (progress->is_quiet) {
        return;
    }
    int64_t now_us = clock_steady_us();
    if (!progress->has_begun) {
        progress->has_begun = true;
        progress->began_us = now_us;
        // Nothing is shown of what takes no time.
        progress->drawn_us = now_us;
        progress->first_done = done;
    }
    progress->view.done = done;
    progress->view.total = total;
    progress->view.rate_done = done - progress->first_done;
    progress->view.rate_us = now_us - progress->began_us;
    int64_t every_us = progress->view.width > 0 ? DRAW_EVERY_US : LINE_EVERY_US;
    if (now_us - progress->drawn_us >= every_us) {
        progress->drawn_us = now_us;
        draw(progress);
    }
}

void progress_hide(struct progress *progress)
{
    if (progress->is_shown) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
        progress->is_shown = false;
        progress->drawn_us = clock_steady_us() - DRAW_EVERY_US / 2;
    }
}
