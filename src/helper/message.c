#include "helper/message.h"

#include <stdio.h>

enum { STATUS_TEXT_MAX = 32 };
#define COUNT_MAX INT64_C(1000000)
#define BYTES_MAX (INT64_C(1) << 53)
#define SECONDS_MAX 1e9

static const char *const VERBS[] = {
    [HELPER_START] = "start", [HELPER_STATUS] = "status", [HELPER_STOP] = "stop"};
static const char *const STATES[] = {"started", "pending", "starting", "running",
                                     "absent",  "stopped", "stopping", NULL};

const char *helper_verb_name(enum helper_verb verb)
{
    return VERBS[verb];
}

struct helper_request helper_request_none(enum helper_verb verb)
{
    return (struct helper_request){
        .verb = verb,
        .worker = {.cpus = -1,
                   .memory_bytes = -1,
                   .gpus = -1,
                   .cache_bytes = -1,
                   .lifetime_seconds = -1,
                   .notice_seconds = -1},
    };
}

bool helper_text_is_plain(struct text text, size_t length_max)
{
    return text.length <= length_max && text_is_utf8(text) && !text_has_control(text);
}

// An optional text that may stand in a log.
static enum status read_plain(const json_t *object, const char *name, size_t length_max,
                              struct text *out, struct error *error)
{
    struct text text = TEXT_NONE;
    TRY(json_field_text(object, name, JSON_OPTIONAL, length_max, &text, error));
    if (!helper_text_is_plain(text, length_max)) {
        return error_set(error, INVALID, "field \"%s\" has control characters", name);
    }
    *out = text;
    return OK;
}

static enum status read_fingerprint(const json_t *object, const char *name, enum json_need need,
                                    struct fingerprint *out, struct error *error)
{
    struct text text = TEXT_NONE;
    struct fingerprint read = {""};
    char pin[PIN_SIZE];
    TRY(json_field_text(object, name, need, FINGERPRINT_SIZE - 1, &text, error));
    (void)snprintf(read.text, sizeof read.text, "%.*s", TEXT_ARGS(text));
    if (text.length > 0) {
        TRY(fingerprint_to_pin(read.text, pin, error));
    }
    *out = read;
    return OK;
}

static enum status read_version(const json_t *object, struct error *error)
{
    int64_t version = 0;
    TRY(json_field_int64(object, "helper", JSON_REQUIRED, 0, COUNT_MAX, &version, error));
    if (version != HELPER_VERSION) {
        (void)error_set(error, UNSUPPORTED, "version %lld of the helper protocol is not spoken",
                        (long long)version);
        error_fix(error,
                  "this is version %d, of lode " LODE_VERSION "; use the same lode on both "
                  "machines",
                  HELPER_VERSION);
        return UNSUPPORTED;
    }
    return OK;
}

static enum status read_verb(const json_t *object, enum helper_verb *out, struct error *error)
{
    struct text word = TEXT_NONE;
    TRY(json_field_text(object, "request", JSON_REQUIRED, STATUS_TEXT_MAX, &word, error));
    for (size_t i = 0; i < sizeof VERBS / sizeof VERBS[0]; i++) {
        if (text_equal(word, text_of(VERBS[i]))) {
            *out = (enum helper_verb)i;
            return OK;
        }
    }
    (void)error_set(error, INVALID, "field \"request\" names no request");
    error_fix(error, "one of start, status, stop");
    return INVALID;
}

static enum status read_labels(const json_t *object, struct helper_worker *out, struct error *error)
{
    json_t *labels = NULL;
    json_t *item = NULL;
    size_t at = 0;
    TRY(json_field_array(object, "labels", JSON_OPTIONAL, HELPER_LABELS_MAX, &labels, error));
    json_array_foreach(labels, at, item)
    {
        struct text label = json_text(item);
        if (label.length == 0 || !helper_text_is_plain(label, HELPER_NAME_MAX)) {
            return error_set(error, INVALID, "a label must be a text of 1 to %d bytes",
                             HELPER_NAME_MAX);
        }
        out->labels[out->label_count++] = label;
    }
    return OK;
}

static enum status read_worker(const json_t *object, struct helper_worker *out, struct error *error)
{
    static const char *const FIELDS[] = {
        "name",        "cpus",    "memory_bytes",     "gpus",           "labels", "groups",
        "cache_bytes", "sandbox", "lifetime_seconds", "notice_seconds", "serve",  NULL};
    TRY(json_check_fields(object, FIELDS, error));
    TRY(read_plain(object, "name", HELPER_NAME_MAX, &out->name, error));
    TRY(read_plain(object, "groups", HELPER_TEXT_MAX, &out->groups, error));
    TRY(read_plain(object, "sandbox", STATUS_TEXT_MAX, &out->sandbox, error));
    TRY(read_plain(object, "serve", HELPER_NAME_MAX, &out->serve, error));
    TRY(read_labels(object, out, error));
    TRY(json_field_double(object, "cpus", JSON_OPTIONAL, 1e-3, 1e6, &out->cpus, error));
    TRY(json_field_int64(object, "memory_bytes", JSON_OPTIONAL, 1, BYTES_MAX, &out->memory_bytes,
                         error));
    TRY(json_field_int64(object, "gpus", JSON_OPTIONAL, 0, COUNT_MAX, &out->gpus, error));
    TRY(json_field_int64(object, "cache_bytes", JSON_OPTIONAL, 0, BYTES_MAX, &out->cache_bytes,
                         error));
    TRY(json_field_double(object, "lifetime_seconds", JSON_OPTIONAL, 1e-3, SECONDS_MAX,
                          &out->lifetime_seconds, error));
    TRY(json_field_double(object, "notice_seconds", JSON_OPTIONAL, 0, SECONDS_MAX,
                          &out->notice_seconds, error));
    if (out->sandbox.length > 0 && !text_equal(out->sandbox, TEXT("bubblewrap")) &&
        !text_equal(out->sandbox, TEXT("none"))) {
        return error_set(error, INVALID, "field \"sandbox\" must be \"bubblewrap\" or \"none\"");
    }
    return OK;
}

