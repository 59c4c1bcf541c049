// Which site a worker takes tasks from, when it was told a name, or nothing.
#ifndef LODE_PROGRAMS_WORKER_CHOOSE_H
#define LODE_PROGRAMS_WORKER_CHOOSE_H

#include "cli/options.h"
#include "cli/site_choice.h"

struct worker_site {
    char url[SITE_URL_SIZE];
    struct fingerprint
        key; // What the site must show; empty for an address: that is for worker_meet_site (worker/trust.h).
};

// From --site and --pin. --site URL is taken as it is. With --site NAME, or without --site, the local network is asked: the one site
// there (of that name, with that key) is taken, and of several the user is asked for one. What is taken shows the key that it
// announces and, if it was met before, the one that it had then; a first meeting is said, and its key kept in known_sites.
// NOT_FOUND and CONFLICT (several, and no terminal) say the way out, DENIED that a key is not as it must be.
enum status worker_site_choose(const struct options *given, struct worker_site *out,
                               struct error *error);

#endif
