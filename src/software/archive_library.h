// libarchive, which reads and writes tar archives in all their dialects and compressions. Loaded when something is first packed or
// unpacked: with what it brings along (libxml2, ICU) it is more than all the rest of the program.
#ifndef LODE_SOFTWARE_ARCHIVE_LIBRARY_H
#define LODE_SOFTWARE_ARCHIVE_LIBRARY_H

#include "base/status.h"

#include <archive.h>
#include <archive_entry.h>

// The functions in use, under their names without "archive_".
#define ARCHIVE_LIBRARY_FUNCTIONS(X)                                                               \
    X(entry_clear)                                                                                 \
    X(entry_filetype)                                                                              \
    X(entry_free)                                                                                  \
    X(entry_hardlink)                                                                              \
    X(entry_new)                                                                                   \
    X(entry_pathname)                                                                              \
    X(entry_perm)                                                                                  \
    X(entry_set_filetype)                                                                          \
    X(entry_set_mtime)                                                                             \
    X(entry_set_pathname)                                                                          \
    X(entry_set_perm)                                                                              \
    X(entry_set_size)                                                                              \
    X(entry_set_symlink)                                                                           \
    X(entry_size)                                                                                  \
    X(entry_symlink)                                                                               \
    X(error_string)                                                                                \
    X(read_data_block)                                                                             \
    X(read_free)                                                                                   \
    X(read_new)                                                                                    \
    X(read_next_header)                                                                            \
    X(read_open_fd)                                                                                \
    X(read_support_filter_bzip2)                                                                   \
    X(read_support_filter_gzip)                                                                    \
    X(read_support_filter_xz)                                                                      \
    X(read_support_filter_zstd)                                                                    \
    X(read_support_format_tar)                                                                     \
    X(write_add_filter_none)                                                                       \
    X(write_close)                                                                                 \
    X(write_data)                                                                                  \
    X(write_free)                                                                                  \
    X(write_header)                                                                                \
    X(write_new)                                                                                   \
    X(write_open_fd)                                                                               \
    X(write_set_format_pax_restricted)

struct archive_library {
#define ARCHIVE_LIBRARY_MEMBER(name) __typeof__(&archive_##name) name;
    ARCHIVE_LIBRARY_FUNCTIONS(ARCHIVE_LIBRARY_MEMBER)
#undef ARCHIVE_LIBRARY_MEMBER
};

// The library, loaded once for the program; from any thread. UNAVAILABLE when it is not installed.
enum status archive_library_get(const struct archive_library **out, struct error *error);

// Names in archives are bytes, or UTF-8 where the format says so; the library converts to the thread's locale, in which the names of
// files are taken to be UTF-8 between these two calls.
struct archive_locale {
    void *own;
    void *before;
};
struct archive_locale archive_locale_begin(void);
void archive_locale_end(const struct archive_locale *locale);

#endif
