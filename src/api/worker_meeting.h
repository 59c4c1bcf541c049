// A worker registers by its key: what the site knows of that decides whether it may.
#ifndef LODE_API_WORKER_MEETING_H
#define LODE_API_WORKER_MEETING_H

#include "api/api.h"
#include "queue/queue.h"

// Meets the key of the call's connection, and registers the worker when it is accepted; answers later. Takes the document.
void worker_meeting_hold(struct api_call *call, const struct worker_hello *hello, json_t *document);

// Registers it for the call's principal. Takes the document.
void worker_meeting_register(struct api_call *call, json_t *document);

#endif
