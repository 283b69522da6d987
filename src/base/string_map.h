/* A hash map from byte strings to int32. Keys are borrowed: they must outlive the map. */
#ifndef FAL_BASE_STRING_MAP_H
#define FAL_BASE_STRING_MAP_H

#include "base/bytes.h"

typedef struct fal_string_map fal_string_map;

/* n_expected sizes the first table. NULL when memory is short. */
fal_string_map *fal_string_map_open(size_t n_expected);
void fal_string_map_close(fal_string_map *map);

/* Inserts; *inserted false (and nothing changed) when the key is there already. Fails: MEMORY. */
fal_status fal_string_map_add(fal_string_map *map, fal_slice key, int32_t value, bool *inserted,
                              fal_error *err);

/* -1: absent. Values must therefore be >= 0. */
int32_t fal_string_map_find(const fal_string_map *map, fal_slice key);

#endif
