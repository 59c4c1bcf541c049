#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int http;
} STATUSES[] = {
    [OK] = {"ok", 200},
    [INVALID] = {"invalid", 400},
    [NOT_FOUND] = {"not_found", 404},
    [CONFLICT] = {"conflict", 409},
    [DENIED] = {"denied", 403},
    [QUOTA] = {"quota", 507},
    [BUSY] = {"busy", 429},
    [TIMEOUT] = {"timeout", 504},
    [UNAVAILABLE] = {"unavailable", 503},
    [CORRUPT] = {"corrupt", 422},
    [UNSUPPORTED] = {"unsupported", 501},
    [INTERNAL] = {"internal", 500},
};

enum { STATUS_COUNT = sizeof STATUSES / sizeof STATUSES[0] };

// Writes status and detail and clears the fix; `error` may be NULL.
PRINTF_LIKE(3, 0)
static void write_detail(struct error *error, enum status status, const char *format,
                         va_list arguments)
{
    if (error) {
        error->status = status;
        error->fix[0] = '\0';
        (void)vsnprintf(error->detail, sizeof error->detail, format, arguments);
    }
}

enum status error_set(struct error *error, enum status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_detail(error, status, format, arguments);
    va_end(arguments);
    return status;
}

static enum status status_from_errno(int error_number)
{
    switch (error_number) {
    case ENOENT:
    case ENOTDIR:
        return NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return QUOTA;
    case ELOOP:
    case ENAMETOOLONG:
        return INVALID;
    default:
        return INTERNAL;
    }
}

enum status error_set_errno(struct error *error, int error_number, const char *format, ...)
{
    enum status status = status_from_errno(error_number);
    va_list arguments;
    va_start(arguments, format);
    write_detail(error, status, format, arguments);
    va_end(arguments);
    if (error) {
        size_t used = strlen(error->detail);
        char buffer[128];
        const char *reason = strerror_r(error_number, buffer, sizeof buffer);
        (void)snprintf(error->detail + used, sizeof error->detail - used, ": %s", reason);
    }
    return status;
}

void error_fix(struct error *error, const char *format, ...)
{
    if (!error) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->fix, sizeof error->fix, format, arguments);
    va_end(arguments);
}

const char *status_name(enum status status)
{
    return (unsigned)status < STATUS_COUNT ? STATUSES[status].name : "internal";
}

int status_to_http(enum status status)
{
    return (unsigned)status < STATUS_COUNT ? STATUSES[status].http : 500;
}

enum status status_from_http(int code)
{
    if (code < 400) {
        return OK;
    }
    for (unsigned i = 1; i < STATUS_COUNT; i++) {
        if (STATUSES[i].http == code) {
            return (enum status)i;
        }
    }
    switch (code) {
    case 401:
        return DENIED;
    case 413:
        return QUOTA;
    case 408:
        return TIMEOUT;
    case 412:
        return CONFLICT;
    case 405:
    case 415:
    case 416:
        return INVALID;
    default:
        return INTERNAL;
    }
}
