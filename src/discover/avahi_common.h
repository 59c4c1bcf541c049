// What both libraries of Avahi bring along: its loop, its lists of strings, its words for errors.
#ifndef LODE_DISCOVER_AVAHI_COMMON_H
#define LODE_DISCOVER_AVAHI_COMMON_H

#include <avahi-common/address.h>
#include <avahi-common/defs.h>
#include <avahi-common/error.h>
#include <avahi-common/simple-watch.h>
#include <avahi-common/strlst.h>

// The functions in use, under their names without "avahi_".
#define AVAHI_COMMON_FUNCTIONS(X)                                                                  \
    X(address_snprint)                                                                             \
    X(simple_poll_free)                                                                            \
    X(simple_poll_get)                                                                             \
    X(simple_poll_iterate)                                                                         \
    X(simple_poll_new)                                                                             \
    X(simple_poll_wakeup)                                                                          \
    X(strerror)                                                                                    \
    X(string_list_free)                                                                            \
    X(string_list_parse)                                                                           \
    X(string_list_serialize)

#define AVAHI_MEMBER(name) __typeof__(&avahi_##name) name;

struct avahi_common {
    AVAHI_COMMON_FUNCTIONS(AVAHI_MEMBER)
};

#endif
