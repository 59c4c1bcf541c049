// The client's tokens, one for each site, and the site that it uses when none is named.
//
// In the caller's folder: `tokens` (0600; one that others may read is refused) with a line "host:port lode_..." for each
// site, and `site` with the address of the default one.
#ifndef LODE_IDENTITY_CREDENTIALS_H
#define LODE_IDENTITY_CREDENTIALS_H

#include "identity/known_sites.h"
#include "identity/tokens.h"

// The client's folder as the XDG base directory specification has it: the first of $XDG_CONFIG_HOME/lode and $HOME/.config/lode
// that its arguments (may be NULL) allow. Heap string; NULL when neither does.
char *client_folder(const char *xdg_config_home, const char *home);

// NOT_FOUND says how to log in. DENIED when the file is not private.
enum status credentials_find(const char *folder, const struct site_address *address,
                             struct token_secret *out, struct error *error);
// Replaces what was there.
enum status credentials_save(const char *folder, const struct site_address *address,
                             const struct token_secret *secret, struct error *error);
// OK also when there was none.
enum status credentials_forget(const char *folder, const struct site_address *address,
                               struct error *error);

// NOT_FOUND when none was set.
enum status default_site_find(const char *folder, struct site_address *out, struct error *error);
enum status default_site_save(const char *folder, const struct site_address *address,
                              struct error *error);

#endif
