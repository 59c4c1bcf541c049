// A thread that brings jobs the outputs of those that they come after (input_from).
#ifndef LODE_QUEUE_GATHER_H
#define LODE_QUEUE_GATHER_H

#include "queue/state.h"

struct gatherer;

enum status gatherer_new(struct queue *queue, struct gatherer **out, struct error *error);
// Finishes the job that it is at, and ends. The store must be open still. NULL is allowed.
void gatherer_stop(struct gatherer *gatherer);
// Stops it, if need be, and frees it, when the writer's thread has ended. NULL is allowed.
void gatherer_free(struct gatherer *gatherer);
// The jobs before this one have succeeded: it gets their outputs, or fails with the reason.
void gatherer_ask(struct gatherer *gatherer, int64_t job);

#endif
