// --bundle and --image of `lode run`: what is to take the place of the machine's software becomes one archive, and a blob of the site.
#ifndef LODE_PROGRAMS_CLI_SOFTWARE_H
#define LODE_PROGRAMS_CLI_SOFTWARE_H

#include "cli/contact.h"
#include "cli/options.h"

#include "base/json.h"

// INVALID when both are given.
enum status software_check(const struct options *options, struct error *error);

// Packs what is a folder, has podman save what is the name of an image, uploads the archive unless the site has it, and sets "software" of the
// job's document. Nothing, without these options.
enum status software_add(struct contact *contact, const struct options *options, bool is_quiet,
                         json_t *document, struct error *error);

#endif
