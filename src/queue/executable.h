// Digests of programs as they are on this machine now, remembered as long as the file is the same.
#ifndef LODE_QUEUE_EXECUTABLE_H
#define LODE_QUEUE_EXECUTABLE_H

#include "crypto/digest.h"

struct executables;

struct executables *executables_new(void);
void executables_free(struct executables *executables);

// The digest of the file. Any thread; reads it when device, inode, size or times differ from the last look. The statuses of
// digest_file, and DENIED or NOT_FOUND when it cannot be opened.
enum status executables_digest(struct executables *executables, struct text path,
                               struct digest *out, struct error *error);

#endif
