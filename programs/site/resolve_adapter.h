// What resolution asks of the other parts: the own log, what is known of sites, and which hubs there are.
#ifndef LODE_PROGRAMS_SITE_RESOLVE_ADAPTER_H
#define LODE_PROGRAMS_SITE_RESOLVE_ADAPTER_H

#include "resolve/resolve.h"
#include "site/federation.h"

struct resolve_adapter {
    struct federation *federation;
    struct catalog *catalog;
    const char *name;
    _Atomic(const char *)
        url; // Where others reach this site; NULL: not yet known, or from nowhere.
};

// Its context is a struct resolve_adapter.
extern const struct resolve_ops RESOLVE_ADAPTER;

#endif
