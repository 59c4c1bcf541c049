// `lode link`: one process that is a worker of its site for each other site where jobs are to go.
//
// It takes what waits of such a job as leases, submits it there under a key that it can derive again, follows it, brings home what it wrote,
// and reports like any worker. What it has submitted is in its folder: after a crash of any of the three it goes on where it was.
#ifndef LODE_LINK_LINK_H
#define LODE_LINK_LINK_H

#include "base/status.h"

#include <stdint.h>

struct link_options {
    const char *
        site_file; // {"url", "fingerprint", "name"} of the own site; read again when that cannot be reached.
    const char *token_file; // A token of role worker.
    const char *directory;  // A folder of its own.
    const char *key_path; // The site's key and certificate (PEM): it speaks for the site elsewhere.
    const char *certificate_path;
    int64_t grace_us; // How long the own site may be away before the link ends.
};

// Serves until SIGTERM or SIGINT. CONFLICT when another one serves in the folder.
enum status link_run(const struct link_options *options, struct error *error);

#endif
