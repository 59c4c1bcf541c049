#include "site/openness.h"

#include "os/address.h"

enum status openness_check(const char *address, const int *fds, size_t fd_count,
                           struct error *error)
{
    struct error found = {0};
    enum status status = OK;
    if (fd_count == 0) {
        status = address_check_private(text_of(address), &found);
    }
    for (size_t i = 0; i < fd_count && status == OK; i++) {
        struct sockaddr_storage bound = {0};
        socklen_t length = sizeof bound;
        bool is_private = getsockname(fds[i], (struct sockaddr *)&bound, &length) == 0 &&
                          address_is_private((struct sockaddr *)&bound);
        status = is_private ? OK
                            : error_set(&found, DENIED, "socket %zu is bound to no private address",
                                        i + 1);
    }
    if (status == DENIED) {
        (void)error_set(error, DENIED, "--open lets any worker join, and %s", found.detail);
        error_fix(error, "listen on one of this machine's private addresses, such as "
                         "--address 192.168.1.5:7733, or leave out --open and accept workers "
                         "by their keys");
        return DENIED;
    }
    if (status != OK && error) {
        *error = found;
    }
    return status;
}
