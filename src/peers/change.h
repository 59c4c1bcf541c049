// What must survive about sites: one row each. Read at the start, written when it changes, in memory only together with the row.
#ifndef LODE_PEERS_CHANGE_H
#define LODE_PEERS_CHANGE_H

#include "peers/state.h"

// What changes about one site; what is not said stays.
struct change {
    struct fingerprint site;
    const struct site_statement *statement; // NULL: not.
    struct text statement_text;             // Canonical.
    bool has_standing;
    bool is_standing_first; // Only when the site is new here.
    enum peer_standing standing;
    bool has_mode;
    enum peers_mode mode;
    bool has_hub;
    enum peers_mode hub_mode; // 0: it is no hub of ours any more.
    struct text hub_url;
};

// All or nothing; blocks for the commit. `witness` (may be NULL) is called with what the first site was and is told of.
enum status changes_commit(struct peers *peers, const struct change *changes, size_t count,
                           const struct peers_witness *witness, struct error *error);

// Reads all rows into an empty table.
enum status changes_load(struct peers *peers, struct error *error);

// For store_on_recover: memory is as the rows are again, after a commit that failed.
enum status changes_reload(struct sql *sql, void *context, struct error *error);

// Would the statement say anything new about the site? `is_direct`: the site itself has said it now; else it must be later than the one that is known.
bool change_is_news(struct peers *peers, const struct site_statement *statement,
                    const json_t *object, bool is_direct);

#endif
