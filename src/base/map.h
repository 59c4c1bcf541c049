// A hash map from a text or an integer to a pointer, in memory.
#ifndef LODE_BASE_MAP_H
#define LODE_BASE_MAP_H

#include "base/text.h"

struct map;

struct map *map_new(void);
// Frees the map and its copies of text keys, not the values.
void map_free(struct map *map);

// Sets the value of a key (NULL removes it); returns the value it had, or NULL. Text keys are copied. A map uses one
// kind of key only.
void *map_set_text(struct map *map, struct text key, void *value);
void *map_find_text(const struct map *map, struct text key);
void *map_set_int64(struct map *map, int64_t key, void *value);
void *map_find_int64(const struct map *map, int64_t key);

size_t map_count(const struct map *map);

// Walks all values in no order: start with *at = 0; NULL at the end. The map must not change meanwhile.
void *map_next(const struct map *map, size_t *at);

#endif
