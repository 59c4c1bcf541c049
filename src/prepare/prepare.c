#include "prepare/prepare.h"

#include "base/memory.h"
#include "prepare/elsewhere.h"
#include "prepare/file_items.h"
#include "prepare/software.h"
#include "records/items.h"
#include "records/jobs_sql.h"

enum {
    DESCRIBED_FILES_MAX = 1000, // A worker is told of so many files of a dataset at most.
    COMMAND_CHARACTERS_MAX = 80,
};

void prepared_done(struct prepared *prepared)
{
    arena_done(&prepared->arena);
    buffer_done(&prepared->description);
    buffer_done(&prepared->command);
    buffer_done(&prepared->spec);
    buffer_done(&prepared->offer);
    buffer_done(&prepared->inputs);
    cache_plan_done(&prepared->plan);
}

static enum status check_files(const struct prepare_site *site, const struct job_spec *spec,
                               struct error *error)
{
    for (size_t i = 0; i < spec->file_count; i++) {
        struct digest digest;
        TRY(digest_from_text(text_of(spec->files[i].digest), &digest, error));
        if (!blob_claim(site->blobs, &digest)) {
            (void)error_set(error, NOT_FOUND, "file \"%s\" names the blob %s, which is not here",
                            spec->files[i].name, spec->files[i].digest);
            error_fix(error, "upload it first with PUT /v1/blobs/{digest}");
            return NOT_FOUND;
        }
    }
    return OK;
}

static void append_field(struct buffer *out, const char *name, struct text value)
{
    buffer_printf(out, "\"%s\":", name);
    buffer_append_json_string(out, value);
}

struct file_list {
    const char *name; // Of the data.
    const char *id;
    struct buffer *out;
    struct buffer *inputs;
    int64_t count;
};

// One input of all tasks of the job: a dataset as a whole (without a path), or one file of it.
static void record_data(const char *name, const char *id, const struct text *path,
                        const struct digest *digest, int64_t size_bytes, struct buffer *inputs)
{
    char text[DIGEST_TEXT_SIZE];
    buffer_append_string(inputs, inputs->length > 1 ? ",{" : "{");
    append_field(inputs, "kind", TEXT("data"));
    buffer_append_byte(inputs, ',');
    append_field(inputs, "name", text_of(name));
    buffer_append_byte(inputs, ',');
    append_field(inputs, "id", text_of(id));
    buffer_append_string(inputs, ",\"path\":");
    if (path) {
        buffer_append_json_string(inputs, *path);
    } else {
        buffer_append_string(inputs, "null");
    }
    buffer_printf(inputs, ",\"digest\":\"%s\",\"size_bytes\":%lld}", digest_to_text(digest, text),
                  (long long)size_bytes);
}

static enum status describe_file(void *visitor, const struct prepare_file *file,
                                 struct error *error)
{
    (void)error;
    struct file_list *list = visitor;
    if (list->count >= DESCRIBED_FILES_MAX) {
        return OK;
    }
    buffer_append_string(list->out, list->count++ > 0 ? ",{" : "{");
    append_field(list->out, "path", file->path);
    buffer_append_byte(list->out, ',');
    append_field(list->out, "source", file->source);
    char digest[DIGEST_TEXT_SIZE];
    buffer_printf(list->out,
                  ",\"size\":%lld,\"modified_us\":%lld,\"inode\":%lld,\"digest\":\"%s\"}",
                  (long long)file->size_bytes, (long long)file->modified_us, (long long)file->inode,
                  digest_to_text(&file->digest, digest));
    record_data(list->name, list->id, &file->path, &file->digest, file->size_bytes, list->inputs);
    return OK;
}

static void describe_roots(const char *name, const struct prepare_dataset *dataset,
                           struct buffer *out)
{
    buffer_append_byte(out, '{');
    append_field(out, "name", text_of(name));
    buffer_append_string(out, ",\"roots\":[");
    for (size_t i = 0; i < dataset->root_count; i++) {
        const struct prepare_root *root = &dataset->roots[i];
        buffer_append_string(out, i > 0 ? ",{" : "{");
        append_field(out, "path", text_of(root->path));
        buffer_append_byte(out, ',');
        append_field(out, "mount", text_of(root->mount));
        buffer_append_byte(out, ',');
        append_field(out, "kind", text_of(root->kind));
        buffer_append_byte(out, '}');
    }
    buffer_printf(out, "],\"file_count\":%lld,\"files\":[", (long long)dataset->file_count);
}

