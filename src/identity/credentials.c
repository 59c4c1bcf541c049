#include "identity/credentials.h"

#include "base/memory.h"
#include "identity/site_lines.h"
#include "os/file.h"

#include <errno.h>
#include <stdio.h>

#define FILE_NAME "tokens"
#define DEFAULT_NAME "site"
enum { DEFAULT_SIZE_MAX = 1024 };

char *client_folder(const char *xdg_config_home, const char *home)
{
    // The specification has relative paths ignored.
    if (xdg_config_home && xdg_config_home[0] == '/') {
        return memory_format("%s/lode", xdg_config_home);
    }
    return home && home[0] == '/' ? memory_format("%s/.config/lode", home) : NULL;
}

static enum status check_private(const char *folder, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/" FILE_NAME, folder);
    struct stat info;
    if (stat(path, &info) < 0) {
        return errno == ENOENT ? OK : error_set_errno(error, errno, "cannot look at %s", path);
    }
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)error_set(error, DENIED, "other users may read the tokens in %s", path);
        error_fix(error, "run: chmod 600 %s; and revoke tokens that others may have seen", path);
        return DENIED;
    }
    return OK;
}

enum status credentials_find(const char *folder, const struct site_address *address,
                             struct token_secret *out, struct error *error)
{
    TRY(check_private(folder, error));
    AUTO_BUFFER struct buffer content = {0};
    TRY(site_lines_read(folder, FILE_NAME, &content, error));
    struct site_line line;
    if (!site_line_find(buffer_text(&content), text_of(address->text), &line)) {
        (void)error_set(error, NOT_FOUND, "there is no token for the site %s", address->text);
        error_fix(error, "run: lode login https://%.200s", address->text);
        return NOT_FOUND;
    }
    if (!token_is_well_formed(line.value)) {
        (void)error_set(error, INVALID, "line %lld of %s/" FILE_NAME " holds no token",
                        (long long)line.number, folder);
        error_fix(error, "run: lode login https://%.200s", address->text);
        return INVALID;
    }
    memcpy(out->text, line.value.bytes, TOKEN_TEXT_SIZE - 1);
    out->text[TOKEN_TEXT_SIZE - 1] = '\0';
    return OK;
}

enum status credentials_save(const char *folder, const struct site_address *address,
                             const struct token_secret *secret, struct error *error)
{
    return site_lines_replace(folder, FILE_NAME, text_of(address->text), text_of(secret->text),
                              error);
}

enum status credentials_forget(const char *folder, const struct site_address *address,
                               struct error *error)
{
    return site_lines_replace(folder, FILE_NAME, text_of(address->text), TEXT_NONE, error);
}

enum status default_site_find(const char *folder, struct site_address *out, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/" DEFAULT_NAME, folder);
    AUTO_BUFFER struct buffer content = {0};
    enum status status = file_read(path, DEFAULT_SIZE_MAX, &content, error);
    if (status == NOT_FOUND) {
        (void)error_set(error, NOT_FOUND, "no site was chosen yet");
        error_fix(error, "run: lode login URL");
    }
    TRY(status);
    return site_address_from_url(text_trim(buffer_text(&content)), out, error);
}

enum status default_site_save(const char *folder, const struct site_address *address,
                              struct error *error)
{
    TRY(file_make_folder(folder, error));
    AUTO_FREE char *path = memory_format("%s/" DEFAULT_NAME, folder);
    AUTO_FREE char *line = memory_format("%s\n", address->text);
    return file_write_atomic(path, text_of(line), 0600, error);
}
