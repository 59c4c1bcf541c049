// The tokens that make a site usable on its own machine: its owner's, and its worker's.
#ifndef LODE_PROGRAMS_SITE_LOCAL_TOKENS_H
#define LODE_PROGRAMS_SITE_LOCAL_TOKENS_H

#include "identity/tokens.h"
#include "site/settings.h"

// Sees to DIRECTORY/admin.token (role admin, the user who started the site) and DIRECTORY/worker.token (role worker), 0600 each: whoever
// can read the site's directory owns the site anyway. Tokens that are still valid are kept.
enum status local_tokens_ensure(struct store *store, struct tokens *tokens,
                                const struct site_settings *settings, struct error *error);

#endif
