// What tasks left behind: lists, records, output, answers.
#include "api/follow.h"
#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

typedef enum status list_fn(struct queue *queue, int64_t job, const struct queue_page *page,
                            struct buffer *out, struct error *error);

static enum status read_page(struct api_call *call, int64_t *job, struct queue_page *out,
                             struct error *error)
{
    (void)http_query(call->request, "state", &out->state);
    TRY(api_parameter_int64(call, 0, "job", job, error));
    TRY(api_query_limit(call, &out->limit, error));
    return api_query_int64(call, "cursor", 0, INT64_MAX, &out->from, error);
}

static void reply_list(struct api_call *call, list_fn *list)
{
    struct error error = {0};
    struct queue_page page = {0};
    int64_t job = 0;
    AUTO_BUFFER struct buffer body = {0};
    enum status status = read_page(call, &job, &page, &error);
    if (status == OK) {
        status = list(call->api->queue, job, &page, &body, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&body));
    }
}

static void list_tasks(struct api_call *call)
{
    reply_list(call, queue_list_tasks);
}

static void list_outputs(struct api_call *call)
{
    reply_list(call, queue_list_outputs);
}

static enum status read_task_id(struct api_call *call, int64_t *job, int64_t *index,
                                struct error *error)
{
    TRY(api_parameter_int64(call, 0, "job", job, error));
    return api_parameter_int64(call, 1, "task", index, error);
}

static void show_task(struct api_call *call)
{
    struct error error = {0};
    int64_t job = 0;
    int64_t index = 0;
    AUTO_BUFFER struct buffer body = {0};
    enum status status = read_task_id(call, &job, &index, &error);
    if (status == OK) {
        status = queue_show_task(call->api->queue, job, index, &body, &error);
    }
    if (!answer_failure(call, status, &error)) {
        api_reply_json(call, 200, buffer_text(&body));
    }
}

// Output and answers: what there is, or (with `wait`) what comes next.
struct reading {
    struct follow follow; // First.
    int64_t index;        // Of the task, or of the first answer.
    int64_t offset;
    bool is_error_output;
    bool is_answers;
    int64_t until_us; // Steady clock; 0: do not wait.
    enum status status;
    struct error error;
    struct queue_output output;
    int64_t next;
};

static void reply_output(struct reading *self)
{
    struct api_call *call = self->follow.call;
    char attempt[24];
    char dropped[24];
    size_t count = 0;
    struct http_field fields[3];
    (void)snprintf(attempt, sizeof attempt, "%" PRId64, self->output.attempt);
    (void)snprintf(dropped, sizeof dropped, "%" PRId64, self->output.dropped);
    fields[count++] =
        (struct http_field){"Lode-Complete", self->output.is_complete ? "true" : "false"};
    if (self->output.attempt > 0) {
        fields[count++] = (struct http_field){"Lode-Attempt", attempt};
    }
    if (self->output.dropped > 0) {
        fields[count++] = (struct http_field){"Lode-Dropped", dropped};
    }
    struct http_response response = {
        .code = 200,
        .content_type = "application/octet-stream",
        .fields = fields,
        .field_count = count,
        .body = buffer_text(&self->output.bytes),
    };
    if (self->output.fd >= 0) {
        int64_t from = self->offset < self->output.size ? self->offset : self->output.size;
        response.is_file = true;
        response.file_fd = self->output.fd;
        response.file_from = from;
        response.file_length = self->output.size - from;
    }
    http_reply(call->request->exchange, &response);
}

static void reply_answers(struct reading *self)
{
    char next[24];
    struct http_field fields[2] = {
        {"Lode-Next", next},
        {"Lode-Complete", self->output.is_complete ? "true" : "false"},
    };
    (void)snprintf(next, sizeof next, "%" PRId64, self->next);
    api_reply_bytes(self->follow.call, "application/x-ndjson", buffer_text(&self->output.bytes),
                    fields, 2);
}

static void end_reading(struct follow *follow)
{
    struct reading *self = (struct reading *)follow;
    if (!answer_failure(follow->call, self->status, &self->error)) {
        if (self->is_answers) {
            reply_answers(self);
        } else {
            reply_output(self);
        }
    }
}

