#include "os/address.h"

#include "base/memory.h"

#include "os/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

enum {
    MAPPED_SIZE = 12, // Bytes before an IPv4 address within an IPv6 address.
    IPV4_NETWORK_SIZE = 3,
    IPV6_NETWORK_SIZE = 8,
};
#define ANY_PORT "9" // A way is looked up to it; nothing is sent.

bool address_bytes_are_loopback(int family, const unsigned char *bytes)
{
    struct in6_addr ipv6;
    if (family != AF_INET6) {
        return family == AF_INET && bytes[0] == IN_LOOPBACKNET;
    }
    memcpy(&ipv6, bytes, sizeof ipv6);
    return IN6_IS_ADDR_LOOPBACK(&ipv6) ||
           (IN6_IS_ADDR_V4MAPPED(&ipv6) && bytes[MAPPED_SIZE] == IN_LOOPBACKNET);
}

bool address_is_loopback(const struct sockaddr *address)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&ipv4, address, sizeof ipv4);
        return address_bytes_are_loopback(AF_INET, (const unsigned char *)&ipv4.sin_addr);
    case AF_INET6:
        memcpy(&ipv6, address, sizeof ipv6);
        return address_bytes_are_loopback(AF_INET6, ipv6.sin6_addr.s6_addr);
    default:
        return address->sa_family == AF_UNIX;
    }
}

static bool is_private_ipv4(const unsigned char bytes[4])
{
    return address_bytes_are_loopback(AF_INET, bytes) || bytes[0] == 10 ||
           (bytes[0] == 172 && (bytes[1] & 0xF0) == 16) || (bytes[0] == 192 && bytes[1] == 168) ||
           (bytes[0] == 169 && bytes[1] == 254);
}

static bool is_private_ipv6(const struct in6_addr *address)
{
    const unsigned char *bytes = address->s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        return is_private_ipv4(bytes + MAPPED_SIZE);
    }
    return address_bytes_are_loopback(AF_INET6, bytes) || IN6_IS_ADDR_LINKLOCAL(address) ||
           (bytes[0] & 0xFE) == 0xFC;
}

bool address_is_private(const struct sockaddr *address)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&ipv4, address, sizeof ipv4);
        return is_private_ipv4((const unsigned char *)&ipv4.sin_addr);
    case AF_INET6:
        memcpy(&ipv6, address, sizeof ipv6);
        return is_private_ipv6(&ipv6.sin6_addr);
    default:
        return address->sa_family == AF_UNIX;
    }
}

// Of either family: an IPv4 address as IPv6 has it mapped.
static bool read_address(struct text text, struct in6_addr *out)
{
    char copy[sizeof "::ffff:" + INET6_ADDRSTRLEN];
    // A link-local address names its interface behind "%".
    struct text plain = text_slice(text, 0, text_find_byte(text, 0, '%'));
    if (plain.length > INET6_ADDRSTRLEN) {
        return false;
    }
    (void)snprintf(copy, sizeof copy, "::ffff:%.*s", TEXT_ARGS(plain));
    return inet_pton(AF_INET6, copy + sizeof "::ffff:" - 1, out) == 1 ||
           inet_pton(AF_INET6, copy, out) == 1;
}

bool address_text_is_private(struct text text)
{
    struct in6_addr address;
    return read_address(text, &address) && is_private_ipv6(&address);
}

bool address_text_is_loopback(struct text text)
{
    struct in6_addr address;
    return read_address(text, &address) && address_bytes_are_loopback(AF_INET6, address.s6_addr);
}

bool address_text_is_same(struct text a, struct text b)
{
    struct in6_addr first;
    struct in6_addr second;
    return read_address(a, &first) && read_address(b, &second) &&
           memcmp(&first, &second, sizeof first) == 0;
}

bool address_text_is_near(struct text a, struct text b)
{
    struct in6_addr first;
    struct in6_addr second;
    if (!read_address(a, &first) || !read_address(b, &second)) {
        return false;
    }
    bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(&first);
    size_t length = is_ipv4 ? MAPPED_SIZE + IPV4_NETWORK_SIZE : IPV6_NETWORK_SIZE;
    return is_ipv4 == IN6_IS_ADDR_V4MAPPED(&second) && memcmp(&first, &second, length) == 0;
}

