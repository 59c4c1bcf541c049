// `lode worker --stdio` and `lode worker --listen`: starts workers for those who may have them here (docs/protocols/helper.md).
#ifndef LODE_PROGRAMS_HELPER_RUN_H
#define LODE_PROGRAMS_HELPER_RUN_H

#include "cli/options.h"

// Serves as the options say. Returns the exit status.
int helper_run(const struct options *given);

// The folder with the helper's key and its file of callers: --directory, /var/lib/lode-helper of root, lode-helper in $XDG_DATA_HOME or ~/.local/share. *out is the
// caller's (free).
enum status helper_folder(const struct options *given, char **out, struct error *error);

#endif