static void note_use(struct prepared *out, const char *id, const struct prepare_look *look)
{
    if (out->is_elsewhere) {
        return; // It is not this site's dataset that it uses.
    }
    for (size_t i = 0; i < out->dataset_count; i++) {
        if (strcmp(out->datasets[i], id) == 0) {
            return;
        }
    }
    out->datasets[out->dataset_count++] = id;
    out->look.state += look->state;
    out->look.is_settled = out->look.is_settled && look->is_settled;
}

static enum status find_dataset(const char *id, struct prepared *out,
                                struct prepare_dataset *dataset, struct error *error)
{
    if (!out->catalog) {
        return error_set(error, NOT_FOUND, "there is no dataset %s here", id);
    }
    TRY(out->catalog->resolve(out->catalog_context, id, &out->arena, dataset, error));
    struct prepare_look look = {0};
    TRY(out->catalog->check(out->catalog_context, id, &look, error));
    note_use(out, dataset->id, &look);
    return OK;
}

// The digest was read before the files: a change that was accepted between the two would have the results of new content under
// the old digest.
static enum status check_still(const char *id, const char *digest, struct prepared *out,
                               struct error *error)
{
    struct prepare_dataset now = {0};
    char text[DIGEST_TEXT_SIZE];
    TRY(out->catalog->resolve(out->catalog_context, id, &out->arena, &now, error));
    if (strcmp(digest_to_text(&now.digest, text), digest) != 0) {
        (void)error_set(error, CONFLICT, "dataset %.200s was changed at this very moment", id);
        error_fix(error, "submit the job again");
        return CONFLICT;
    }
    return OK;
}

// Is it the content that the job is for?
static enum status check_content(const struct spec_data *bound, const char *digest,
                                 struct error *error)
{
    if (!bound->digest || strcmp(bound->digest, digest) == 0) {
        return OK;
    }
    (void)error_set(error, CONFLICT, "dataset %.200s is %s here; the job is for %s", bound->id,
                    digest, bound->digest);
    error_fix(error, "name the digest that is meant, or none to take what is here now");
    return CONFLICT;
}

// One dataset that is bound into the sandbox: looked at, described, recorded, and part of the job's identity.
static enum status add_data(const struct spec_data *bound, bool lists_files, struct prepared *out,
                            struct digest_stream *family, struct buffer *data, struct error *error)
{
    struct prepare_dataset dataset = {0};
    TRY(find_dataset(bound->id, out, &dataset, error));
    const char *digest = digest_to_text(&dataset.digest, arena_new(&out->arena, DIGEST_TEXT_SIZE));
    TRY(check_content(bound, digest, error));
    out->digests[out->digest_count++] = digest;
    buffer_append_string(data, data->length > 0 ? "," : "");
    describe_roots(bound->name, &dataset, data);
    record_data(bound->name, dataset.id, NULL, &dataset.digest, dataset.size_bytes, &out->inputs);
    // Of an index set each task needs one file.
    out->input_bytes += lists_files || dataset.file_count == 0
                            ? dataset.size_bytes
                            : dataset.size_bytes / dataset.file_count;
    if (lists_files) {
        struct file_list list = {
            .name = bound->name, .id = dataset.id, .out = data, .inputs = &out->inputs};
        TRY(out->catalog->each_file(out->catalog_context, bound->id, describe_file, &list, error));
        TRY(check_still(dataset.id, digest, out, error));
        digest_stream_update(family, bound->name, strlen(bound->name) + 1);
        digest_stream_update(family, dataset.digest.bytes, DIGEST_SIZE);
    }
    buffer_append_string(data, "]}");
    for (size_t i = 0; i < sizeof out->row.locality; i++) {
        out->row.locality =
            (int64_t)((uint64_t)out->row.locality * 31 + (uint64_t)dataset.digest.bytes[i]);
    }
    return OK;
}

