#include "os/descriptors.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    DESCRIPTORS_MAX = 1 << 20
}; // That are looked at where the system cannot do it at once, whatever the limit is.

void descriptors_keep(int count)
{
    struct rlimit limit;
    if (syscall(SYS_close_range, (unsigned)count, ~0U, CLOSE_RANGE_CLOEXEC) == 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    int end = limit.rlim_cur < DESCRIPTORS_MAX ? (int)limit.rlim_cur : DESCRIPTORS_MAX;
    for (int fd = count; fd < end; fd++) { // Linux before 5.11.
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}
