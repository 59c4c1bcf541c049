// Software that jobs bring.
#ifndef LODE_PREPARE_SOFTWARE_H
#define LODE_PREPARE_SOFTWARE_H

#include "prepare/prepare.h"

// Makes the bundle or image of the job one of its inputs: for the record, and for the choice of workers. NOT_FOUND: its blob is not here.
enum status software_prepare(const struct prepare_site *site, const struct job_spec *spec,
                             struct prepared *out, struct error *error);

#endif
