// Unpacks a tar archive from anybody into a folder, out of which nothing in it can reach.
//
// What an archive may hold: folders, files, symbolic and hard links; paths are relative, without "..". Every path is looked up as if
// the folder were the root of the file system, so a link that leads out leads to the same place inside. Owners, times, extended
// attributes, and the bits for set-user-id, set-group-id and sticky are not taken over; folders and files are readable by their owner. What
// is below dev, proc and sys is left out: a sandbox has its own. Devices, FIFOs and sockets elsewhere are refused.
// The same path may come again: what comes later takes its place, but a folder stays a folder's place.
#ifndef LODE_SOFTWARE_UNPACK_H
#define LODE_SOFTWARE_UNPACK_H

#include "base/status.h"

#include <stdint.h>

enum {
    UNPACK_PATH_MAX = 4096, // Bytes of a path.
    UNPACK_PARTS_MAX = 256, // Of a path.
    UNPACK_ENTRIES_MAX =
        4 << 20, // Files, folders and links of one tree, unless its unpacker allows less.
};
#define UNPACK_BYTES_MAX (INT64_C(256) << 30)

// What may still be unpacked. Holes in files count as bytes.
struct unpack_quota {
    int64_t bytes;
    int64_t entries;
};

// Reads the archive, which may be compressed with gzip, bzip2, xz or zstd, from the descriptor's start. What was unpacked is taken off the
// quota. INVALID: it holds what it may not; CORRUPT: it is none, or broken; QUOTA: it holds too much, or the disk is full; UNAVAILABLE:
// libarchive is missing. What was unpacked until then stays.
enum status unpack_archive(int archive_fd, int root_fd, struct unpack_quota *quota,
                           struct error *error);

// The same for a layer of an image over those before it: ".wh.NAME" takes away NAME, ".wh..wh..opq" all that lies in its folder
// (OCI image specification 1.0, layer.md).
enum status unpack_layer(int archive_fd, int root_fd, struct unpack_quota *quota,
                         struct error *error);

// Makes a folder in the root, with those above it; what is no folder under that name goes.
enum status unpack_folder(int root_fd, const char *path, struct error *error);
// Makes sure that there is a plain file under that path, an empty one where there was none.
enum status unpack_file_place(int root_fd, const char *path, struct error *error);

#endif
