// Results on their way home: first the blobs that they name, then, in a poll, they themselves, until home has acknowledged them.
#include "link/state.h"

#include "base/memory.h"

#include <inttypes.h>

enum { FAULT_DETAIL_MAX = 500, LOG_SIZE_LEAST = 64 << 20 };

static void append(struct parcels *parcels, struct parcel *parcel)
{
    parcel->next = NULL;
    *(parcels->last ? &parcels->last->next : &parcels->first) = parcel;
    parcels->last = parcel;
    parcels->count++;
    parcels->bytes += parcel->text.length;
}

static void take_out(struct parcels *parcels, struct parcel *parcel)
{
    struct parcel *before = NULL;
    struct parcel **at = &parcels->first;
    while (*at != parcel) {
        before = *at;
        at = &before->next;
    }
    *at = parcel->next;
    parcels->last = parcels->last == parcel ? before : parcels->last;
    parcels->count--;
    parcels->bytes -= parcel->text.length;
}

static void free_parcel(struct parcel *parcel)
{
    buffer_done(&parcel->text);
    arena_done(&parcel->arena);
    free(parcel);
}

void parcels_free(struct parcels *parcels)
{
    while (parcels->first) {
        struct parcel *parcel = parcels->first;
        take_out(parcels, parcel);
        free_parcel(parcel);
    }
}

static struct parcel *new_parcel(struct submission *submission, struct carried *lease, int64_t from,
                                 int64_t to)
{
    struct parcel *parcel = NEW(struct parcel);
    parcel->place = submission->place;
    parcel->job = lease->job;
    parcel->submission = submission;
    parcel->lease = lease->id;
    parcel->from = from;
    parcel->to = to;
    parcel->first = submission->from;
    (void)ranges_add(&lease->told, from, to);
    return parcel;
}

// All its tasks are reported as faults, for the reason in `detail`.
static void write_faults(struct parcel *parcel, int outcome, const char *detail)
{
    struct wire_result fault = {.numbers = {outcome}};
    fault.detail = text_slice(text_of(detail), 0, FAULT_DETAIL_MAX);
    buffer_clear(&parcel->text);
    parcel->is_piece = false;
    parcel->is_failure = true;
    for (int64_t index = parcel->from; index < parcel->to; index++) {
        buffer_append_string(&parcel->text, index > parcel->from ? "," : "");
        wire_write_result(&fault, index, &parcel->text);
        fault.detail = TEXT("as the one before");
    }
}

static void settle(struct parcel *parcel)
{
    struct place *place = parcel->place;
    if (parcel->copies > 0) {
        return;
    }
    take_out(&place->copying, parcel);
    if (parcel->text.length == 0) {
        if (parcel->is_piece) {
            wire_write_piece(&parcel->piece, 0, &parcel->piece.answers, &parcel->text);
        } else {
            wire_write_result(&parcel->result, parcel->from, &parcel->text);
        }
    }
    append(&place->ready, parcel);
}

static void fail_parcel(struct parcel *parcel, const char *detail)
{
    struct place *place = parcel->place;
    copies_forget(place->link, parcel);
    parcel->copies = 0;
    place->copying.bytes -= parcel->text.length;
    write_faults(parcel, WIRE_OUTCOME_WORKER, detail);
    place->copying.bytes += parcel->text.length;
    settle(parcel);
}

static void on_copied(void *context, enum status status, const struct error *error,
                      const struct wire_blob *blob)
{
    struct parcel *parcel = context;
    (void)blob;
    parcel->copies--;
    if (status != OK) {
        AUTO_FREE char *detail = memory_format("what it wrote at site %s did not get here: %s",
                                               parcel->place->known.name, error->detail);
        fail_parcel(parcel, detail);
        return;
    }
    settle(parcel);
}

static void on_answers(void *context, enum status status, const struct error *error,
                       const struct wire_blob *blob)
{
    struct parcel *parcel = context;
    if (status == OK) {
        parcel->piece.answers = *blob;
    }
    on_copied(context, status, error, blob);
}

static void fetch(struct parcel *parcel, const struct wire_blob *blob, int64_t size_max)
{
    const struct copy_order order = {
        .place = parcel->place,
        .is_homeward = true,
        .owner = parcel->submission->owner,
        .digest = blob->digest,
        .size = blob->size,
        .size_max = size_max,
        .done = on_copied,
        .context = parcel,
    };
    parcel->copies++;
    copy_start(parcel->place->link, &order);
}

