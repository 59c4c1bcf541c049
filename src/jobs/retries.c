#include "jobs/retries.h"

#include "base/memory.h"

static const char *const NAMES[CAUSE_COUNT] = {"fail", "limit", "lost", "input", "worker"};
static const char FIX[] =
    "give a number, or numbers by cause: fail, limit, lost, input and worker, each 0 to 100";

const char *cause_name(enum task_cause cause)
{
    return (unsigned)cause < CAUSE_COUNT ? NAMES[cause] : "unknown";
}

bool cause_from_text(struct text text, enum task_cause *out)
{
    for (int i = 0; i < CAUSE_COUNT; i++) {
        if (text_equal(text, text_of(NAMES[i]))) {
            *out = (enum task_cause)i;
            return true;
        }
    }
    return false;
}

struct retries retries_default(void)
{
    return (struct retries){
        .times = {[CAUSE_LOST] = RETRIES_BLAMED, [CAUSE_WORKER] = RETRIES_BLAMED}};
}

static enum status read_times(const json_t *value, const char *what, int64_t *out,
                              struct error *error)
{
    int64_t times = json_integer_value(value);
    if (!json_is_integer(value) || times < 0 || times > RETRIES_MAX) {
        (void)error_set(error, INVALID, "field \"retries\" must be a number from 0 to %d%s%s",
                        (int)RETRIES_MAX, *what ? " for the cause " : "", what);
        error_fix(error, "%s", FIX);
        return INVALID;
    }
    *out = times;
    return OK;
}

static enum status refuse_cause(struct text name, struct error *error)
{
    (void)error_set(error, INVALID, "field \"retries\" names \"%.*s\", which is not a cause",
                    TEXT_ARGS(text_slice(name, 0, 80)));
    error_fix(error, "%s", FIX);
    return INVALID;
}

enum status retries_parse(const json_t *value, struct retries *out, struct error *error)
{
    struct retries retries = retries_default();
    if (json_is_object(value)) {
        for (void *at = json_object_iter((json_t *)(uintptr_t)value); at;
             at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
            enum task_cause cause = CAUSE_FAIL;
            struct text name = text_of(json_object_iter_key(at));
            if (!cause_from_text(name, &cause)) {
                return refuse_cause(name, error);
            }
            TRY(read_times(json_object_iter_value(at), NAMES[cause], &retries.times[cause], error));
        }
    } else if (value && !json_is_null(value)) {
        TRY(read_times(value, "", &retries.times[CAUSE_FAIL], error));
    }
    *out = retries;
    return OK;
}

json_t *retries_to_json(const struct retries *retries)
{
    struct retries usual = retries_default();
    json_t *object = json_object();
    for (int i = 0; i < CAUSE_COUNT; i++) {
        if (i == CAUSE_FAIL || retries->times[i] != usual.times[i]) {
            (void)json_object_set_new(object, NAMES[i], json_integer(retries->times[i]));
        }
    }
    if (json_object_size(object) > 1) {
        return object;
    }
    json_decref(object);
    return json_integer(retries->times[CAUSE_FAIL]);
}

// Adds "limit=1" to the object.
static enum status add_part(struct text part, json_t *object, struct error *error)
{
    size_t equals = text_find_byte(part, 0, '=');
    int64_t times = 0;
    if (!text_to_int64(text_slice(part, equals + 1, part.length), &times)) {
        (void)error_set(error, INVALID, "\"%.*s\" does not say how often a task is run again",
                        TEXT_ARGS(text_slice(part, 0, 80)));
        error_fix(error, "write 3, or fail=2,limit=1,lost=5,input=0,worker=2");
        return INVALID;
    }
    AUTO_FREE char *name = text_copy(text_slice(part, 0, equals));
    (void)json_object_set_new(object, name, json_integer(times));
    return OK;
}

enum status retries_from_text(struct text text, json_t **out, struct error *error)
{
    int64_t times = 0;
    struct text rest = text;
    struct text part;
    struct retries retries;
    AUTO_JSON json_t *value = NULL;
    if (text_to_int64(text, &times)) {
        value = json_integer(times);
    } else {
        value = json_object();
        while (text_next_part(&rest, ',', &part)) {
            TRY(add_part(part, value, error));
        }
    }
    TRY(retries_parse(value, &retries, error));
    *out = json_incref(value);
    return OK;
}
