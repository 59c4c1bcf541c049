#include "os/log.h"

#include "base/calendar.h"
#include "os/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static _Atomic int level_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&level_max, (int)level);
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const NAMES[] = {"error", "warning", "info", "debug"};
    if ((int)level > atomic_load(&level_max)) {
        return;
    }
    char line[2048];
    char when[CALENDAR_TEXT_SIZE];
    int used = snprintf(line, sizeof line, "%s level=%s ", calendar_format(clock_real_us(), when),
                        NAMES[level]);
    size_t at = used > 0 ? (size_t)used : 0;
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(line + at, sizeof line - at - 1, format, arguments);
    va_end(arguments);
    size_t length = at + (more > 0 ? (size_t)more : 0);
    length = length > sizeof line - 2 ? sizeof line - 2 : length;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];
        line[i] = (char)(byte < 0x20 || byte == 0x7F ? ' ' : byte);
    }
    line[length] = '\n';
    // One write, so that lines of several threads and processes do not mix; nothing can be done when it fails.
    ssize_t written = write(STDERR_FILENO, line, length + 1);
    (void)written;
}