static void fetch_stream(struct parcel *parcel, const struct wire_stream *stream, int64_t size_max)
{
    if (stream->is_blob) {
        fetch(parcel, &stream->blob, size_max);
    }
}

static struct wire_stream keep_stream(struct arena *arena, const struct wire_stream *stream)
{
    struct wire_stream kept = *stream;
    kept.base64 = (struct text){arena_copy(arena, stream->base64), stream->base64.length};
    return kept;
}

static void keep_result(struct parcel *parcel, const struct wire_result *result)
{
    struct arena *arena = &parcel->arena;
    parcel->result = *result;
    parcel->result.streams[0] = keep_stream(arena, &result->streams[0]);
    parcel->result.streams[1] = keep_stream(arena, &result->streams[1]);
    parcel->result.detail = (struct text){arena_copy(arena, result->detail), result->detail.length};
    parcel->result.outputs = arena_new(arena, (result->output_count + 1) * sizeof *result->outputs);
    for (size_t i = 0; i < result->output_count; i++) {
        struct wire_output *output = &parcel->result.outputs[i];
        *output = result->outputs[i];
        output->path = (struct text){arena_copy(arena, output->path), output->path.length};
    }
}

static int64_t size_max_of(const struct placed_job *job)
{
    return job->disk_bytes > LOG_SIZE_LEAST ? job->disk_bytes : LOG_SIZE_LEAST;
}

// More than its limits allow is not what the job was asked for, and fills the disk at home.
static bool is_within_limits(const struct placed_job *job, const struct wire_result *result)
{
    int64_t left = size_max_of(job);
    for (size_t i = 0; i < result->output_count; i++) {
        left -= result->outputs[i].blob.size < left ? result->outputs[i].blob.size : left + 1;
        if (left < 0) {
            return false;
        }
    }
    return true;
}

void parcel_take_result(struct submission *submission, const struct wire_result *result)
{
    struct place *place = submission->place;
    int64_t index = submission->from + result->index;
    struct carried *lease = lease_of(place, submission->home_job, index);
    if (!lease || submission_of(place, submission->home_job, index) != submission) {
        return; // Home has it already, or wants another one.
    }
    struct parcel *parcel = new_parcel(submission, lease, index, index + 1);
    keep_result(parcel, result);
    parcel->is_failure = result->numbers[0] != 0 || result->numbers[1] != 0;
    append(&place->copying, parcel);
    if (!is_within_limits(lease->job, result)) {
        fail_parcel(parcel, "the other site says that it wrote more than it may");
        return;
    }
    parcel->copies = 1; // It is not settled before all of them have begun.
    for (size_t i = 0; i < 2; i++) {
        fetch_stream(parcel, &parcel->result.streams[i], size_max_of(lease->job));
    }
    for (size_t i = 0; i < result->output_count; i++) {
        fetch(parcel, &parcel->result.outputs[i].blob, size_max_of(lease->job));
    }
    parcel->copies--;
    settle(parcel);
}

// The part [from, to) of the piece, in indices of home.
static void take_part(struct submission *submission, struct carried *lease,
                      const struct wire_piece *piece, int64_t from, int64_t to)
{
    struct place *place = submission->place;
    int64_t piece_from = submission->from + piece->from;
    int64_t piece_to = submission->from + piece->to;
    struct parcel *parcel = new_parcel(submission, lease, from, to);
    parcel->is_piece = true;
    parcel->piece = *piece;
    parcel->piece.from = from;
    parcel->piece.to = to;
    parcel->piece.errors = keep_stream(&parcel->arena, &piece->errors);
    append(&place->copying, parcel);
    parcel->copies = 2;
    fetch_stream(parcel, &parcel->piece.errors, size_max_of(lease->job));
    const struct copy_order order = {
        .place = place,
        .is_homeward = true,
        .owner = submission->owner,
        .digest = piece->answers.digest,
        .size = piece->answers.size,
        .size_max = WIRE_BLOB_MAX,
        .is_cut = piece->is_part || piece->skip > 0 || from != piece_from || to != piece_to,
        .cut_skip = piece->skip + from - piece_from,
        .cut_count = to - from,
        .done = on_answers,
        .context = parcel,
    };
    copy_start(place->link, &order);
    parcel->copies--;
    settle(parcel);
}

