// What jobs require of workers beside room, and what workers have of it: labels and graphics processors.
#include "queue/state.h"

#include "base/memory.h"
#include "records/jobs_sql.h"

enum status match_insert(struct sql *sql, int64_t job, const struct job_spec *spec,
                         int64_t input_bytes, struct error *error)
{
    AUTO_BUFFER struct buffer labels = {0};
    if (spec->label_count == 0 && spec->need.gpus == 0 && input_bytes == 0) {
        return OK;
    }
    buffer_append_string(&labels, "");
    for (size_t i = 0; i < spec->label_count; i++) {
        buffer_printf(&labels, "%s%s", i > 0 ? "\n" : "", spec->labels[i]);
    }
    return sql_run(sql, SQL_INSERT_MATCH,
                   SQL_VALUES(sql_int64(job), sql_int64(spec->need.gpus),
                              sql_text(buffer_text(&labels)), sql_int64(input_bytes)),
                   NULL, error);
}

enum status match_read(struct sql *sql, int64_t job, struct arena *arena, struct job_plan *plan,
                       struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_MATCH_OF, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == NOT_FOUND) {
        return OK;
    }
    TRY(status);
    const char **labels = arena_new(arena, SPEC_LABELS_MAX * sizeof *labels);
    struct text rest = sql_column_text(rows, 1);
    plan->need.gpus = sql_column_int64(rows, 0);
    plan->input_bytes = sql_column_int64(rows, 2);
    for (struct text label;
         plan->label_count < SPEC_LABELS_MAX && text_next_part(&rest, '\n', &label);) {
        labels[plan->label_count++] = arena_copy(arena, label);
    }
    plan->labels = labels;
    return OK;
}

void worker_take_labels(struct worker *worker, const struct worker_hello *hello)
{
    worker->capacity.gpus = hello->gpus;
    worker->labels = memory_new(hello->label_count + 1, sizeof(char *));
    for (size_t i = 0; i < hello->label_count; i++) {
        worker->labels[worker->label_count++] = memory_copy_string(hello->labels[i]);
    }
}

void worker_tell_labels(const struct queue *queue, const struct worker *worker)
{
    scheduler_set_worker_labels(queue->scheduler, worker->id, (const char *const *)worker->labels,
                                worker->label_count);
    if (worker->sees_files) {
        scheduler_set_worker_sees_inputs(queue->scheduler, worker->id);
    }
}

void worker_drop_labels(struct worker *worker)
{
    for (size_t i = 0; i < worker->label_count; i++) {
        free(worker->labels[i]);
    }
    free(worker->labels);
}

void worker_write_labels(const struct worker *worker, struct buffer *out)
{
    buffer_printf(out, ",\"gpus\":%lld,\"labels\":[", (long long)worker->capacity.gpus);
    for (size_t i = 0; i < worker->label_count; i++) {
        buffer_append_string(out, i > 0 ? "," : "");
        buffer_append_json_string(out, text_of(worker->labels[i]));
    }
    buffer_append_byte(out, ']');
}
