// What transfers ask of the rest of the site: where data is, and to register what came.
#ifndef LODE_PROGRAMS_SITE_TRANSFER_ADAPTER_H
#define LODE_PROGRAMS_SITE_TRANSFER_ADAPTER_H

#include "transfer/transfer.h"

struct catalog;
struct peers;
struct resolver;

// The context of TRANSFER_ADAPTER.
struct transfer_adapter {
    struct catalog *catalog;
    struct peers *peers;
    struct resolver *resolver;
    const char *fingerprint; // Of this site.
};
extern const struct transfer_ops TRANSFER_ADAPTER;

#endif
