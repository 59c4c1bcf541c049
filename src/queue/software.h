// Software that jobs bring.
#ifndef LODE_QUEUE_SOFTWARE_H
#define LODE_QUEUE_SOFTWARE_H

#include "queue/prepare.h"

// Makes the bundle or image of the job one of its inputs: for the record, and for the choice of workers. NOT_FOUND: its blob is not here.
enum status software_prepare(struct queue *queue, const struct job_spec *spec, struct prepared *out,
                             struct error *error);

#endif
