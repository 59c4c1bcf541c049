// A small text file with a line for each site: "host:port value". What known_sites and tokens share.
#ifndef LODE_IDENTITY_SITE_LINES_H
#define LODE_IDENTITY_SITE_LINES_H

#include "base/buffer.h"

#include <stdint.h>
#include <sys/types.h>

struct site_line {
    int64_t number; // From 1; start with 0.
    struct text address;
    struct text value; // The rest, trimmed; may be empty.
};

// Takes lines off the front of *rest up to the next that is neither empty nor a comment; false when there is none.
bool site_line_next(struct text *rest, struct site_line *line);

// The first line of this address; false when there is none.
bool site_line_find(struct text content, struct text address, struct site_line *out);

// Reads the file `name` of the folder; a missing one is empty.
enum status site_lines_read(const char *folder, const char *name, struct buffer *out,
                            struct error *error);

// Replaces the lines of `address` by one with `value` (empty: by none) at the end, 0600, durably; other lines stay as they are.
// Two processes that do this take turns.
enum status site_lines_replace(const char *folder, const char *name, struct text address,
                               struct text value, struct error *error);

#endif
