// What a job requires of workers beside room: labels and graphics processors, as its document says, and whether workers have them.
#include "jobs/spec_fields.h"
#include "jobs/state.h"

#include "base/memory.h"

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

enum status label_check(struct text label, struct error *error)
{
    size_t length = text_find_byte(label, 0, '=');
    bool is_good = length > 0 && label.length <= SPEC_LABEL_SIZE_MAX && text_is_utf8(label) &&
                   !text_has_control(label) && !text_contains_byte(label, '\0');
    for (size_t i = 0; i < length && is_good; i++) {
        is_good = is_name_byte(label.bytes[i]);
    }
    if (is_good) {
        return OK;
    }
    (void)error_set(error, INVALID, "\"%.*s\" is no label", TEXT_ARGS(text_slice(label, 0, 80)));
    error_fix(error,
              "write NAME or NAME=VALUE, of at most %d bytes, the name in letters, digits, "
              "dots, underscores and hyphens",
              SPEC_LABEL_SIZE_MAX);
    return INVALID;
}

bool label_fits(const char *label, const char *required)
{
    size_t length = strlen(required);
    return strncmp(label, required, length) == 0 &&
           (label[length] == '\0' || (label[length] == '=' && !strchr(required, '=')));
}

enum status spec_read_labels(struct job_spec *spec, const json_t *document, struct error *error)
{
    json_t *array = NULL;
    TRY(json_field_int64(document, "gpus", JSON_OPTIONAL, 0, SPEC_GPUS_MAX, &spec->need.gpus,
                         error));
    TRY(json_field_array(document, "require", JSON_OPTIONAL, SPEC_LABELS_MAX, &array, error));
    size_t count = json_array_size(array);
    spec->labels = arena_new(&spec->arena, (count + 1) * sizeof *spec->labels);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_string(value)) {
            return error_set(error, INVALID, "field \"require\" must hold strings only");
        }
        TRY(label_check(json_text(value), error));
        spec->labels[spec->label_count++] = arena_copy(&spec->arena, json_text(value));
    }
    return OK;
}

bool worker_has_label(const struct worker_state *worker, const char *required)
{
    for (size_t i = 0; i < worker->label_count; i++) {
        if (label_fits(worker->labels[i], required)) {
            return true;
        }
    }
    return false;
}

bool worker_has_labels(const struct worker_state *worker, const struct job_state *job)
{
    for (size_t i = 0; i < job->label_count; i++) {
        if (!worker_has_label(worker, job->labels[i])) {
            return false;
        }
    }
    return true;
}

void worker_refresh_labels(const struct scheduler *scheduler, struct worker_state *worker)
{
    worker->capacity.labels = LABEL_UNNUMBERED | (worker->is_spare ? 0 : LABEL_NOT_SPARE);
    for (size_t i = 0; i < LABEL_BITS; i++) {
        const char *label = scheduler->labels[i].text;
        if (label && worker_has_label(worker, label)) {
            worker->capacity.labels |= UINT64_C(1) << i;
        }
    }
}

// The bit of a required label, which gets one when it has none; LABEL_UNNUMBERED when all are in use.
static uint64_t take_bit(struct scheduler *scheduler, const char *label)
{
    struct label_bit *free_bit = NULL;
    for (size_t i = 0; i < LABEL_BITS; i++) {
        struct label_bit *bit = &scheduler->labels[i];
        if (bit->text && strcmp(bit->text, label) == 0) {
            bit->uses++;
            return UINT64_C(1) << i;
        }
        free_bit = !bit->text && !free_bit ? bit : free_bit;
    }
    if (!free_bit) {
        return LABEL_UNNUMBERED;
    }
    free_bit->text = memory_copy_string(label);
    free_bit->uses = 1;
    size_t at = 0;
    for (struct worker_state *worker; (worker = map_next(scheduler->workers, &at)) != NULL;) {
        worker_refresh_labels(scheduler, worker);
    }
    return UINT64_C(1) << (free_bit - scheduler->labels);
}

// Is it one of those before it? One that is said twice is required once.
static bool is_repeated(const struct job_plan *plan, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(plan->labels[i], plan->labels[at]) == 0) {
            return true;
        }
    }
    return false;
}

void job_take_labels(struct scheduler *scheduler, struct job_state *job)
{
    const struct job_plan *plan = &job->plan;
    job->labels = memory_new(plan->label_count + 1, sizeof(char *));
    job->plan.need.labels = plan->is_spare ? 0 : LABEL_NOT_SPARE;
    for (size_t i = 0; i < plan->label_count; i++) {
        if (is_repeated(plan, i)) {
            continue;
        }
        job->labels[job->label_count++] = memory_copy_string(plan->labels[i]);
        job->plan.need.labels |= take_bit(scheduler, plan->labels[i]);
    }
    job->plan.labels = NULL; // They were the caller's.
}

void job_free_labels(struct scheduler *scheduler, struct job_state *job)
{
    for (size_t i = 0; i < LABEL_BITS; i++) {
        struct label_bit *bit = &scheduler->labels[i];
        if ((job->plan.need.labels >> i & 1) != 0 && --bit->uses == 0) {
            free(TAKE(bit->text));
        }
    }
    for (size_t i = 0; i < job->label_count; i++) {
        free(job->labels[i]);
    }
    free(job->labels);
}

void worker_free_labels(struct worker_state *worker)
{
    for (size_t i = 0; i < worker->label_count; i++) {
        free(worker->labels[i]);
    }
    free(worker->labels);
    worker->labels = NULL;
    worker->label_count = 0;
}

void scheduler_set_worker_labels(struct scheduler *scheduler, int64_t id, const char *const *labels,
                                 size_t count)
{
    struct worker_state *worker = map_find_int64(scheduler->workers, id);
    if (!worker) {
        return;
    }
    worker_free_labels(worker);
    worker->labels = memory_new(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        worker->labels[worker->label_count++] = memory_copy_string(labels[i]);
    }
    worker_refresh_labels(scheduler, worker);
}
