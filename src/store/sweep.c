#include "store/sweep.h"

#include "base/memory.h"

#include <string.h>

enum { FOLDERS = 256, REMOVED_A_TURN = 256 };

enum step { SWEEP_GATHERS, SWEEP_READS, SWEEP_REMOVES };

struct candidate {
    struct digest digest;
    bool is_named;
    bool is_named_for_now;
};

struct sweep {
    struct blobs *blobs;
    struct sweep_ops ops;
    enum step step;
    int folder; // The next one to gather from.
    bool is_full;
    bool is_first;
    int64_t before_us;
    size_t batch_max;
    struct candidate *batch; // In order once it is read for.
    size_t count;
    size_t at;      // The next one to be judged.
    size_t settled; // That will not be gathered again.
    struct sweep_figures figures;
};

struct sweep *sweep_new(struct blobs *blobs, const struct sweep_ops *ops)
{
    struct sweep *sweep = NEW(struct sweep);
    sweep->blobs = blobs;
    sweep->ops = *ops;
    sweep->batch_max = ops->batch_max > 0 ? ops->batch_max : SWEEP_BATCH_MAX;
    sweep->batch = memory_new(sweep->batch_max, sizeof *sweep->batch);
    return sweep;
}

void sweep_free(struct sweep *sweep)
{
    if (sweep) {
        free(sweep->batch);
        free(sweep);
    }
}

static bool gather(void *context, const struct digest *digest)
{
    struct sweep *sweep = context;
    sweep->is_full = sweep->count == sweep->batch_max;
    if (!sweep->is_full) {
        sweep->batch[sweep->count++] = (struct candidate){.digest = *digest};
    }
    return !sweep->is_full;
}

static int compare(const void *a, const void *b)
{
    const struct candidate *first = a;
    const struct candidate *second = b;
    return memcmp(first->digest.bytes, second->digest.bytes, DIGEST_SIZE);
}

static void begin_batch(struct sweep *sweep)
{
    sweep->count = 0;
    sweep->at = 0;
    sweep->settled = 0;
    sweep->is_full = false;
    sweep->before_us = blobs_now_us(sweep->blobs) - BLOB_UNCLAIMED_US;
}

// One folder a turn. What the batch has no room for comes with the next one.
static enum status gather_turn(struct sweep *sweep, bool *is_over, struct error *error)
{
    if (sweep->count == 0) {
        begin_batch(sweep);
    }
    enum status status = blobs_each_unclaimed(sweep->blobs, (unsigned char)sweep->folder,
                                              sweep->before_us, gather, sweep, error);
    sweep->folder += !sweep->is_full;
    if (sweep->is_full || sweep->folder == FOLDERS) {
        qsort(sweep->batch, sweep->count, sizeof *sweep->batch, compare);
        sweep->step = sweep->count > 0 ? SWEEP_READS : SWEEP_GATHERS;
        sweep->is_first = true;
        *is_over = sweep->count == 0;
    }
    return status;
}

static enum status read_turn(struct sweep *sweep, struct error *error)
{
    bool is_over = false;
    bool is_first = sweep->is_first;
    sweep->is_first = false;
    enum status status =
        sweep->ops.read_names(sweep->ops.context, sweep, is_first, &is_over, error);
    if (status != OK) {
        sweep->at = sweep->count; // Of these nothing is known.
    }
    sweep->step = is_over || status != OK ? SWEEP_REMOVES : SWEEP_READS;
    return status;
}

static void judge(struct sweep *sweep, const struct candidate *candidate)
{
    int64_t bytes = 0;
    if (candidate->is_named) {
        sweep->settled += blob_keep(sweep->blobs, &candidate->digest);
    } else if (!candidate->is_named_for_now &&
               blob_remove_unclaimed(sweep->blobs, &candidate->digest, sweep->before_us, &bytes)) {
        sweep->figures.removed++;
        sweep->figures.removed_bytes += bytes;
        sweep->settled++;
    }
}

static void remove_turn(struct sweep *sweep, bool *is_over)
{
    for (int i = 0; i < REMOVED_A_TURN && sweep->at < sweep->count; i++) {
        judge(sweep, &sweep->batch[sweep->at++]);
    }
    if (sweep->at == sweep->count) {
        // What stays would come first again.
        sweep->folder += sweep->is_full && sweep->settled <= sweep->count / 2;
        sweep->step = SWEEP_GATHERS;
        sweep->count = 0;
        *is_over = sweep->folder == FOLDERS;
    }
}

enum status sweep_turn(struct sweep *sweep, bool *is_over, struct error *error)
{
    enum status status = OK;
    *is_over = false;
    sweep->folder = sweep->folder == FOLDERS && sweep->step == SWEEP_GATHERS ? 0 : sweep->folder;
    switch (sweep->step) {
    case SWEEP_GATHERS:
        status = gather_turn(sweep, is_over, error);
        break;
    case SWEEP_READS:
        status = read_turn(sweep, error);
        break;
    case SWEEP_REMOVES:
        remove_turn(sweep, is_over);
        break;
    }
    return status;
}

struct sweep_figures sweep_figures(const struct sweep *sweep)
{
    return sweep->figures;
}

static void note(struct sweep *sweep, enum blob_name name, const struct digest *digest)
{
    const struct candidate key = {.digest = *digest};
    struct candidate *found =
        bsearch(&key, sweep->batch, sweep->count, sizeof *sweep->batch, compare);
    if (found) {
        found->is_named = found->is_named || name == BLOB_NAMED;
        found->is_named_for_now = true;
    }
}

void sweep_name(struct sweep *sweep, enum blob_name name, struct text digest)
{
    struct digest read;
    if (digest.length == DIGEST_SIZE) {
        memcpy(read.bytes, digest.bytes, DIGEST_SIZE);
        note(sweep, name, &read);
    }
}

void sweep_names(struct sweep *sweep, enum blob_name name, struct text text)
{
    struct digest digest;
    while (digest_next(&text, &digest)) {
        note(sweep, name, &digest);
    }
}
