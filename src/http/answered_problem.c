#include "http/answered_problem.h"

#include "base/json.h"
#include "base/memory.h"

enum { PROBLEM_SIZE_MAX = 1 << 20 };

// The text without control characters, lest a server's words move the cursor of a terminal.
static char *printable(struct text text)
{
    char *copy = text_copy(text);
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)copy[i];
        copy[i] = (char)(byte < 0x20 || byte == 0x7F ? ' ' : byte);
    }
    return copy;
}

void answered_problem_read(struct text body, enum status status, int code, struct error *error)
{
    AUTO_JSON json_t *problem = NULL;
    struct text detail = TEXT_NONE;
    struct text fix = TEXT_NONE;
    if (body.length <= PROBLEM_SIZE_MAX && json_parse(body, &problem, NULL) == OK) {
        detail = json_text(json_object_get(problem, "detail"));
        detail = detail.length > 0 ? detail : json_text(json_object_get(problem, "title"));
        fix = json_text(json_object_get(problem, "fix"));
    }
    if (detail.length == 0) {
        (void)error_set(error, status, "the server answered with status %d", code);
        return;
    }
    AUTO_FREE char *words = printable(detail);
    AUTO_FREE char *way_out = printable(fix);
    (void)error_set(error, status, "%s", words);
    error_fix(error, "%s", way_out);
}
