#include "cli/runner_class.h"

#include "cli/command.h"
#include "cli/output.h"

void runner_class_add(const struct options *options, json_t *document)
{
    const char *kind = options_text(options, "class", NULL);
    const char *group = NULL;
    json_t *groups = json_array();
    size_t at = 0;
    while ((group = options_next(options, "group", &at)) != NULL) {
        (void)json_array_append_new(groups, json_from_text(text_of(group)));
    }
    if (json_array_size(groups) > 0) {
        (void)json_object_set(document, "groups", groups);
    }
    json_decref(groups);
    if (kind) {
        (void)json_object_set_new(document, "class", json_from_text(text_of(kind)));
    }
    if (options_has(options, "job")) {
        (void)json_object_set_new(document, "job", json_integer(options_int64(options, "job", 0)));
    }
}

void runner_class_show(const json_t *document, struct buffer *out)
{
    struct text kind = field_text(document, "class");
    struct text user = field_text(document, "user");
    const json_t *groups = json_object_get(document, "groups");
    int64_t job = field_int64(document, "job");
    display_text(out, kind.length > 0 ? kind : TEXT("site"));
    if (job > 0) {
        buffer_printf(out, ": %lld", (long long)job);
    } else if (user.length > 0) {
        buffer_append_string(out, ": ");
        display_text(out, user);
    }
    for (size_t i = 0; text_equal(kind, TEXT("group")) && i < json_array_size(groups); i++) {
        buffer_append_string(out, i > 0 ? "," : ": ");
        display_text(out, json_text(json_array_get(groups, i)));
    }
}
