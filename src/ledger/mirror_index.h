// The index of a hub: from a name to the entries of all sites about the dataset of that name. Derived from the mirrored logs.
//
// A key is a name with a zero byte behind it, so that one look-up finds what there is about the name: records (store/records.h), 'e' and the
// site's number for an entry of that id (packed), 'a', the site's number and a digest of the id for an alias (the id). Each site's record is put or
// removed without reading what other sites have. The positions in the logs stand under keys of their own, zero byte, 'p' and the
// site's number, and change together with what they tell of. So a name that thousands of sites have costs a look-up the reading of all of them.
#ifndef LODE_LEDGER_MIRROR_INDEX_H
#define LODE_LEDGER_MIRROR_INDEX_H

#include "ledger/packed.h"

struct mirror_index;

enum { MIRROR_NAMES_MAX = 64 }; // Names of one dataset that are followed.

// Opens it, empty when it is missing. CORRUPT when it is damaged, or was found to be at the last run.
enum status mirror_index_open(const char *folder, struct mirror_index **out, struct error *error);
void mirror_index_close(struct mirror_index *index); // NULL is allowed.
// Removes one that is not open.
enum status mirror_index_remove(const char *folder, struct error *error);

// How far the log of a site is in it; epoch 0: nothing is. `site` tells whether the number stood for the same site.
struct mirror_place {
    int64_t epoch;
    int64_t serial;
    struct fingerprint site;
};
enum status mirror_index_place(struct mirror_index *index, uint32_t number,
                               struct mirror_place *out, struct error *error);

// Enters the entries of batches behind *place, which moves on as they are durable together (the batches were verified before). Of several
// threads each for another site.
enum status mirror_index_enter(struct mirror_index *index, uint32_t number, struct text batches,
                               struct mirror_place *place, struct error *error);

// Removes what batches of an older epoch entered and the present one, `epoch`, says nothing of.
enum status mirror_index_sweep(struct mirror_index *index, uint32_t number, int64_t epoch,
                               struct text batches, struct error *error);

// What a search finds: a packed entry about `id`. False ends the search.
typedef bool mirror_index_visit_fn(void *context, uint32_t number, struct text id,
                                   struct text packed);
enum status mirror_index_find(struct mirror_index *index, struct text name,
                              mirror_index_visit_fn *visit, void *context, struct error *error);

int64_t mirror_index_size(struct mirror_index *index); // Bytes of its files.

#endif
