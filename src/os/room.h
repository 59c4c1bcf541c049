// Whether a disk has room left for more.
#ifndef LODE_OS_ROOM_H
#define LODE_OS_ROOM_H

#include <stdbool.h>

// Can somebody like this process still write something below the open folder? False when the file system, or a quota, has no room for a
// small file more. Looks at what the file system says, and only where that leaves a doubt, or `is_doubtful`, makes a file to see, which is
// gone afterwards. True when it cannot be told.
bool room_is_left(int folder_fd, bool is_doubtful);

#endif
