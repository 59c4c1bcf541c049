// Names of datasets: DOI, ARK, Handle, URN, IVOID, URL and scope:name, each in one normal form.
//
// Two texts name the same thing exactly when their normal forms are equal, byte for byte, and the normal form of a normal
// form is itself. Pure: nothing is asked of any resolver.
//
// kind    also read                                    normal form, and where it is specified
// DOI     10.1/X, https://doi.org/10.1/X, hdl:10.1/X   doi:10.1/x    ASCII letters fold (ISO 26324, DOI Handbook 2.4)
// ARK     https://host/ark:/12345/x-1?info             ark:12345/x1  draft-kunze-ark section "Normalization": no host,
//                                                      query, hyphens, idle "/" and "."; the name keeps its case
// Handle  https://hdl.handle.net/20.1/X, info:hdl/...  hdl:20.1/X    the prefix folds, the rest keeps its case (RFC 3651)
// URN     URN:ISBN:1?+a?=b#c                           urn:isbn:1    without r-, q- and f-component (RFC 8141 section 3)
// IVOID   ivo://Org.X/Path?Local                       ivo://org.x/path?Local  IVOA Identifiers 2.0: all before "?" and "#" folds
// URL     HTTP://Host:80/a/../%7eb                     http://host/~b  RFC 3986 section 6.2.2 and 6.2.3
// scoped  user.ada:run-7/a.root                        unchanged      Rucio's data identifiers; case matters
#ifndef LODE_CATALOG_IDENTIFIER_H
#define LODE_CATALOG_IDENTIFIER_H

#include "base/status.h"
#include "base/text.h"

enum {
    IDENTIFIER_SIZE_MAX = 2048, // Bytes, as given and in normal form.
    IDENTIFIER_SCOPE_MAX = 30,
    IDENTIFIER_NAME_MAX = 250,
};

enum identifier_kind {
    IDENTIFIER_DOI,
    IDENTIFIER_ARK,
    IDENTIFIER_HANDLE,
    IDENTIFIER_URN,
    IDENTIFIER_IVOID,
    IDENTIFIER_URL,
    IDENTIFIER_SCOPED,
};

struct identifier {
    enum identifier_kind kind;
    size_t length;
    char bytes[IDENTIFIER_SIZE_MAX + 1]; // The normal form and a NUL.
};

// Reads and normalises. INVALID with the reason and the way out: empty or too long, wrong UTF-8, control characters and white space
// (also percent-encoded), a part "." or ".." (but in URLs, where it is resolved), a URL with a user's name, an unknown scheme.
// *out is unchanged then.
enum status identifier_parse(struct text text, struct identifier *out, struct error *error);

// The normal form; borrowed.
static inline struct text identifier_text(const struct identifier *identifier)
{
    return (struct text){identifier->bytes, identifier->length};
}

static inline bool identifier_equal(const struct identifier *a, const struct identifier *b)
{
    return text_equal(identifier_text(a), identifier_text(b));
}

// "doi", "ark", "handle", "urn", "ivoid", "url" or "scoped"; a static string.
const char *identifier_kind_name(enum identifier_kind kind);

#endif
