// Sites of which only the key and the log exist, in memory: what the simulation of many sites plays.
#ifndef LODE_BENCH_PLAYED_SITES_H
#define LODE_BENCH_PLAYED_SITES_H

#include "base/buffer.h"
#include "crypto/digest.h"

#include <openssl/x509.h>

enum { PLAYED_BATCHES_MAX = 16, PLAYED_URL_SIZE = 64 };

struct played_site {
    EVP_PKEY *key;
    X509 *certificate;
    char fingerprint[80];
    char public_key[48];
    char url[PLAYED_URL_SIZE]; // An address of 127.0.0.0/8 of its own.
    size_t number;
    int64_t serial; // Of the last entry of its log.
    struct digest chain;
    struct buffer batches[PLAYED_BATCHES_MAX];
    int64_t batch_firsts[PLAYED_BATCHES_MAX]; // Serials of their first entries.
    size_t batch_count;
};

// Makes key, certificate and name; it is reached at `port` of its address.
void played_site_make(struct played_site *site, size_t number, int port);
// The number of the site that has this address (host order).
size_t played_site_at(uint32_t address);

// Appends a batch of so many entries to its log.
void played_site_grow(struct played_site *site, int64_t entries);

// Append its site statement, its heartbeat, and the batches behind a serial.
void played_site_write_statement(const struct played_site *site, struct buffer *out);
void played_site_write_heartbeat(const struct played_site *site, struct buffer *out);
void played_site_write_log(const struct played_site *site, int64_t after, struct buffer *out);

#endif