static enum status add_all_data(const struct job_spec *spec, struct prepared *out,
                                struct digest_stream *family, struct buffer *data,
                                struct error *error)
{
    buffer_append_byte(&out->inputs, '[');
    for (size_t i = 0; i < spec->data_count; i++) {
        TRY(add_data(&spec->data[i], true, out, family, data, error));
    }
    // The files of an index set are looked at one by one, and are the items of the identity.
    if (spec->over) {
        struct spec_data over = {
            .id = spec->over, .name = spec->over_name, .digest = spec->over_digest};
        TRY(add_data(&over, false, out, family, data, error));
    }
    for (size_t i = 0; i < spec->file_count; i++) {
        buffer_append_string(&out->inputs, out->inputs.length > 1 ? ",{" : "{");
        append_field(&out->inputs, "kind", TEXT("file"));
        buffer_append_byte(&out->inputs, ',');
        append_field(&out->inputs, "name", text_of(spec->files[i].name));
        buffer_append_byte(&out->inputs, ',');
        append_field(&out->inputs, "digest", text_of(spec->files[i].digest));
        buffer_append_byte(&out->inputs, '}');
    }
    return OK;
}

// Which of the lines are the job's: those from first_index on, or so many of them.
static enum status take_part(const struct job_spec *spec, struct job_row *row, struct error *error)
{
    int64_t left = row->count - spec->first_index;
    if (left <= 0 || spec->part_count > left) {
        int64_t wanted = spec->part_count > 0 ? spec->part_count : 1;
        (void)error_set(error, INVALID,
                        "tasks from index %lld on are asked for, at least %lld, and the index set "
                        "has %lld in all",
                        (long long)spec->first_index, (long long)wanted, (long long)row->count);
        error_fix(error, "\"first_index\" and \"count\" together must stay within it");
        return INVALID;
    }
    row->count = spec->part_count > 0 ? spec->part_count : left;
    return OK;
}

static enum status count_items(const struct prepare_site *site, struct job_spec *spec,
                               struct prepared *out, int64_t *size, struct error *error)
{
    struct job_row *row = &out->row;
    if (spec->index == SPEC_INDEX_COUNT) {
        row->count = spec->count;
        return OK;
    }
    row->has_items = true;
    if (spec->index == SPEC_INDEX_OVER) {
        row->items_kind = ITEMS_FILES;
        TRY(items_of_dataset(site->blobs, out->catalog, out->catalog_context, spec->over,
                             &row->items, &row->count, size, error));
        TRY(check_still(spec->over, out->digests[spec->data_count], out, error));
    } else {
        row->items_kind = ITEMS_LINES;
        TRY(digest_from_text(text_of(spec->items), &row->items, error));
        (void)blob_claim(site->blobs,
                         &row->items); // One that is not here is refused as it is read.
        TRY(items_count(site->blobs, &row->items, &row->count, size, error));
    }
    if (row->count == 0) {
        (void)error_set(error, INVALID, "the index set is empty: %s",
                        spec->over ? "the dataset has no files" : "the items blob has no lines");
        error_fix(error, "a job needs at least one task");
        return INVALID;
    }
    if (row->count > SPEC_COUNT_MAX) {
        return error_set(error, INVALID, "%lld items; at most %lld are allowed",
                         (long long)row->count, (long long)SPEC_COUNT_MAX);
    }
    TRY(take_part(spec, row, error));
    spec->count = row->count;
    return OK;
}

// The default says nothing of how long a task takes.
static int64_t said_walltime_us(const struct job_spec *spec)
{
    bool is_default = spec->walltime_us == SPEC_WALLTIME_SECONDS_DEFAULT * INT64_C(1000000);
    return is_default ? 0 : spec->walltime_us;
}

bool prepare_says_index(const struct job_spec *spec)
{
    for (size_t i = 0; i < spec->argument_count; i++) {
        if (strstr(spec->command[i], "{index}")) {
            return true;
        }
    }
    return false;
}

// The command's words in one line, cut after COMMAND_CHARACTERS_MAX characters.
static void summarise_command(const struct job_spec *spec, struct buffer *out)
{
    AUTO_BUFFER struct buffer line = {0};
    for (size_t i = 0; i < spec->argument_count; i++) {
        buffer_append_string(&line, i > 0 ? " " : "");
        buffer_append_string(&line, spec->command[i]);
    }
    size_t characters = 0;
    size_t cut = 0;
    size_t end = 0;
    for (; end < line.length && characters <= COMMAND_CHARACTERS_MAX; end++) {
        unsigned char byte = (unsigned char)line.bytes[end];
        line.bytes[end] = byte < ' ' || byte == 0x7f ? ' ' : line.bytes[end];
        if ((byte & 0xc0) != 0x80) { // A character begins.
            characters++;
            cut = characters == COMMAND_CHARACTERS_MAX ? end : cut;
        }
    }
    bool is_cut = characters > COMMAND_CHARACTERS_MAX;
    buffer_append_text(out, text_slice(buffer_text(&line), 0, is_cut ? cut : line.length));
    buffer_append_string(out, is_cut ? "…" : "");
}

