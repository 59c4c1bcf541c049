// Software that jobs bring, and which kinds of it workers give to tasks.
#ifndef LODE_QUEUE_SOFTWARE_H
#define LODE_QUEUE_SOFTWARE_H

#include "queue/prepare.h"

// Makes the bundle or image of the job one of its inputs: for the record, and for the choice of workers. NOT_FOUND: its blob is not here.
enum status software_prepare(struct queue *queue, const struct job_spec *spec, struct prepared *out,
                             struct error *error);

// Reads the kinds that a worker says it gives to tasks, "software": ["host", "bundle", "oci"]; *last is the last of them. One that says nothing gives
// the machine's own.
enum status software_read_kinds(const json_t *document, int64_t *last, struct error *error);
// Writes them as the elements of an array.
void software_write_kinds(int64_t last, struct buffer *out);
// A new array of the kinds that some worker here gives.
json_t *software_of_workers(const struct queue *queue);

#endif