// What only a start says.
static enum status read_start(const json_t *object, struct helper_request *out, struct error *error)
{
    json_t *worker = NULL;
    TRY(read_plain(object, "site", HELPER_TEXT_MAX, &out->site, error));
    TRY(read_plain(object, "invitation", HELPER_NAME_MAX, &out->invitation, error));
    TRY(json_field_object(object, "worker", JSON_OPTIONAL, &worker, error));
    bool is_start = out->verb == HELPER_START;
    if (!is_start && (out->site.length > 0 || out->invitation.length > 0 || worker)) {
        return error_set(error, INVALID, "only \"start\" has a site, an invitation and a worker");
    }
    if (is_start && !text_starts_with(out->site, TEXT("https://"))) {
        (void)error_set(error, INVALID, "field \"site\" must be the address of a site");
        error_fix(error, "write it like https://desk:7733");
        return INVALID;
    }
    return worker ? read_worker(worker, &out->worker, error) : OK;
}

static enum status read_request(const json_t *object, struct helper_request *out,
                                struct error *error)
{
    static const char *const FIELDS[] = {"helper",      "request",    "site",
                                         "fingerprint", "invitation", "account",
                                         "directory",   "worker",     NULL};
    // The version first: another one may have other fields.
    TRY(read_version(object, error));
    TRY(json_check_fields(object, FIELDS, error));
    TRY(read_verb(object, &out->verb, error));
    TRY(read_fingerprint(object, "fingerprint", JSON_REQUIRED, &out->fingerprint, error));
    TRY(read_plain(object, "account", HELPER_NAME_MAX, &out->account, error));
    TRY(read_plain(object, "directory", HELPER_PATH_MAX, &out->directory, error));
    if (out->fingerprint.text[0] == '\0') {
        return error_set(error, INVALID, "field \"fingerprint\" is empty");
    }
    if (out->directory.length > 0 && out->directory.bytes[0] != '/') {
        return error_set(error, INVALID, "field \"directory\" must be an absolute path");
    }
    return read_start(object, out, error);
}

static enum status parse_object(struct text line, json_t **out, struct error *error)
{
    AUTO_JSON json_t *object = NULL;
    if (line.length >= HELPER_LINE_MAX) {
        return error_set(error, QUOTA, "the line has more than %d bytes", HELPER_LINE_MAX);
    }
    TRY(json_parse(line, &object, error));
    if (!json_is_object(object)) {
        return error_set(error, INVALID, "the line is no JSON object");
    }
    *out = json_incref(object);
    return OK;
}

enum status helper_request_read(struct text line, json_t **document, struct helper_request *out,
                                struct error *error)
{
    AUTO_JSON json_t *object = NULL;
    struct helper_request read = helper_request_none(HELPER_STATUS);
    TRY(parse_object(line, &object, error));
    TRY(read_request(object, &read, error));
    *out = read;
    *document = json_incref(object);
    return OK;
}

static void set_text(json_t *object, const char *name, struct text text)
{
    if (text.length > 0) {
        (void)json_object_set_new(object, name, json_from_text(text));
    }
}

static void set_count(json_t *object, const char *name, int64_t value)
{
    if (value >= 0) {
        (void)json_object_set_new(object, name, json_integer(value));
    }
}

static void set_number(json_t *object, const char *name, double value)
{
    if (value >= 0) {
        (void)json_object_set_new(object, name, json_real(value));
    }
}

static json_t *worker_document(const struct helper_worker *worker)
{
    json_t *object = json_object();
    set_text(object, "name", worker->name);
    set_number(object, "cpus", worker->cpus);
    set_count(object, "memory_bytes", worker->memory_bytes);
    set_count(object, "gpus", worker->gpus);
    set_text(object, "groups", worker->groups);
    set_count(object, "cache_bytes", worker->cache_bytes);
    set_number(object, "lifetime_seconds", worker->lifetime_seconds);
    set_number(object, "notice_seconds", worker->notice_seconds);
    set_text(object, "sandbox", worker->sandbox);
    set_text(object, "serve", worker->serve);
    if (worker->label_count > 0) {
        json_t *labels = json_array();
        for (size_t i = 0; i < worker->label_count; i++) {
            (void)json_array_append_new(labels, json_from_text(worker->labels[i]));
        }
        (void)json_object_set_new(object, "labels", labels);
    }
    return object;
}

