// Addresses of the network: which of them are nobody's but those nearby, and which one of this machine's leads where.
#ifndef LODE_OS_ADDRESS_H
#define LODE_OS_ADDRESS_H

#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>
#include <sys/socket.h>

// Can only machines nearby reach it? Loopback, private (RFC 1918), link-local (RFC 3927, RFC 4291), unique local (RFC 4193), and a
// socket of this machine's file system; an IPv4 address in an IPv6 one counts as itself. "Every address" (0.0.0.0, ::) is not.
bool address_is_private(const struct sockaddr *address);

// The same of "192.168.0.7" or "fe80::1"; false for what is no address.
bool address_text_is_private(struct text text);

// Is it each machine's own, which none reaches but itself? 127.0.0.0/8, ::1, an IPv4 address of these in an IPv6 one, and a socket of the file system.
bool address_is_loopback(const struct sockaddr *address);

// The same of the bytes of an address, in the order of the network: 4 of AF_INET, 16 of AF_INET6; false for other families.
bool address_bytes_are_loopback(int family, const unsigned char *bytes);

// The same of "127.0.0.1" or "::1"; false for what is no address, such as "localhost".
bool address_text_is_loopback(struct text text);

// Does a URL, or the name or address of a machine, say each machine's own: loopback, or "localhost"?
bool address_is_own(struct text url_or_host);

// Are all addresses that "HOST:PORT" stands for private? OK; DENIED, naming one that is not; INVALID for what cannot be resolved.
enum status address_check_private(struct text host_and_port, struct error *error);

enum { ADDRESS_TEXT_SIZE = 64 };

// The address of this machine that leads to the host of a URL ("https://desk:7733/"), as "10.0.0.5" or "[fd00::5]"; *is_here: that host is this
// machine itself. Nothing is sent there. INVALID for what cannot be resolved, UNAVAILABLE when no way leads there.
enum status address_toward(const char *url, char out[ADDRESS_TEXT_SIZE], bool *is_here,
                           struct error *error);

// The host of "https://host:port/path", without brackets; borrowed.
struct text address_host(struct text url);

// Are both addresses of one network, as far as they say: the first 24 bits of IPv4 or 64 of IPv6 are the same? false for what is no address.
bool address_text_is_near(struct text a, struct text b);
// Are they one address? false for what is none.
bool address_text_is_same(struct text a, struct text b);

#endif