static enum status check_all(const struct addrinfo *found, struct error *error)
{
    for (const struct addrinfo *each = found; each; each = each->ai_next) {
        char text[INET6_ADDRSTRLEN] = "?";
        (void)getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, NULL, 0,
                          NI_NUMERICHOST);
        if (!address_is_private(each->ai_addr)) {
            return error_set(error, DENIED, "%s is no private address", text);
        }
    }
    return OK;
}

enum status address_check_private(struct text host_and_port, struct error *error)
{
    size_t colon = host_and_port.length;
    while (colon > 0 && host_and_port.bytes[colon - 1] != ':') {
        colon--;
    }
    struct text host = text_slice(host_and_port, 0, colon > 0 ? colon - 1 : 0);
    bool is_bracketed = text_starts_with(host, TEXT("[")) && text_ends_with(host, TEXT("]"));
    host = is_bracketed ? text_slice(host, 1, host.length - 1) : host;
    AUTO_FREE char *name = text_copy(host);
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    int problem = host.length > 0 ? getaddrinfo(name, NULL, &hints, &found) : EAI_NONAME;
    if (problem != 0) {
        return error_set(error, INVALID, "\"%.*s\" is no address: %s", TEXT_ARGS(host_and_port),
                         gai_strerror(problem));
    }
    enum status status = check_all(found, error);
    freeaddrinfo(found);
    return status;
}

struct text address_host(struct text url)
{
    struct text rest = url;
    for (size_t i = 0; i + 3 <= url.length; i++) {
        if (memcmp(url.bytes + i, "://", 3) == 0) {
            rest = text_slice(url, i + 3, url.length);
            break;
        }
    }
    rest = text_slice(rest, 0, text_find_byte(rest, 0, '/'));
    if (text_starts_with(rest, TEXT("["))) {
        return text_slice(rest, 1, text_find_byte(rest, 1, ']'));
    }
    return text_slice(rest, 0, text_find_byte(rest, 0, ':'));
}

bool address_is_own(struct text url_or_host)
{
    struct text host = address_host(url_or_host);
    // An IPv6 address without brackets is no host of a URL.
    return text_equal(host, TEXT("localhost")) || address_text_is_loopback(host) ||
           address_text_is_loopback(url_or_host);
}

static bool write_host(const struct sockaddr *address, socklen_t length, char *out, size_t size)
{
    return getnameinfo(address, length, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST) == 0;
}

// The address of this machine's end of a socket that is connected to `to`; no packet is needed for that.
static bool own_end(const struct addrinfo *to, char out[ADDRESS_TEXT_SIZE], bool *is_here)
{
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    char text[INET6_ADDRSTRLEN];
    char other[INET6_ADDRSTRLEN];
    AUTO_CLOSE int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &length) < 0 ||
        !write_host((struct sockaddr *)&own, length, text, sizeof text) ||
        !write_host(to->ai_addr, to->ai_addrlen, other, sizeof other)) {
        return false;
    }
    *is_here = strcmp(text, other) == 0 || address_text_is_loopback(text_of(text));
    (void)snprintf(out, ADDRESS_TEXT_SIZE, to->ai_family == AF_INET6 ? "[%s]" : "%s", text);
    return true;
}

enum status address_toward(const char *url, char out[ADDRESS_TEXT_SIZE], bool *is_here,
                           struct error *error)
{
    struct text host = address_host(text_of(url));
    AUTO_FREE char *name = text_copy(host);
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    int problem = host.length > 0 ? getaddrinfo(name, ANY_PORT, &hints, &found) : EAI_NONAME;
    if (problem != 0) {
        return error_set(error, INVALID, "\"%.200s\" names no machine: %s", url,
                         gai_strerror(problem));
    }
    bool is_there = false;
    for (const struct addrinfo *each = found; each && !is_there; each = each->ai_next) {
        is_there = own_end(each, out, is_here);
    }
    freeaddrinfo(found);
    return is_there
               ? OK
               : error_set(error, UNAVAILABLE, "no address of this machine leads to %.200s", url);
}
