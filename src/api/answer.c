#include "api/answer.h"

static void done(void *context, int code, enum status status, const struct error *error,
                 struct text document)
{
    struct api_call *call = context;
    if (status == OK) {
        api_reply_json(call, code, document);
        return;
    }
    struct error failure = error ? *error : (struct error){0};
    failure.status = status;
    api_reply_error(call, &failure);
}

static void done_ok(void *context, enum status status, const struct error *error,
                    struct text document)
{
    done(context, 200, status, error, document);
}

static void done_created(void *context, enum status status, const struct error *error,
                         struct text document)
{
    done(context, 201, status, error, document);
}

struct queue_answer answer_ok(struct api_call *call)
{
    return (struct queue_answer){done_ok, call};
}

struct queue_answer answer_created(struct api_call *call)
{
    return (struct queue_answer){done_created, call};
}

bool answer_failure(struct api_call *call, enum status status, struct error *error)
{
    if (status == OK) {
        return false;
    }
    error->status = status;
    api_reply_error(call, error);
    return true;
}
