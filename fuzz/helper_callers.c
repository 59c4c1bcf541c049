// callers_look and hosts_read: the first line is who calls, the rest the file of callers. Who is let in stands at the beginning of a line, with the account at its end.
#include "fuzz.h"
#include "helper/callers.h"
#include "helper/hosts.h"

static enum status check_host(void *context, const struct host *host, struct error *error)
{
    (void)context;
    (void)error;
    FUZZ_CHECK(host->name[0] != '\0' && host->name[0] != '-');
    FUZZ_CHECK(strpbrk(host->name, " \t\n;&|$`'\"\\()<>*?/") == NULL);
    return OK;
}

static bool has_line(struct text content, struct text caller, struct text account)
{
    struct text line;
    while (text_next_part(&content, '\n', &line)) {
        line = text_trim(line);
        if (text_starts_with(line, caller) && text_ends_with(line, account)) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = fuzz_text(data, size);
    size_t end = text_find_byte(input, 0, '\n');
    struct text caller = text_slice(input, 0, end);
    struct text content = text_slice(input, end + 1, input.length);
    struct fingerprint key = {""};
    char account[CALLER_ACCOUNT_MAX + 1];
    (void)hosts_read(content, HOST_WAY_ANY, check_host, NULL, NULL);
    if (caller_check(caller, NULL) != OK) {
        return 0;
    }
    bool is_name = text_starts_with(caller, TEXT("cn:"));
    if (!is_name) {
        (void)snprintf(key.text, sizeof key.text, "%.*s", TEXT_ARGS(caller));
    }
    struct text name = is_name ? text_slice(caller, 3, caller.length) : TEXT_NONE;
    if (callers_look(content, &key, name, account)) {
        FUZZ_CHECK(has_line(content, caller, text_of(account)));
    }
    return 0;
}
