// Digests of files as they are on this machine now, remembered as long as the file is the same.
#ifndef LODE_CRYPTO_FILE_DIGESTS_H
#define LODE_CRYPTO_FILE_DIGESTS_H

#include "crypto/digest.h"

struct file_digests;

struct file_digests *file_digests_new(void);
void file_digests_free(struct file_digests *digests);

// The digest of the file. Any thread; reads it when device, inode, size or times differ from the last look. The statuses of
// digest_file, and DENIED or NOT_FOUND when it cannot be opened.
enum status file_digests_get(struct file_digests *digests, struct text path, struct digest *out,
                             struct error *error);

#endif
