// Sites with keys that sign entries, and what answers about them look like.
#ifndef LODE_TESTS_RESOLVE_FIXTURE_H
#define LODE_TESTS_RESOLVE_FIXTURE_H

#include "ledger/statement.h"
#include "resolve/resolve.h"

// A site of which a test knows the key.
struct signer {
    char folder[64];
    struct signing_key *key;
    struct fingerprint site;
    struct public_key public_key;
};
void signer_open(struct signer *signer);
void signer_close(struct signer *signer);

struct entry_fields {
    const char *id;    // NULL: "doi:10.1/a".
    const char *alias; // NULL: none.
    int64_t epoch;     // 0: 1.
    int64_t serial;    // 0: 1.
    const char *tier;  // NULL: "online".
    const char *state; // NULL: "available".
};
// Appends the signed entry in canonical form.
void write_entry(const struct signer *signer, const struct entry_fields *fields,
                 struct buffer *out);

// The site as another one knows it: up, measured, a member.
struct resolve_site site_of(const struct signer *signer, const char *name);

// Appends one location of an answer.
void write_location(const struct signer *signer, const char *name, struct text entry,
                    struct buffer *out);
// Appends an answer with these locations (JSON objects with commas between them).
void write_document(struct text locations, struct buffer *out);
// An answer with one location, of the site that signs these fields.
void write_simple(const struct signer *signer, const char *name, const struct entry_fields *fields,
                  struct buffer *out);

#endif