static void finish_family(const struct job_spec *spec, struct prepared *out,
                          struct digest_stream *family)
{
    AUTO_BUFFER struct buffer identity = {0};
    spec_write_identity(spec, &identity);
    digest_stream_update(family, identity.bytes, identity.length);
    if (spec->mode == SPEC_STREAM) {
        // Answers are kept in chunks of many items, so the index set as a whole is part of the identity.
        AUTO_BUFFER struct buffer items = {0};
        buffer_printf(&items, "\n%d %lld ", (int)out->row.items_kind, (long long)out->row.count);
        buffer_append(&items, out->row.items.bytes, out->row.has_items ? DIGEST_SIZE : 0);
        digest_stream_update(family, items.bytes, items.length);
    }
    out->row.family = digest_stream_finish(family);
}

static void write_offer(const struct prepare_offer *offer, struct prepared *out)
{
    if (offer->id) {
        buffer_append_byte(&out->offer, '{');
        append_field(&out->offer, "offer", text_of(offer->id));
        buffer_printf(&out->offer, ",\"core_hours\":%.6f,\"bytes\":%lld}", offer->core_hours,
                      (long long)offer->bytes);
        out->row.offer = buffer_text(&out->offer);
    }
}

static enum status describe_job(const struct prepare_site *site, struct job_spec *spec,
                                const struct prepare_options *options, struct prepared *out,
                                struct error *error)
{
    int64_t size = 0;
    AUTO_BUFFER struct buffer data = {0};
    struct digest_stream *family = digest_stream_new();
    enum status status = add_all_data(spec, out, family, &data, error);
    if (status == OK) {
        status = software_prepare(site, spec, out, error);
        buffer_append_byte(&out->inputs, ']');
    }
    if (status == OK) {
        status = count_items(site, spec, out, &size, error);
    }
    if (status != OK) {
        digest_stream_free(family);
        return status;
    }
    finish_family(spec, out, family);
    AUTO_JSON json_t *document = spec_to_json(spec);
    json_write(document, false, &out->spec);
    summarise_command(spec, &out->command);
    out->row.command = buffer_text(&out->command);
    if (out->row.place.length > 0) {
        describe_elsewhere(document, options, out);
        return OK;
    }
    return describe_here(spec, document, buffer_text(&data), size, out, error);
}

static enum status choose_catalog(const struct prepare_site *site, const struct job_spec *spec,
                                  const struct prepare_destination *to, struct prepared *out,
                                  struct error *error)
{
    struct digest fingerprint;
    if (to->place.length > 0 && digest_from_text(to->place, &fingerprint, NULL) != OK) {
        return error_set(error, INVALID, "\"%.*s\" is not the fingerprint of a site",
                         TEXT_ARGS(text_slice(to->place, 0, 80)));
    }
    out->catalog = site->catalog;
    out->catalog_context = site->catalog_context;
    out->row.place = text_of(arena_copy(&out->arena, to->place));
    out->is_elsewhere = to->place.length > 0 || to->data_count > 0;
    if (!out->is_elsewhere) {
        return OK;
    }
    struct elsewhere *elsewhere = arena_new(&out->arena, sizeof *elsewhere);
    *elsewhere = (struct elsewhere){to->data, to->data_count};
    out->catalog = &ELSEWHERE_CATALOG;
    out->catalog_context = elsewhere;
    return spec->over ? elsewhere_check_over(elsewhere, spec->over, error) : OK;
}