static void write_line(const json_t *object, struct buffer *out)
{
    json_write(object, false, out);
    buffer_append_byte(out, '\n');
}

void helper_request_write(const struct helper_request *request, struct buffer *out)
{
    AUTO_JSON json_t *object =
        json_pack("{s:i, s:s, s:s}", "helper", HELPER_VERSION, "request", VERBS[request->verb],
                  "fingerprint", request->fingerprint.text);
    set_text(object, "account", request->account);
    set_text(object, "directory", request->directory);
    if (request->verb == HELPER_START) {
        set_text(object, "site", request->site);
        set_text(object, "invitation", request->invitation);
        (void)json_object_set_new(object, "worker", worker_document(&request->worker));
    }
    write_line(object, out);
}

// A status by its name; INTERNAL for one that is not known.
static enum status status_of(struct text name)
{
    for (enum status status = INVALID; status < INTERNAL; status++) {
        if (text_equal(name, text_of(status_name(status)))) {
            return status;
        }
    }
    return INTERNAL;
}

// What stands in a problem comes to a terminal, whatever the other side has put in.
static void scrub(char *text)
{
    for (; *text; text++) {
        bool is_control = (unsigned char)*text < ' ' || *text == '\x7f';
        *text = (char)(is_control ? '?' : *text);
    }
}

static enum status read_problem(const json_t *object, struct error *out, struct error *error)
{
    struct text status = TEXT_NONE;
    struct text detail = TEXT("the helper gives no reason");
    struct text fix = TEXT_NONE;
    TRY(json_field_text(object, "status", JSON_REQUIRED, STATUS_TEXT_MAX, &status, error));
    TRY(json_field_text(object, "detail", JSON_OPTIONAL, HELPER_TEXT_MAX, &detail, error));
    TRY(json_field_text(object, "fix", JSON_OPTIONAL, HELPER_TEXT_MAX, &fix, error));
    (void)error_set(out, status_of(status), "%.*s", TEXT_ARGS(detail));
    error_fix(out, "%.*s", TEXT_ARGS(fix));
    scrub(out->detail);
    scrub(out->fix);
    return OK;
}

static bool is_state(struct text state)
{
    for (const char *const *each = STATES; *each; each++) {
        if (text_equal(state, text_of(*each))) {
            return true;
        }
    }
    return false;
}

static enum status read_answer(const json_t *object, struct helper_answer *out, struct error *error)
{
    json_t *problem = NULL;
    struct fingerprint worker = {""};
    TRY(read_version(object, error));
    TRY(read_plain(object, "state", STATUS_TEXT_MAX, &out->state, error));
    TRY(read_plain(object, "host", HELPER_NAME_MAX, &out->host, error));
    TRY(read_plain(object, "account", HELPER_NAME_MAX, &out->account, error));
    TRY(read_plain(object, "name", HELPER_NAME_MAX, &out->name, error));
    TRY(read_plain(object, "directory", HELPER_TEXT_MAX, &out->directory, error));
    TRY(read_fingerprint(object, "worker", JSON_OPTIONAL, &worker, error));
    TRY(json_field_text(object, "worker", JSON_OPTIONAL, FINGERPRINT_SIZE, &out->worker, error));
    TRY(json_field_int64(object, "pid", JSON_OPTIONAL, 0, INT32_MAX, &out->pid, error));
    TRY(json_field_object(object, "problem", JSON_OPTIONAL, &problem, error));
    if (problem) {
        return read_problem(problem, &out->problem, error);
    }
    if (!is_state(out->state)) {
        return error_set(error, INVALID, "the answer has neither a problem nor a known state");
    }
    return OK;
}

enum status helper_answer_read(struct text line, json_t **document, struct helper_answer *out,
                               struct error *error)
{
    AUTO_JSON json_t *object = NULL;
    struct helper_answer read = {.pid = 0};
    TRY(parse_object(line, &object, error));
    TRY(read_answer(object, &read, error));
    *out = read;
    *document = json_incref(object);
    return OK;
}

void helper_answer_write(const struct helper_answer *answer, struct buffer *out)
{
    AUTO_JSON json_t *object = json_pack("{s:i}", "helper", HELPER_VERSION);
    bool is_problem = answer->problem.status != OK;
    set_text(object, "state", is_problem ? TEXT_NONE : answer->state);
    set_text(object, "host", answer->host);
    set_text(object, "account", answer->account);
    set_text(object, "name", answer->name);
    set_text(object, "worker", answer->worker);
    set_text(object, "directory", answer->directory);
    set_count(object, "pid", answer->pid > 0 ? answer->pid : -1);
    if (is_problem) {
        json_t *problem = json_pack("{s:s, s:o}", "status", status_name(answer->problem.status),
                                    "detail", json_from_text(text_of(answer->problem.detail)));
        set_text(problem, "fix", text_of(answer->problem.fix));
        (void)json_object_set_new(object, "problem", problem);
    }
    write_line(object, out);
}
