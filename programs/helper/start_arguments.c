#include "helper/start_arguments.h"

#include "base/memory.h"

enum { FIXED_MAX = 24, ARGUMENTS_MAX = FIXED_MAX + HELPER_LABELS_MAX };

struct list {
    char **items;
    size_t count;
};

static void add(struct list *list, char *argument)
{
    list->items[list->count++] = argument;
}

static void add_text(struct list *list, const char *option, struct text value)
{
    if (value.length > 0) {
        add(list, memory_format("--%s=%.*s", option, TEXT_ARGS(value)));
    }
}

static void add_count(struct list *list, const char *option, int64_t value)
{
    if (value >= 0) {
        add(list, memory_format("--%s=%lld", option, (long long)value));
    }
}

static void add_number(struct list *list, const char *option, double value, const char *unit)
{
    if (value >= 0) {
        add(list, memory_format("--%s=%.3f%s", option, value, unit));
    }
}

char **start_arguments(const char *program, const char *directory,
                       const struct helper_request *request)
{
    const struct helper_worker *worker = &request->worker;
    struct list list = {.items = memory_new(ARGUMENTS_MAX, sizeof(char *))};
    add(&list, memory_copy_string(program));
    add(&list, memory_copy_string("worker"));
    add(&list, memory_copy_string("--json"));
    // In an argument of its own: the worker is known by it (kept_worker.c).
    add(&list, memory_copy_string("--directory"));
    add(&list, memory_copy_string(directory));
    add_text(&list, "site", request->site);
    add_text(&list, "pin", text_of(request->fingerprint.text));
    add_text(&list, "name", worker->name);
    add_number(&list, "cpus", worker->cpus, "");
    add_count(&list, "memory", worker->memory_bytes);
    add_count(&list, "gpus", worker->gpus);
    add_text(&list, "groups", worker->groups);
    add_count(&list, "cache-size", worker->cache_bytes);
    add_number(&list, "lifetime", worker->lifetime_seconds, "s");
    add_number(&list, "notice", worker->notice_seconds, "s");
    add_text(&list, "sandbox", worker->sandbox);
    add_text(&list, "serve", worker->serve);
    for (size_t i = 0; i < worker->label_count; i++) {
        add_text(&list, "label", worker->labels[i]);
    }
    return list.items;
}

void start_arguments_free(char **arguments)
{
    for (char **each = arguments; each && *each; each++) {
        free(*each);
    }
    free(arguments);
}