static void read_once(struct reading *self)
{
    struct queue *queue = self->follow.call->api->queue;
    struct queue_output *output = &self->output;
    if (self->is_answers) {
        *output = (struct queue_output){.fd = -1};
        self->status = queue_read_answers(queue, self->follow.job, self->index, &output->bytes,
                                          &self->next, &output->is_complete, &self->error);
    } else {
        self->status = queue_read_output(queue, self->follow.job, self->index,
                                         self->is_error_output, self->offset, output, &self->error);
    }
}

static bool look(struct follow *follow)
{
    struct reading *self = (struct reading *)follow;
    read_once(self);
    if (self->status != OK || self->output.is_complete || self->output.bytes.length > 0 ||
        self->until_us <= clock_steady_us() || queue_is_stopping(follow->call->api->queue)) {
        return true;
    }
    buffer_done(&self->output.bytes);
    return false;
}

// Answers are bigger than their request's arena likes to know: the buffer goes with the answer.
static void end_and_free(struct follow *follow)
{
    struct reading *self = (struct reading *)follow;
    struct buffer bytes = self->output.bytes;
    end_reading(follow);
    buffer_done(&bytes);
}

static void start_reading(struct reading *self, int64_t wait_us)
{
    self->follow.look = look;
    self->follow.end = end_and_free;
    if (wait_us == 0) {
        read_once(self);
        end_and_free(&self->follow);
        return;
    }
    self->until_us = clock_steady_us() + wait_us;
    self->follow.until_us = self->until_us;
    follow_start(&self->follow);
}

static void get_output(struct api_call *call, bool is_error_output)
{
    struct error error = {0};
    struct reading *self = arena_new(call->request->arena, sizeof *self);
    int64_t wait_us = 0;
    self->follow.call = call;
    self->is_error_output = is_error_output;
    self->output.fd = -1;
    enum status status = read_task_id(call, &self->follow.job, &self->index, &error);
    if (status == OK) {
        status = api_query_wait(call, &wait_us, &error);
    }
    if (status == OK) {
        status = api_query_int64(call, "offset", 0, INT64_MAX, &self->offset, &error);
    }
    if (!answer_failure(call, status, &error)) {
        start_reading(self, wait_us);
    }
}

static void get_stdout(struct api_call *call)
{
    get_output(call, false);
}

static void get_stderr(struct api_call *call)
{
    get_output(call, true);
}

static void get_answers(struct api_call *call)
{
    struct error error = {0};
    struct reading *self = arena_new(call->request->arena, sizeof *self);
    int64_t wait_us = 0;
    self->follow.call = call;
    self->is_answers = true;
    self->output.fd = -1;
    enum status status = api_parameter_int64(call, 0, "job", &self->follow.job, &error);
    if (status == OK) {
        status = api_query_wait(call, &wait_us, &error);
    }
    if (status == OK) {
        status = api_query_int64(call, "from", 0, INT64_MAX, &self->index, &error);
    }
    if (!answer_failure(call, status, &error)) {
        start_reading(self, wait_us);
    }
}

static const char *const PAGE[] = {"state", "limit", "cursor", NULL};
static const char *const OUTPUTS[] = {"limit", "cursor", NULL};
static const char *const OUTPUT[] = {"offset", "wait", NULL};
static const char *const ANSWERS[] = {"from", "wait", NULL};

// All of these are about a job that belongs to somebody.
#define JOB_ROUTE(path, what, handler, parameters)                                                 \
    {                                                                                              \
        .method = "GET", .pattern = "/v1/jobs/{job}/" path, .action = (what),                      \
        .object = API_OBJECT_JOB, .place = API_ON_POOL, .handle = (handler), .query = (parameters) \
    }

const struct api_route API_TASK_ROUTES[] = {
    JOB_ROUTE("tasks", ACTION_JOB_LIST, list_tasks, PAGE),
    JOB_ROUTE("tasks/{index}", ACTION_JOB_CONTENT, show_task, NULL),
    JOB_ROUTE("tasks/{index}/stdout", ACTION_JOB_CONTENT, get_stdout, OUTPUT),
    JOB_ROUTE("tasks/{index}/stderr", ACTION_JOB_CONTENT, get_stderr, OUTPUT),
    JOB_ROUTE("outputs", ACTION_JOB_CONTENT, list_outputs, OUTPUTS),
    JOB_ROUTE("answers", ACTION_JOB_CONTENT, get_answers, ANSWERS),
    {.method = NULL},
};
