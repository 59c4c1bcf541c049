#include "helper/callers.h"

#include "base/memory.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#define FILE_NAME "callers"
#define NAME_PREFIX "cn:"
enum { MODE_OF_OTHERS = 022, FILE_MODE = 0600 };

// A line's caller and account; false for one that says nothing.
static bool split(struct text line, struct text *caller, struct text *account)
{
    line = text_trim(line);
    size_t at = line.length;
    while (at > 0 && line.bytes[at - 1] != ' ' && line.bytes[at - 1] != '\t') {
        at--;
    }
    *caller = text_trim(text_slice(line, 0, at));
    *account = text_slice(line, at, line.length);
    return caller->length > 0 && line.bytes[0] != '#' && account->length <= CALLER_ACCOUNT_MAX &&
           !text_has_control(*account);
}

static bool find(struct text content, struct text wanted, struct text *account)
{
    struct text line;
    struct text caller;
    while (text_next_part(&content, '\n', &line)) {
        if (split(line, &caller, account) && text_equal(caller, wanted)) {
            return true;
        }
    }
    return false;
}

bool callers_look(struct text content, const struct fingerprint *key, struct text name,
                  char account[CALLER_ACCOUNT_MAX + 1])
{
    struct text found = TEXT_NONE;
    char certified[CALLER_NAME_MAX + 1];
    bool is_known = key->text[0] && find(content, text_of(key->text), &found);
    if (!is_known && name.length > 0 && name.length + strlen(NAME_PREFIX) <= CALLER_NAME_MAX) {
        (void)snprintf(certified, sizeof certified, NAME_PREFIX "%.*s", TEXT_ARGS(name));
        is_known = find(content, text_of(certified), &found);
    }
    if (is_known) {
        (void)snprintf(account, CALLER_ACCOUNT_MAX + 1, "%.*s", TEXT_ARGS(found));
    }
    return is_known;
}

enum status caller_check(struct text caller, struct error *error)
{
    char pin[PIN_SIZE];
    char text[CALLER_NAME_MAX + 1];
    size_t prefix = strlen(NAME_PREFIX);
    bool is_short = caller.length <= CALLER_NAME_MAX && !text_has_control(caller) &&
                    text_is_utf8(caller) && text_equal(text_trim(caller), caller);
    (void)snprintf(text, sizeof text, "%.*s", TEXT_ARGS(caller));
    bool is_name =
        is_short && text_starts_with(caller, TEXT(NAME_PREFIX)) && caller.length > prefix;
    if (is_name || (is_short && fingerprint_to_pin(text, pin, NULL) == OK)) {
        return OK;
    }
    (void)error_set(error, INVALID, "\"%.*s\" is neither a fingerprint nor a name",
                    TEXT_ARGS(text_slice(caller, 0, CALLER_NAME_MAX)));
    error_fix(error, "write sha256:..., as \"lode pool key\" prints it for who is to call, or "
                     "cn:NAME for the common name in a certificate of an authority");
    return INVALID;
}

// Who can write the file says who becomes whom.
static enum status check_owner(const char *path, struct error *error)
{
    struct stat about;
    if (stat(path, &about) < 0) {
        return errno == ENOENT ? OK : error_set_errno(error, errno, "cannot look at %s", path);
    }
    bool is_ours = about.st_uid == 0 || about.st_uid == geteuid();
    if (is_ours && (about.st_mode & MODE_OF_OTHERS) == 0) {
        return OK;
    }
    (void)error_set(error, DENIED, "%s can be written by others, so nobody is let in by it", path);
    error_fix(error, "chown it to who runs the helper, and chmod go-w %.180s", path);
    return DENIED;
}

enum status callers_read(const char *folder, struct buffer *out, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/" FILE_NAME, folder);
    TRY(check_owner(folder, error));
    TRY(check_owner(path, error));
    enum status status = file_read(path, CALLERS_SIZE_MAX, out, error);
    return status == NOT_FOUND ? OK : status;
}

// Copies the lines that are not of `caller`; returns how many were.
static size_t copy_others(struct text content, struct text caller, struct buffer *out)
{
    size_t count = 0;
    struct text line;
    struct text found;
    struct text account;
    while (text_next_part(&content, '\n', &line)) {
        bool is_end = !content.bytes && line.length == 0;
        if (split(line, &found, &account) && text_equal(found, caller)) {
            count++;
        } else if (!is_end) {
            buffer_append_text(out, line);
            buffer_append_byte(out, '\n');
        }
    }
    return count;
}

enum status callers_change(const char *folder, struct text caller, struct text account,
                           struct error *error)
{
    AUTO_BUFFER struct buffer old = {0};
    AUTO_BUFFER struct buffer new = {0};
    TRY(file_make_folder(folder, error));
    AUTO_CLOSE int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        return error_set_errno(error, errno, "cannot lock %s", folder);
    }
    TRY(callers_read(folder, &old, error));
    size_t count = copy_others(buffer_text(&old), caller, &new);
    if (count == 0 && account.length == 0) {
        return error_set(error, NOT_FOUND, "\"%.*s\" is not allowed here anyway",
                         TEXT_ARGS(text_slice(caller, 0, CALLER_NAME_MAX)));
    }
    if (account.length > 0) {
        buffer_printf(&new, "%.*s %.*s\n", TEXT_ARGS(caller), TEXT_ARGS(account));
    }
    AUTO_FREE char *path = memory_format("%s/" FILE_NAME, folder);
    return file_write_atomic(path, buffer_text(&new), FILE_MODE, error);
}
