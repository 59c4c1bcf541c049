// How `lode worker` and a site come to trust each other: the worker's own key, and the key of the site.
#ifndef LODE_PROGRAMS_WORKER_TRUST_H
#define LODE_PROGRAMS_WORKER_TRUST_H

#include "cli/options.h"
#include "crypto/key.h"

// The worker's folder: --directory, or $XDG_DATA_HOME/lode-worker, ~/.local/share/lode-worker; made when it is missing. Not below the
// folder of a site of this user, which has a worker of its own there. *out is the caller's (free), without symbolic links.
enum status worker_directory(const struct options *given, char **out, struct error *error);

struct worker_key {
    char *key_path; // worker.key, 0600.
    char *certificate_path;
    struct fingerprint fingerprint;
};

// The key in the worker's folder, made at the first start. Of several processes that want it, one alone makes it.
enum status worker_key_ensure(const char *directory, const char *name, struct worker_key *out,
                              struct error *error);
// The fingerprint of a certificate that an authority made; it is looked at here so that a wrong file is noticed at the start.
enum status worker_certificate_read(const char *path, struct fingerprint *out, struct error *error);
void worker_key_done(struct worker_key *key);

// The key that the site at `url` must show: --pin; that of a site of this user on this machine; or the one of the first meeting
// (known_sites). The first time the terminal asks, or --trust answers. DENIED for a changed key, with the way out.
enum status worker_meet_site(const struct options *given, const char *url, struct fingerprint *pin,
                             struct error *error);

#endif