enum status prepare_job(const struct prepare_site *site, struct job_spec *spec,
                        const struct prepare_options *options, struct prepared *out,
                        struct error *error)
{
    *out = (struct prepared){.look.is_settled = true};
    out->row = (struct job_row){
        .name = text_of(spec->name),
        .first_index = spec->first_index,
        .gathers = spec->input_count > 0,
        .mode = spec->mode,
        .cache = spec->cache,
        .need = spec->need,
        .retries = spec->retries,
        .walltime_us = said_walltime_us(spec),
        .checkpoint_us = spec->checkpoint.interval_us,
        .is_spare = spec->is_spare,
        .when_lost = spec->when_lost,
        .priority = spec->priority,
        .progress = {.first_failed = -1},
    };
    if (options->origin) {
        out->row.has_origin = true;
        out->row.origin = *options->origin;
    }
    TRY(choose_catalog(site, spec, &options->to, out, error));
    TRY(check_files(site, spec, error));
    write_offer(&options->to.offer, out);
    TRY(describe_job(site, spec, options, out, error));
    if (out->row.gathers || options->is_again) {
        return OK;
    }
    struct job_row asks = out->row;
    asks.owner = options->owner;
    asks.group = spec->group ? text_of(spec->group) : options->owner;
    return cache_look_up(site, &asks, prepare_says_index(spec), &out->look, &out->plan, error);
}

// What the record says of the job's inputs; *is_elsewhere: they are another site's.
static enum status read_inputs(const struct prepare_site *site, int64_t job, json_t **out,
                               bool *is_elsewhere, struct error *error)
{
    struct sql *sql = NULL;
    struct sql_rows *rows = NULL;
    TRY(store_read_begin(site->store, &sql, error));
    enum status status = sql_first(sql, SQL_JOB_INPUTS, SQL_VALUES(sql_int64(job)), &rows, error);
    if (status == OK) {
        *is_elsewhere = sql_column_text(rows, 1).length > 0;
        status = json_parse(sql_column_text(rows, 0), out, error);
    } else if (status == NOT_FOUND) {
        status = job_unknown(job, error);
    }
    sql_end(rows);
    store_read_end(site->store, sql);
    return status;
}

static enum status check_same(const struct prepare_site *site, const char *id, struct text recorded,
                              struct error *error)
{
    struct prepared now = {.catalog = site->catalog, .catalog_context = site->catalog_context};
    struct prepare_dataset dataset = {0};
    char digest[DIGEST_TEXT_SIZE];
    enum status status = find_dataset(id, &now, &dataset, error);
    if (status == OK && !text_equal(text_of(digest_to_text(&dataset.digest, digest)), recorded)) {
        (void)error_set(error, CONFLICT,
                        "dataset %.200s is other data now than when the job was submitted", id);
        error_fix(error, "submit the job again: its results would be others");
        status = CONFLICT;
    }
    prepared_done(&now);
    return status;
}

enum status prepare_retry(const struct prepare_site *site, int64_t job, struct error *error)
{
    AUTO_JSON json_t *inputs = NULL;
    size_t at = 0;
    const json_t *input = NULL;
    bool is_elsewhere = false;
    TRY(read_inputs(site, job, &inputs, &is_elsewhere, error));
    if (is_elsewhere) {
        return OK; // The site that has the data looks at it.
    }
    json_array_foreach(inputs, at, input)
    {
        const char *id = json_string_value(json_object_get(input, "id"));
        // A dataset as a whole has no path; its files, which have one, are part of its digest.
        if (id && json_is_null(json_object_get(input, "path"))) {
            TRY(check_same(site, id, json_text(json_object_get(input, "digest")), error));
        }
    }
    return OK;
}

// What is there to compare with at the end, and when the same is asked for again.
static enum status insert_look(struct sql *sql, const struct prepared *prepared,
                               struct error *error)
{
    if (prepared->dataset_count == 0) {
        return OK;
    }
    const struct prepare_look *look = &prepared->look;
    return sql_run(sql, SQL_INSERT_LOOK,
                   SQL_VALUES(sql_int64(prepared->row.id),
                              look->is_settled ? sql_int64((int64_t)look->state) : sql_null()),
                   NULL, error);
}

enum status prepared_insert_uses(struct sql *sql, const struct prepared *prepared,
                                 struct error *error)
{
    for (size_t i = 0; i < prepared->dataset_count; i++) {
        TRY(sql_run(
            sql, SQL_INSERT_USE,
            SQL_VALUES(sql_int64(prepared->row.id), sql_text(text_of(prepared->datasets[i]))), NULL,
            error));
    }
    return insert_look(sql, prepared, error);
}
