// What people read: sizes, durations, times, tables.
#ifndef LODE_PROGRAMS_CLI_DISPLAY_H
#define LODE_PROGRAMS_CLI_DISPLAY_H

#include "base/buffer.h"

#include <stdio.h>

// "0 B", "1023 B", "1.5 KiB", "12.0 GiB".
void display_bytes(struct buffer *out, int64_t bytes);

// "0 s", "250 us", "1.2 s", "3 min 4 s", "2 h 5 min", "3 d 4 h".
void display_duration(struct buffer *out, int64_t duration_us);

// "just now", "2 min ago", "5 h ago", "3 d ago"; the day ("2026-10-01") when it is longer than 30 days ago; "in 5 min".
void display_time(struct buffer *out, int64_t time_us, int64_t now_us);

// The text in one line that a terminal may be given: control characters and broken UTF-8 become "?".
void display_text(struct buffer *out, struct text text);

// Do both sentences say the same, numbers aside? What waits "for 3 s" still waits "for 4.5 s".
bool display_says_same(struct text a, struct text b);

// How many columns of a terminal the text takes, one for each character of UTF-8.
size_t display_width(struct text text);

// The part of the text that takes at most `width` columns.
struct text display_cut(struct text text, size_t width);

// A table: columns are as wide as their widest cell; cells come row by row.
struct table;
struct table_column {
    const char *title;
    bool is_right; // Numbers.
    bool may_cut;  // Is cut with "..." when the table is wider than the terminal.
};

struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);
// Adds the next cell; what is not for terminals is replaced (display_text).
void table_add(struct table *table, struct text text);
void table_addf(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);
// Writes title and rows; `width` 0: as wide as it is.
void table_write(const struct table *table, size_t width, struct buffer *out);

// The columns of the terminal behind the descriptor; 0 when it is none.
size_t terminal_width(int fd);
// Does the locale of the environment (LC_ALL, LC_CTYPE, LANG) speak UTF-8?
bool terminal_is_utf8(void);

#endif
