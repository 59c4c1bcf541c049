// How the queue's answers become those of HTTP: an answer comes once, after the commit, on the writer's thread.
#ifndef LODE_API_ANSWER_H
#define LODE_API_ANSWER_H

#include "api/api.h"
#include "queue/queue.h"

// Answers the call with the document and code 200, or 201, or with the error.
struct queue_answer answer_ok(struct api_call *call);
struct queue_answer answer_created(struct api_call *call);

// Answers with the status and the error when it is not OK, and says whether it did.
bool answer_failure(struct api_call *call, enum status status, struct error *error);

#endif
