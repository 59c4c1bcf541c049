// The documents that requests bring, read with limits, apart from what is then done with them. Pure; texts are borrowed from the document.
#ifndef LODE_API_DOCUMENTS_H
#define LODE_API_DOCUMENTS_H

#include "base/arena.h"
#include "base/json.h"
#include "catalog/catalog.h"
#include "identity/tokens.h"
#include "peers/peers.h"

enum {
    DOCUMENT_SITE_MAX = 300, // Bytes of a site's name or address.
    TOKEN_SECONDS_MAX = 10 * 366 * 86400,
};

// All readers: INVALID, naming the field, for a field that is unknown, missing, of another type or beyond its bounds.

// {"id", "paths", "aliases", "title"} of POST /v1/datasets. The arrays are in the arena. What ids and paths must be like is the catalogue's to judge.
enum status dataset_document_read(const json_t *document, struct arena *arena,
                                  struct dataset_request *out, struct error *error);

// {"mode", "accept_changes"} of POST /v1/datasets/{id}/verify.
enum status verify_document_read(const json_t *document, struct catalog_verify *out,
                                 struct error *error);

// The members of a document that say the class of a worker's credential.
#define RUNNER_FIELDS "class", "user", "groups", "job"

// Those: of "class", RUNNER_SITE when it is not said, "user", "groups" and "job" what is said, without a look at what the class needs.
// *is_said: one of them was.
enum status runner_document_read(const json_t *document, struct runner *out, bool *is_said,
                                 struct error *error);

// {"principal", "role", "label", "expires_seconds"} and those of POST /v1/tokens; what names, labels and classes must be like is judged by
// tokens_create. With a class "principal" may be missing, the name is empty then, and the role is that of a worker.
enum status token_document_read(const json_t *document, int64_t now_us, struct token_request *out,
                                struct error *error);

// {"id", "to", "from"} of POST /v1/transfers: the sites as they were named; without bytes when not.
struct order_document {
    struct identifier id;
    struct text to;
    struct text from;
    bool has_digest;
    struct digest digest;
};
enum status order_document_read(const json_t *document, struct order_document *out,
                                struct error *error);

// {"url", "fingerprint", "mode"} of POST /v1/hubs. What an address and a fingerprint must be like is judged by peers_add_hub.
enum status hub_document_read(const json_t *document, struct peers_hub_request *out,
                              struct error *error);

// {"standing"} of POST /v1/sites/{site}/standing.
enum status standing_document_read(const json_t *document, enum peer_standing *out,
                                   struct error *error);

#endif
