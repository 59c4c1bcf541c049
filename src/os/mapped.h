// What a mapped file leaves behind when it cannot be read: the kernel ends the program with SIGBUS then, where read() would say EIO.
#ifndef LODE_OS_MAPPED_H
#define LODE_OS_MAPPED_H

#include <stdbool.h>

enum { MAPPED_MARK_MAX = 4096 }; // Bytes of the path of a mark, with the zero.

// From now on a SIGBUS of any thread makes an empty file at `path` (which is copied) before it ends the program, so that the next start knows. There is
// one such mark in a program: false when there is one already, or the path is too long; nothing is changed then.
bool mapped_mark_set(const char *path);
// No longer, when it is this path's.
void mapped_mark_clear(const char *path);

#endif
