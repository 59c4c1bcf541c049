// Mirrored logs in the database: batches, compressed, which come out byte for byte as they were signed, and how far each log is.
#ifndef LODE_LEDGER_MIRROR_STORE_H
#define LODE_LEDGER_MIRROR_STORE_H

#include "ledger/batch.h"

// A site whose log is mirrored.
struct mirror_row {
    uint32_t number;
    struct fingerprint site;
    struct ledger_position position;
};

// Visits all sites, by number.
enum status mirror_store_list(struct store *store,
                              enum status (*visit)(void *context, const struct mirror_row *row,
                                                   struct error *error),
                              void *context, struct error *error);

// The number of the site, made when it is new. Blocks for the commit.
enum status mirror_store_number(struct store *store, const struct fingerprint *site, uint32_t *out,
                                struct error *error);

// Within a write: adds a batch that brings the log of the site forward from `from`. Small batches are joined, so that a log that grew entry by entry is
// not kept, and sent on, with a signed head for each.
enum status mirror_store_add(struct sql *sql, uint32_t number, const struct ledger_position *from,
                             const struct batch *batch, struct error *error);

// Appends batches of the epoch behind serial `after`, about LEDGER_READ_SIZE_MAX at most.
enum status mirror_store_read(struct store *store, uint32_t number, int64_t epoch, int64_t after,
                              struct buffer *out, struct error *error);

// The text of the first batch that goes beyond `serial` of `epoch`, or of a later epoch. NOT_FOUND.
enum status mirror_store_next(struct store *store, uint32_t number, int64_t epoch, int64_t serial,
                              struct buffer *out, struct error *error);

// The first batch of an epoch before `epoch`: its text, and what it is deleted by. NOT_FOUND.
struct mirror_old_batch {
    uint32_t number;
    int64_t epoch;
    int64_t last;
};
enum status mirror_store_find_old(struct store *store, uint32_t number, int64_t epoch,
                                  struct mirror_old_batch *out, struct buffer *text,
                                  struct error *error);
enum status mirror_store_delete_old(struct store *store, const struct mirror_old_batch *batch,
                                    struct error *error);

// Bytes of all batches of the site.
enum status mirror_store_size(struct store *store, uint32_t number, int64_t *out,
                              struct error *error);

// The chain value at a serial of the log as it is here (zeros at 0). NOT_FOUND when the log is not that far.
enum status mirror_store_chain(struct store *store, uint32_t number, int64_t epoch, int64_t serial,
                               struct digest *out, struct error *error);

// Appends the last signed head. NOT_FOUND when nothing was taken yet.
enum status mirror_store_head(struct store *store, uint32_t number, struct buffer *out,
                              struct error *error);

#endif
