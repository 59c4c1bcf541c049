// A progress bar on a terminal, and plain lines, sparingly, elsewhere. It writes to standard error.
#ifndef LODE_PROGRAMS_CLI_PROGRESS_H
#define LODE_PROGRAMS_CLI_PROGRESS_H

#include "base/buffer.h"

enum progress_unit { PROGRESS_BYTES, PROGRESS_TASKS, PROGRESS_FILES, PROGRESS_MACHINES };

// What a line of progress says.
struct progress_view {
    const char *label;
    enum progress_unit unit;
    int64_t done;
    int64_t total;     // -1: not known.
    int64_t rate_done; // Done within `rate_us`, from which come the rate and the time left.
    int64_t rate_us;
    const char *note; // At the end; NULL: none.
    size_t width;     // Columns of the terminal; 0: none, a plain line without a bar.
    bool is_utf8;
};

// Appends the line, without a line end.
void progress_format(const struct progress_view *view, struct buffer *out);

// Embedded; progress_init makes it ready.
struct progress {
    struct progress_view view;
    int64_t began_us;
    int64_t drawn_us;
    int64_t first_done; // What was done when it began: a resumed transfer has no rate for that.
    bool is_quiet;
    bool is_shown; // A bar is on the terminal's last line.
    bool has_begun;
};

// A quiet one shows nothing.
void progress_init(struct progress *progress, const char *label, enum progress_unit unit,
                   bool is_quiet);

// Says how far it is; draws at most ten times a second, plain lines every ten seconds.
void progress_update(struct progress *progress, int64_t done, int64_t total);

// Takes the bar off the terminal, before something else is written.
void progress_hide(struct progress *progress);

#endif
