// Outcomes: the closed set of statuses that every fallible function returns, and the text that goes with one.
#ifndef LODE_BASE_STATUS_H
#define LODE_BASE_STATUS_H

#include <stdarg.h>

enum status {
    OK = 0,
    INVALID,     // The caller's input is wrong; repeating it unchanged cannot work.
    NOT_FOUND,   // The thing named does not exist here.
    CONFLICT,    // The thing exists already, or its state does not allow this.
    DENIED,      // The principal may not do this, or is not known.
    QUOTA,       // A named limit would be passed.
    BUSY,        // Not now; trying again later can work.
    TIMEOUT,     // The time allowed ran out.
    UNAVAILABLE, // A part that is needed cannot be reached or used at present.
    CORRUPT,     // Stored or received data contradicts its digest or its format.
    UNSUPPORTED, // Known, but not done by this program or machine.
    INTERNAL,    // A fault of this program or of the system under it.
};

enum { ERROR_DETAIL_MAX = 512, ERROR_FIX_MAX = 448 };

// What went wrong, for people. A plain value: no allocation happens on the error path.
struct error {
    enum status status;
    char detail[ERROR_DETAIL_MAX]; // What was wrong, with the value.
    char fix[ERROR_FIX_MAX];       // What to do about it; empty where nothing helps.
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))

// Fills `error` (may be NULL) with the status and the formatted detail, clears its fix and returns `status`, so that
// a caller can write `return error_set(error, INVALID, ...)`.
enum status error_set(struct error *error, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

// As error_set, for a failed system call: appends ": " and the text of `error_number` (errno).
// ENOENT and ENOTDIR map to NOT_FOUND; EACCES, EPERM and EROFS to DENIED; ENOSPC, EDQUOT and EFBIG to QUOTA; ELOOP and
// ENAMETOOLONG to INVALID; others to INTERNAL.
enum status error_set_errno(struct error *error, int error_number, const char *format, ...)
    PRINTF_LIKE(3, 4);

// Adds the way out to an error that was set before; `error` may be NULL. It returns nothing, as it could not tell the status then.
void error_fix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

// The lower-case name of a status ("not_found"); a static string.
const char *status_name(enum status status);

// The HTTP status code that stands for `status` (RFC 9110): OK is 200.
int status_to_http(enum status status);

// The status that an HTTP status code stands for; codes below 400 are OK, unknown ones INTERNAL.
enum status status_from_http(int code);

// Returns from the calling function when `expression` is not OK.
#define TRY(expression)                                                                            \
    do {                                                                                           \
        enum status try_status_ = (expression);                                                    \
        if (try_status_ != OK) {                                                                   \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

#endif
