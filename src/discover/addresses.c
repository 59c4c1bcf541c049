#include "discover/addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const struct in_addr *of_four(const struct sockaddr_storage *address)
{
    return &((const struct sockaddr_in *)(const void *)address)->sin_addr;
}

static const struct in6_addr *of_six(const struct sockaddr_storage *address)
{
    return &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
}

bool address_answers(const struct sockaddr_storage *bound, const struct sockaddr_storage *own)
{
    if (own->ss_family == AF_INET) {
        bool is_any = (bound->ss_family == AF_INET && of_four(bound)->s_addr == INADDR_ANY) ||
                      (bound->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(of_six(bound)));
        return is_any ||
               (bound->ss_family == AF_INET && of_four(bound)->s_addr == of_four(own)->s_addr);
    }
    if (own->ss_family != AF_INET6 || bound->ss_family != AF_INET6 ||
        IN6_IS_ADDR_LINKLOCAL(of_six(own))) {
        return false;
    }
    return IN6_IS_ADDR_UNSPECIFIED(of_six(bound)) || IN6_ARE_ADDR_EQUAL(of_six(bound), of_six(own));
}

static int compare(const void *left, const void *right)
{
    const struct host_address *a = left;
    const struct host_address *b = right;
    if (a->interface != b->interface) {
        return a->interface < b->interface ? -1 : 1;
    }
    if (a->family != b->family) {
        return a->family < b->family ? -1 : 1;
    }
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static bool answers_any(const struct sockaddr_storage *bound, size_t bound_count,
                        const struct sockaddr_storage *own)
{
    for (size_t i = 0; i < bound_count; i++) {
        if (address_answers(&bound[i], own)) {
            return true;
        }
    }
    return false;
}

size_t addresses_reached(const struct sockaddr_storage *bound, size_t bound_count,
                         struct host_address *out)
{
    struct ifaddrs *all = NULL;
    size_t count = 0;
    if (getifaddrs(&all) != 0) {
        return 0;
    }
    for (const struct ifaddrs *each = all; each && count < HOST_ADDRESSES_MAX;
         each = each->ifa_next) {
        int family = each->ifa_addr ? each->ifa_addr->sa_family : AF_UNSPEC;
        if ((family != AF_INET && family != AF_INET6) || !(each->ifa_flags & IFF_UP)) {
            continue;
        }
        struct sockaddr_storage own = {0};
        memcpy(&own, each->ifa_addr,
               family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        if (!answers_any(bound, bound_count, &own)) {
            continue;
        }
        struct host_address *added = &out[count++];
        *added = (struct host_address){.interface = (int)if_nametoindex(each->ifa_name),
                                       .family = family};
        if (family == AF_INET) {
            memcpy(added->bytes, of_four(&own), sizeof(struct in_addr));
        } else {
            memcpy(added->bytes, of_six(&own), sizeof(struct in6_addr));
        }
    }
    freeifaddrs(all);
    qsort(out, count, sizeof *out, compare);
    return count;
}
