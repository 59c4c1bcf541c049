// Which site a command talks to, what its key must be, and the token to show it.
#ifndef LODE_PROGRAMS_CLI_SITE_CHOICE_H
#define LODE_PROGRAMS_CLI_SITE_CHOICE_H

#include "identity/credentials.h"

enum { SITE_URL_SIZE = SITE_ADDRESS_SIZE + 8 };

struct site_choice {
    struct site_address address;
    char url[SITE_URL_SIZE];
    struct fingerprint pin;
    struct token_secret token;
    char *
        local_directory; // Of a site of this machine and user, whose address may change with a restart; NULL: none. Heap.
};

void site_choice_done(struct site_choice *choice);

// The site that serves `directory` (NULL: where `lode site` keeps it for this user), from its site.json and admin.token:
// both must be this user's and readable, which is why no question is needed. NOT_FOUND when there is none.
enum status site_choice_local(const char *directory, struct site_choice *out, struct error *error);

// The site for a command: `url` (--site), else $LODE_SITE, else the last login, else this machine's. A site of this machine and
// user needs no login; others must have been met. NOT_FOUND and DENIED say how to log in.
enum status site_choice_make(const char *url, struct site_choice *out, struct error *error);

// The client's folder (~/.config/lode); heap string. UNAVAILABLE when neither $XDG_CONFIG_HOME nor $HOME is set.
enum status site_choice_folder(char **out, struct error *error);

#endif
