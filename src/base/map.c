#include "base/map.h"

#include "base/memory.h"

// Open addressing with linear probing; removal shifts the following entries back, so there are no tombstones.
struct map_entry {
    uint64_t hash;
    char *text;     // NULL for an integer key.
    int64_t number; // The integer key, or the text's length.
    void *value;    // NULL: the place is free.
};

struct map {
    struct map_entry *entries;
    size_t capacity; // 0 or a power of two.
    size_t count;
};

struct map_key {
    uint64_t hash;
    const char *text;
    int64_t number;
};

static uint64_t mix(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    return value ^ value >> 33;
}

static struct map_key key_of_text(struct text key)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < key.length; i++) {
        hash = (hash ^ (unsigned char)key.bytes[i]) * 0x100000001b3ULL;
    }
    return (struct map_key){mix(hash), key.bytes ? key.bytes : "", (int64_t)key.length};
}

static struct map_key key_of_int64(int64_t key)
{
    return (struct map_key){mix((uint64_t)key), NULL, key};
}

struct map *map_new(void)
{
    return NEW(struct map);
}

void map_free(struct map *map)
{
    if (!map) {
        return;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        free(map->entries[i].text);
    }
    free(map->entries);
    free(map);
}

// The place of the key, or the free place where it would go. The map must have a free place.
static size_t place_of(const struct map *map, const struct map_key *key)
{
    size_t mask = map->capacity - 1;
    for (size_t at = key->hash & mask;; at = (at + 1) & mask) {
        const struct map_entry *entry = &map->entries[at];
        if (!entry->value) {
            return at;
        }
        if (entry->hash == key->hash && entry->number == key->number &&
            (!key->text || memcmp(entry->text, key->text, (size_t)key->number) == 0)) {
            return at;
        }
    }
}

static void grow(struct map *map)
{
    struct map old = *map;
    map->capacity = old.capacity ? old.capacity * 2 : 16;
    map->entries = memory_new(map->capacity, sizeof *map->entries);
    for (size_t i = 0; i < old.capacity; i++) {
        struct map_entry *entry = &old.entries[i];
        if (entry->value) {
            struct map_key key = {entry->hash, entry->text, entry->number};
            map->entries[place_of(map, &key)] = *entry;
        }
    }
    free(old.entries);
}

static void *remove_at(struct map *map, size_t at)
{
    void *value = map->entries[at].value;
    size_t mask = map->capacity - 1;
    free(map->entries[at].text);
    map->count--;
    for (size_t next = (at + 1) & mask; map->entries[next].value; next = (next + 1) & mask) {
        size_t home = map->entries[next].hash & mask;
        if (((next - home) & mask) >= ((next - at) & mask)) {
            map->entries[at] = map->entries[next];
            at = next;
        }
    }
    map->entries[at] = (struct map_entry){0};
    return value;
}

static void *set(struct map *map, const struct map_key *key, void *value)
{
    if (value && (map->count + 1) * 4 > map->capacity * 3) {
        grow(map);
    }
    if (map->capacity == 0) {
        return NULL;
    }
    size_t at = place_of(map, key);
    struct map_entry *entry = &map->entries[at];
    if (!value) {
        return entry->value ? remove_at(map, at) : NULL;
    }
    void *old = entry->value;
    if (!old) {
        entry->hash = key->hash;
        entry->number = key->number;
        entry->text = key->text ? memory_copy_bytes(key->text, (size_t)key->number) : NULL;
        map->count++;
    }
    entry->value = value;
    return old;
}

static void *find(const struct map *map, const struct map_key *key)
{
    return map->capacity ? map->entries[place_of(map, key)].value : NULL;
}

void *map_set_text(struct map *map, struct text key, void *value)
{
    struct map_key full = key_of_text(key);
    return set(map, &full, value);
}

void *map_find_text(const struct map *map, struct text key)
{
    struct map_key full = key_of_text(key);
    return find(map, &full);
}

void *map_set_int64(struct map *map, int64_t key, void *value)
{
    struct map_key full = key_of_int64(key);
    return set(map, &full, value);
}

void *map_find_int64(const struct map *map, int64_t key)
{
    struct map_key full = key_of_int64(key);
    return find(map, &full);
}

size_t map_count(const struct map *map)
{
    return map->count;
}

void *map_next(const struct map *map, size_t *at)
{
    while (*at < map->capacity) {
        void *value = map->entries[(*at)++].value;
        if (value) {
            return value;
        }
    }
    return NULL;
}
