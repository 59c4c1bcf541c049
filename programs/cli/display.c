#include "cli/display.h"

#include "base/calendar.h"
#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)

enum { TABLE_GAP = 2, COLUMN_WIDTH_MIN = 8, TERMINAL_WIDTH_DEFAULT = 80 };

void display_bytes(struct buffer *out, int64_t bytes)
{
    static const char *const UNITS[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        buffer_printf(out, "%lld B", (long long)bytes);
        return;
    }
    double size = (double)bytes / 1024;
    size_t unit = 0;
    while (size >= 1023.95 && unit + 1 < sizeof(UNITS) / sizeof(UNITS[0])) {
        size /= 1024;
        unit++;
    }
    buffer_printf(out, "%.1f %s", size, UNITS[unit]);
}

// "3 min 4 s", "3 min" when there is no rest.
static void append_parts(struct buffer *out, int64_t whole, const char *unit, int64_t rest,
                         const char *rest_unit)
{
    buffer_printf(out, "%lld %s", (long long)whole, unit);
    if (rest > 0) {
        buffer_printf(out, " %lld %s", (long long)rest, rest_unit);
    }
}

void display_duration(struct buffer *out, int64_t duration_us)
{
    if (duration_us <= 0) {
        buffer_append_string(out, "0 s");
    } else if (duration_us < 1000) {
        buffer_printf(out, "%lld us", (long long)duration_us);
    } else if (duration_us < SECOND_US) {
        buffer_printf(out, "%lld ms", (long long)(duration_us / 1000));
    } else if (duration_us < 10 * SECOND_US) {
        int64_t tenths = duration_us / (SECOND_US / 10);
        buffer_printf(out, "%lld.%lld s", (long long)(tenths / 10), (long long)(tenths % 10));
    } else if (duration_us < MINUTE_US) {
        buffer_printf(out, "%lld s", (long long)(duration_us / SECOND_US));
    } else if (duration_us < HOUR_US) {
        append_parts(out, duration_us / MINUTE_US, "min", duration_us % MINUTE_US / SECOND_US, "s");
    } else if (duration_us < DAY_US) {
        append_parts(out, duration_us / HOUR_US, "h", duration_us % HOUR_US / MINUTE_US, "min");
    } else {
        append_parts(out, duration_us / DAY_US, "d", duration_us % DAY_US / HOUR_US, "h");
    }
}

void display_time(struct buffer *out, int64_t time_us, int64_t now_us)
{
    int64_t past_us = now_us - time_us;
    int64_t distance_us = past_us < 0 ? -past_us : past_us;
    if (distance_us > 30 * DAY_US) {
        char text[CALENDAR_TEXT_SIZE];
        buffer_append_text(out, text_slice(text_of(calendar_format(time_us, text)), 0, 10));
        return;
    }
    if (distance_us < 5 * SECOND_US) {
        buffer_append_string(out, "just now");
        return;
    }
    buffer_append_string(out, past_us < 0 ? "in " : "");
    if (distance_us < MINUTE_US) {
        buffer_printf(out, "%lld s", (long long)(distance_us / SECOND_US));
    } else if (distance_us < HOUR_US) {
        buffer_printf(out, "%lld min", (long long)(distance_us / MINUTE_US));
    } else if (distance_us < DAY_US) {
        buffer_printf(out, "%lld h", (long long)(distance_us / HOUR_US));
    } else {
        buffer_printf(out, "%lld d", (long long)(distance_us / DAY_US));
    }
    buffer_append_string(out, past_us < 0 ? "" : " ago");
}

void display_text(struct buffer *out, struct text text)
{
    bool is_utf8 = text_is_utf8(text);
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        // U+0080 to U+009F are control characters too: C2 80 to C2 9F.
        bool is_control = byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8);
        if (is_utf8 && byte == 0xc2 && i + 1 < text.length &&
            (unsigned char)text.bytes[i + 1] < 0xa0) {
            is_control = true;
            i++;
        }
        buffer_append_byte(out, is_control ? '?' : (char)byte);
    }
}

static bool is_of_number(struct text text, size_t at)
{
    char byte = text.bytes[at];
    bool is_digit = byte >= '0' && byte <= '9';
    bool has_digit_next =
        at + 1 < text.length && text.bytes[at + 1] >= '0' && text.bytes[at + 1] <= '9';
    return is_digit || (byte == '.' && has_digit_next);
}

static size_t skip_number(struct text text, size_t at)
{
    while (at < text.length && is_of_number(text, at)) {
        at++;
    }
    return at;
}