void parcel_take_piece(struct submission *submission, const struct wire_piece *piece)
{
    struct place *place = submission->place;
    struct range owed;
    int64_t end = submission->from + piece->to;
    int64_t at = submission->from + piece->from;
    struct carried *lease = NULL;
    while (at < end && (lease = lease_owed(place, submission, at, &owed)) && owed.from < end) {
        int64_t to = owed.to < end ? owed.to : end;
        take_part(submission, lease, piece, owed.from, to);
        at = to;
    }
}

void parcel_take_fault(struct submission *submission, int64_t index, int outcome,
                       const char *detail)
{
    struct place *place = submission->place;
    int64_t at = submission->from + index;
    struct carried *lease = lease_of(place, submission->home_job, at);
    if (!lease) {
        return;
    }
    struct parcel *parcel = new_parcel(submission, lease, at, at + 1);
    write_faults(parcel, outcome, detail);
    append(&place->ready, parcel);
}

static void write_entry(const struct parcel *parcel, const struct parcel *before,
                        struct buffer *out)
{
    bool goes_on =
        before && !before->is_piece && !parcel->is_piece && before->lease == parcel->lease;
    if (goes_on) {
        buffer_append_byte(out, ',');
        buffer_append_text(out, buffer_text(&parcel->text));
        return;
    }
    buffer_append_string(out, !before ? "" : before->is_piece ? "}," : "]},");
    buffer_printf(out, "{\"lease\":%" PRId64 ",\"job\":%" PRId64 ",\"%s\":%s", parcel->lease,
                  parcel->job->id, parcel->is_piece ? "stream" : "tasks",
                  parcel->is_piece ? "" : "[");
    buffer_append_text(out, buffer_text(&parcel->text));
}

void parcels_write(struct place *place, struct buffer *out)
{
    const struct parcel *before = NULL;
    size_t begin = out->length;
    buffer_append_string(out, ",\"results\":[");
    for (int i = 0;
         place->ready.first && i < REPORT_ENTRIES_MAX && out->length - begin < REPORT_BYTES_MAX;
         i++) {
        struct parcel *parcel = place->ready.first;
        take_out(&place->ready, parcel);
        write_entry(parcel, before, out);
        append(&place->sent, parcel);
        before = parcel;
    }
    buffer_append_string(out, !before ? "]" : before->is_piece ? "}]" : "]}]");
}

void parcels_settle(struct place *place)
{
    while (place->sent.first) {
        struct parcel *parcel = place->sent.first;
        struct carried *lease = lease_find(place, parcel->lease);
        take_out(&place->sent, parcel);
        if (lease) {
            (void)ranges_add(&lease->reported, parcel->from, parcel->to);
        }
        if (parcel->submission) {
            (void)ranges_add(&parcel->submission->reported, parcel->from, parcel->to);
        }
        for (int64_t index = parcel->from;
             parcel->submission && parcel->is_failure && index < parcel->to; index++) {
            intent_note_failure(parcel->submission, index);
        }
        free_parcel(parcel);
    }
}

void parcels_unsend(struct place *place)
{
    struct parcels later = place->ready;
    place->ready = place->sent;
    place->sent = (struct parcels){0};
    while (later.first) {
        struct parcel *parcel = later.first;
        take_out(&later, parcel);
        append(&place->ready, parcel);
    }
}

void parcels_refuse(struct place *place, const char *detail)
{
    for (struct parcel *parcel = place->sent.first; parcel; parcel = parcel->next) {
        place->sent.bytes -= parcel->text.length;
        write_faults(parcel, WIRE_OUTCOME_WORKER, detail);
        place->sent.bytes += parcel->text.length;
    }
    parcels_unsend(place);
}

static void forget(struct parcels *parcels, struct link *link, const struct submission *submission,
                   int64_t lease)
{
    struct parcel *next = NULL;
    for (struct parcel *parcel = parcels->first; parcel; parcel = next) {
        next = parcel->next;
        if (parcel->lease == lease || (submission && parcel->submission == submission)) {
            copies_forget(link, parcel);
            take_out(parcels, parcel);
            free_parcel(parcel);
        }
    }
}

void parcels_forget(struct place *place, const struct submission *submission, int64_t lease)
{
    forget(&place->copying, place->link, submission, lease);
    forget(&place->ready, place->link, submission, lease);
    // What is under way may arrive: only whose it was is forgotten.
    for (struct parcel *parcel = place->sent.first; parcel; parcel = parcel->next) {
        if (submission && parcel->submission == submission) {
            parcel->submission = NULL;
        }
    }
}
