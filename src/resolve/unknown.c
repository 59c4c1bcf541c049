#include "resolve/unknown.h"

#include "base/map.h"
#include "base/memory.h"

struct unknown_name {
    struct text name; // On the heap.
    int64_t until_us;
    struct error error;
};

struct unknown_names {
    struct map *by_name;
    size_t count_max;
    size_t next; // The place of the oldest one.
    struct unknown_name *ring[];
};

struct unknown_names *unknown_names_new(size_t count_max)
{
    struct unknown_names *names =
        memory_new(1, sizeof *names + count_max * sizeof(struct unknown_name *));
    names->by_name = map_new();
    names->count_max = count_max;
    return names;
}

static void drop(struct unknown_names *names, size_t at)
{
    struct unknown_name *name = TAKE(names->ring[at]);
    if (name) {
        (void)map_set_text(names->by_name, name->name, NULL);
        free((char *)(uintptr_t)name->name.bytes);
        free(name);
    }
}

void unknown_names_free(struct unknown_names *names)
{
    if (!names) {
        return;
    }
    for (size_t i = 0; i < names->count_max; i++) {
        drop(names, i);
    }
    map_free(names->by_name);
    free(names);
}

void unknown_names_add(struct unknown_names *names, struct text name, const struct error *error,
                       int64_t until_us)
{
    struct unknown_name *there = map_find_text(names->by_name, name);
    if (!there) {
        drop(names, names->next);
        there = NEW(struct unknown_name);
        there->name = (struct text){text_copy(name), name.length};
        names->ring[names->next] = there;
        names->next = (names->next + 1) % names->count_max;
        (void)map_set_text(names->by_name, there->name, there);
    }
    there->until_us = until_us;
    there->error = *error;
}

bool unknown_names_find(const struct unknown_names *names, struct text name, int64_t now_us,
                        struct error *out)
{
    const struct unknown_name *there = map_find_text(names->by_name, name);
    if (!there || there->until_us <= now_us) {
        return false;
    }
    *out = there->error;
    return true;
}

void unknown_names_remove(struct unknown_names *names, struct text name)
{
    struct unknown_name *there = map_find_text(names->by_name, name);
    if (there) {
        there->until_us = 0;
    }
}
