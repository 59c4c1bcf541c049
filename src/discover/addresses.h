// The addresses under which what listens here can be reached from the network.
#ifndef LODE_DISCOVER_ADDRESSES_H
#define LODE_DISCOVER_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { HOST_ADDRESSES_MAX = 64 };

// An IP address, without a port, of one interface.
struct host_address {
    int interface;           // Its index.
    int family;              // AF_INET or AF_INET6.
    unsigned char bytes[16]; // 4 of them for AF_INET; in the order of the network.
};

// Does a socket that is bound to `bound` (an address or the wildcard of a family) answer at `own`, an address of this machine?
// The wildcard of IPv6 takes IPv4 too, as it does on Linux unless it is told otherwise. Link-local addresses of
// IPv6 count as no answer: they mean nothing without the name of an interface, which differs at the other end.
bool address_answers(const struct sockaddr_storage *bound, const struct sockaddr_storage *own);

// Fills `out` (HOST_ADDRESSES_MAX) with the addresses of interfaces that are up at which one of the sockets answers, in a fixed
// order; returns how many.
size_t addresses_reached(const struct sockaddr_storage *bound, size_t bound_count,
                         struct host_address *out);

#endif
