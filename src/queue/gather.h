// A thread that brings jobs what others have left: the outputs of those that they come after (input_from), the results of those that computed the same.
#ifndef LODE_QUEUE_GATHER_H
#define LODE_QUEUE_GATHER_H

#include "queue/state.h"

struct gatherer;

enum status gatherer_new(struct queue *queue, struct gatherer **out, struct error *error);
// Finishes the job that it is at, and ends. The store must be open still. NULL is allowed.
void gatherer_stop(struct gatherer *gatherer);
// Stops it, if need be, and frees it, when the writer's thread has ended. NULL is allowed.
void gatherer_free(struct gatherer *gatherer);
// What it does for one job; blocks.
typedef void gatherer_work(struct queue *queue, int64_t job);
void gatherer_ask(struct gatherer *gatherer, gatherer_work *work, int64_t job);
// The jobs before this one have succeeded: it gets their outputs, or fails with the reason.
void gather_outputs(struct queue *queue, int64_t job);

#endif
