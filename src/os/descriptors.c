#include "os/descriptors.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void descriptors_keep(int count)
{
    struct rlimit limit;
    if (syscall(SYS_close_range, (unsigned)count, ~0U, CLOSE_RANGE_CLOEXEC) == 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    for (int fd = count; (rlim_t)fd < limit.rlim_cur; fd++) { // Linux before 5.11.
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}
