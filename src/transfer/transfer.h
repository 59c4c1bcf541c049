// Replicas on order: brings a dataset's files from other sites to this one, verified, and registers them.
//
// A transfer is durable: it goes on after a restart of either site, where each file was. Files come by Range from any of its sources, one after another or side by side,
// land below DIRECTORY/replicas, are checked against the SHA-256 in the source's list, and the whole against the dataset's digest in the signed entry, before anything is registered.
#ifndef LODE_TRANSFER_TRANSFER_H
#define LODE_TRANSFER_TRANSFER_H

#include "base/json.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "store/store.h"

struct transfers;

#define TRANSFER_OWNER "lode" // As whom replicas are registered.
enum {
    TRANSFER_SOURCES_MAX = 16,
    TRANSFERS_ACTIVE_MAX = 4,
    TRANSFERS_GUEST_MAX = 64, // Ordered by the users of one other site, that have not ended.
};

struct transfer_source {
    struct fingerprint site;
    const char *name;
    const char *url;
    const char *id;       // The identifier there.
    struct digest digest; // Of the content, by its signed entry, as what follows.
    int64_t file_count;
    int64_t size_bytes;
};

// What is to be brought.
struct transfer_wish {
    struct text id;               // Normal form.
    const char *site;             // From there only, by its fingerprint; "": from anywhere.
    const struct digest *content; // That content only; NULL: what all say that it is.
};

struct transfer_ops { // Passed in by programs/.
    // Who has what is wished now, best first; asked at the start and again after failures. CONFLICT: sites say different content, and the wish names neither one of them nor the content.
    enum status (*sources)(void *context, const struct transfer_wish *wish, struct arena *arena,
                           struct transfer_source *out, size_t max, size_t *count,
                           struct error *error);
    // Registers the folder as the dataset (same id, aliases and title as the source's entry), blocking until it is available; fails unless its digest is `digest`.
    enum status (*register_replica)(void *context, struct text id, const char *folder,
                                    const struct digest *digest, struct error *error);
    // Is it here, available? Then *content is its digest.
    bool (*is_here)(void *context, struct text id, struct digest *content);
    // Is a file or folder of some dataset registered at this path, or below it?
    bool (*has_files)(void *context, struct text path);
    // Measured: bytes per second from a site; for ranking and plans.
    void (*measured)(void *context, const struct fingerprint *site, int64_t bytes,
                     int64_t duration_us);
};

struct transfers_options {
    struct store *store; // Opened with TRANSFER_MIGRATIONS.
    const char *
        directory; // Of the site: replicas/ is made below; key.pem and certificate.pem are used for calls.
    const struct transfer_ops *ops;
    void *context;
};
enum status transfers_open(const struct transfers_options *options, struct transfers **out,
                           struct error *error);
void transfers_close(struct transfers *transfers); // NULL is allowed.

struct transfer_request {
    struct text id; // Normal form.
    struct text owner;
    bool is_guest;                  // The owner is a user of another site: `user@digits`.
    const struct fingerprint *from; // NULL: any source.
    const struct digest *content;   // NULL: what all say that it is.
};
// Orders a replica here; asks who has it. CONFLICT, and nothing is ordered, when sites say different content and none is named, or other content than the named one is here. QUOTA when a guest's site has TRANSFERS_GUEST_MAX under way. The same id while one is under way gives that one, unless both name contents that differ (CONFLICT), or only the new order names one: that is a transfer of its own, and of two of one id one copies at a time. One that is here already is done at once. *out is its document ({"id": number, "dataset", "state":
// "waiting"/"copying"/"verifying"/"done"/"failed"/"cancelled", "files_done", "files_total", "bytes_done", "bytes_total", "bytes_per_second", "source", "problem", ...}).
enum status transfers_order(struct transfers *transfers, const struct transfer_request *request,
                            struct buffer *out, struct error *error);
enum status transfers_show(struct transfers *transfers, int64_t number, struct buffer *out,
                           struct error *error);
enum status transfers_list(struct transfers *transfers, int64_t before, int64_t limit,
                           struct buffer *out, struct error *error);
// One of those who ordered it does not want it any more: it is cancelled when nobody else can have ordered it; else it goes on, which is OK.
enum status transfers_take_back(struct transfers *transfers, int64_t number, struct error *error);
enum status transfers_cancel(struct transfers *transfers, int64_t number, struct error *error);
// A dataset is not registered any more whose files were at this path: they are removed when they are a replica that was copied here (below DIRECTORY/replicas) and nothing else needs them. Nothing else is
// ever removed.
enum status transfers_forget(struct transfers *transfers, struct text path, struct error *error);
// Calls wake once when the transfer changed since `version`, or at the deadline (steady clock). Any thread.
void transfers_watch(struct transfers *transfers, int64_t number, int64_t version,
                     int64_t deadline_us, void (*wake)(void *context), void *context);
void transfers_wake_all(struct transfers *transfers);

extern const struct store_migration TRANSFER_MIGRATIONS[];
extern const size_t TRANSFER_MIGRATION_COUNT;

#endif
