// Walks the files below a folder, one at a time, in no order, never leaving it.
//
// Memory is one open folder for each level. Symbolic links are followed as long as they stay below the folder (see catalog.h).
#ifndef LODE_CATALOG_WALK_H
#define LODE_CATALOG_WALK_H

#include "base/status.h"
#include "base/text.h"

#include <stdatomic.h>
#include <sys/stat.h>

enum { WALK_DEPTH_MAX = 128, WALK_PATH_MAX = 4095 };

// Told of each regular file, and of each folder when it is entered (S_ISDIR of the mode; the walk's own has the path ""): its path
// below the walk's folder, borrowed. Another status than OK ends the walk with it.
typedef enum status walk_found_fn(void *context, struct text path, const struct stat *info,
                                  struct error *error);

// Calls `found` for each regular file and folder from the open folder on, whose path `shown` is for messages. INVALID for a link that leaves, dangles
// or closes a circle, a special file, a name that is not UTF-8 or has control characters, and nesting over WALK_DEPTH_MAX; DENIED for
// an unreadable folder; each names the first offender. TIMEOUT when `stop` (may be NULL) was set meanwhile.
enum status walk_folder(int folder_fd, const char *shown, const atomic_bool *stop,
                        walk_found_fn *found, void *context, struct error *error);

#endif