bool display_says_same(struct text a, struct text b)
{
    size_t at_a = 0;
    size_t at_b = 0;
    while (at_a < a.length && at_b < b.length) {
        if (is_of_number(a, at_a) && is_of_number(b, at_b)) {
            at_a = skip_number(a, at_a);
            at_b = skip_number(b, at_b);
        } else if (a.bytes[at_a++] != b.bytes[at_b++]) {
            return false;
        }
    }
    return at_a == a.length && at_b == b.length;
}

size_t display_width(struct text text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.length; i++) {
        width += ((unsigned char)text.bytes[i] & 0xc0) != 0x80;
    }
    return width;
}

struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells; // Row by row.
    size_t cell_count;
};

struct table *table_new(const struct table_column *columns, size_t count)
{
    struct table *table = NEW(struct table);
    table->columns = columns;
    table->column_count = count;
    return table;
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
}

void table_add(struct table *table, struct text text)
{
    AUTO_BUFFER struct buffer cell = {0};
    display_text(&cell, text);
    table->cells = memory_resize(table->cells, table->cell_count + 1, sizeof(char *));
    table->cells[table->cell_count++] = buffer_take_string(&cell);
}

void table_addf(struct table *table, const char *format, ...)
{
    char cell[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(cell, sizeof(cell), format, arguments);
    va_end(arguments);
    assert(length >= 0);
    table_add(table, text_of(cell));
}

// The widths of the columns; where they are together wider than `limit`, columns that may be cut give way.
static void measure(const struct table *table, size_t limit, size_t *widths)
{
    size_t total = 0;
    for (size_t c = 0; c < table->column_count; c++) {
        widths[c] = strlen(table->columns[c].title);
        for (size_t i = c; i < table->cell_count; i += table->column_count) {
            size_t width = display_width(text_of(table->cells[i]));
            widths[c] = width > widths[c] ? width : widths[c];
        }
        total += widths[c] + (c > 0 ? TABLE_GAP : 0);
    }
    for (size_t c = table->column_count; c-- > 0 && limit > 0 && total > limit;) {
        if (table->columns[c].may_cut && widths[c] > COLUMN_WIDTH_MIN) {
            size_t spare = widths[c] - COLUMN_WIDTH_MIN;
            size_t cut = total - limit < spare ? total - limit : spare;
            widths[c] -= cut;
            total -= cut;
        }
    }
}

struct text display_cut(struct text text, size_t width)
{
    size_t seen = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (((unsigned char)text.bytes[i] & 0xc0) != 0x80 && seen++ == width) {
            return text_slice(text, 0, i);
        }
    }
    return text;
}

static void write_cell(const struct table_column *column, struct text text, size_t width,
                       bool is_last, struct buffer *out)
{
    bool is_cut = display_width(text) > width;
    if (is_cut) {
        text = display_cut(text, width - 3);
    }
    size_t pad = width - display_width(text) - (is_cut ? 3 : 0);
    for (size_t i = 0; i < pad && column->is_right; i++) {
        buffer_append_byte(out, ' ');
    }
    buffer_append_text(out, text);
    buffer_append_string(out, is_cut ? "..." : "");
    for (size_t i = 0; i < pad + TABLE_GAP && !is_last; i++) {
        if (!column->is_right || i >= pad) {
            buffer_append_byte(out, ' ');
        }
    }
    if (is_last) {
        while (out->length > 0 && out->bytes[out->length - 1] == ' ') {
            out->bytes[--out->length] = '\0';
        }
        buffer_append_byte(out, '\n');
    }
}

void table_write(const struct table *table, size_t width, struct buffer *out)
{
    AUTO_FREE size_t *widths = memory_new(table->column_count, sizeof(*widths));
    measure(table, width, widths);
    for (size_t c = 0; c < table->column_count; c++) {
        write_cell(&table->columns[c], text_of(table->columns[c].title), widths[c],
                   c + 1 == table->column_count, out);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t c = i % table->column_count;
        write_cell(&table->columns[c], text_of(table->cells[i]), widths[c],
                   c + 1 == table->column_count, out);
    }
}

size_t terminal_width(int fd)
{
    struct winsize size = {0};
    if (!isatty(fd)) {
        return 0;
    }
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                : TERMINAL_WIDTH_DEFAULT;
}

bool terminal_is_utf8(void)
{
    static const char *const NAMES[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        const char *value = getenv(NAMES[i]);
        if (value && *value) {
            struct text text = text_of(value);
            return text_matches_glob(text, TEXT("*[uU][tT][fF]8*")) ||
                   text_matches_glob(text, TEXT("*[uU][tT][fF]-8*"));
        }
    }
    return false;
}
