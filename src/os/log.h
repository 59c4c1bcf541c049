// The log of a program: one line of key=value pairs on standard error.
#ifndef LODE_OS_LOG_H
#define LODE_OS_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

// Lines above this level are dropped. The default is LOG_LEVEL_INFO. Set once, before threads start.
void log_set_level(enum log_level level);

// Writes "2026-11-21T10:00:00Z level=info " and the formatted text: log_line(LOG_LEVEL_INFO, "event=started port=%d", p).
// Control characters in the text, line breaks among them, become spaces. Safe from any thread.
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
