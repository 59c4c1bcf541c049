#include "protocol/lease_wait.h"

bool lease_is_awaited(int64_t *refused_us, int code, int64_t now_us)
{
    if (code != CODE_NO_LEASE) {
        *refused_us = 0;
        return false;
    }
    *refused_us = *refused_us ? *refused_us : now_us;
    return now_us - *refused_us < LEASE_WAIT_US;
}
