// Packs a folder as a tar archive of which every byte follows from what is in it: the same tree has the same digest.
#ifndef LODE_SOFTWARE_PACK_H
#define LODE_SOFTWARE_PACK_H

#include "base/status.h"

// Writes to the descriptor: entries in bytewise order of their names, folder by folder; without owners and times; folders and what may be executed
// with mode 755, other files with 644; files with several names once for each; symbolic links as they are. What lies in dev, proc and
// sys at the top is left out. INVALID: it is no folder, or there is a device, a FIFO or a socket in it; DENIED: something in it cannot be read;
// CONFLICT: a file changed meanwhile.
enum status pack_folder(const char *folder, int fd, struct error *error);

#endif
