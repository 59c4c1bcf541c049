#include "ledger/batch.h"

#include "ledger/chain.h"

// A batch under way.
struct reading {
    const struct batch_source *source;
    struct ledger_position from; // What the receiver has of the epoch that the head tells of.
    struct batch batch;
    struct text entries;
    struct digest chain; // Up to the last fresh entry.
    int64_t last;        // Its serial of the last entry; 0: none yet.
};

// Refuses, naming the entry.
static enum status refuse(const struct reading *reading, int64_t serial, const char *problem,
                          struct error *error)
{
    return error_set(error, CORRUPT, "log of site %s, epoch %lld, serial %lld: %s",
                     reading->source->site.text, (long long)reading->batch.end.epoch,
                     (long long)serial, problem);
}

bool batch_next_line(struct text *rest, struct text *line)
{
    if (rest->length == 0) {
        return false;
    }
    size_t end = text_find_byte(*rest, 0, '\n');
    *line = (struct text){rest->bytes, end};
    size_t step = end < rest->length ? end + 1 : end;
    *rest = (struct text){rest->bytes + step, rest->length - step};
    return true;
}

static enum status read_head(struct reading *reading, struct text line, struct error *error)
{
    AUTO_JSON json_t *statement = NULL;
    struct error wrong = {0};
    struct batch *batch = &reading->batch;
    const char *site = reading->source->site.text;
    if (line.length > LEDGER_HEAD_SIZE_MAX || json_parse(line, &statement, &wrong) != OK) {
        return error_set(error, CORRUPT, "log of site %s: a batch begins with no head: %.200s",
                         site, wrong.detail[0] ? wrong.detail : "the line is too long");
    }
    if (statement_verify(statement, "head", &reading->source->key, &wrong) != OK ||
        ledger_head_read(statement, &batch->end, &wrong) != OK) {
        return error_set(error, CORRUPT, "log of site %s: %.400s", site, wrong.detail);
    }
    batch->head = line;
    return OK;
}

// Where the batch is to begin: a later epoch is a new log.
static enum status find_begin(struct reading *reading, const struct ledger_position *have,
                              struct error *error)
{
    const struct ledger_position *end = &reading->batch.end;
    if (end->epoch < have->epoch) {
        char problem[100];
        (void)snprintf(problem, sizeof problem,
                       "epoch %lld was seen before: an old log is played again",
                       (long long)have->epoch);
        return refuse(reading, end->serial, problem, error);
    }
    reading->from = *have;
    if (end->epoch > have->epoch) {
        reading->from = (struct ledger_position){.epoch = end->epoch};
    }
    reading->chain = reading->from.head;
    return OK;
}

static enum status check_place(const struct reading *reading, const struct entry *entry,
                               struct error *error)
{
    char problem[120];
    int64_t expected = reading->last + 1;
    if (!text_equal(entry_raw_text(entry, MEMBER_SITE), text_of(reading->source->site.text))) {
        return refuse(reading, entry->serial, "the entry is of another site", error);
    }
    if (entry->epoch != reading->batch.end.epoch) {
        (void)snprintf(problem, sizeof problem, "the entry is of epoch %lld",
                       (long long)entry->epoch);
        return refuse(reading, entry->serial, problem, error);
    }
    if (entry->serial < 1 || (reading->last > 0 && entry->serial != expected) ||
        entry->serial > reading->batch.end.serial) {
        (void)snprintf(problem, sizeof problem,
                       "the entry is not the next one, %lld, or beyond the signed head",
                       (long long)expected);
        return refuse(reading, entry->serial, problem, error);
    }
    if (reading->batch.count == LEDGER_BATCH_ENTRIES_MAX) {
        return refuse(reading, entry->serial, "the batch has too many entries", error);
    }
    return OK;
}

static enum status read_entry(struct reading *reading, const struct entry *entry,
                              struct error *error)
{
    TRY(check_place(reading, entry, error));
    if (reading->last == 0 && entry->serial > reading->from.serial + 1) {
        return error_set(error, CONFLICT,
                         "log of site %s, epoch %lld: it is here up to serial %lld, and goes on at "
                         "%lld",
                         reading->source->site.text, (long long)entry->epoch,
                         (long long)reading->from.serial, (long long)entry->serial);
    }
    if (reading->last == 0) {
        reading->batch.first = entry->serial;
    }
    if (entry->serial > reading->from.serial) {
        reading->chain = chain_next(&reading->chain, entry->line);
    }
    reading->last = entry->serial;
    reading->batch.count++;
    return OK;
}

// Reads entries up to the next head, or the end.
static enum status read_entries(struct reading *reading, struct text *rest, struct error *error)
{
    struct text line;
    struct text begin = *rest;
    struct text next = *rest;
    while (batch_next_line(&next, &line)) {
        struct entry entry;
        struct error wrong = {0};
        if (entry_scan(line, &entry, &wrong) != OK) {
            char problem[400];
            (void)snprintf(problem, sizeof problem, "%.380s", wrong.detail);
            return refuse(reading, reading->last + 1, problem, error);
        }
        if (entry.kind == ENTRY_HEAD) {
            break;
        }
        TRY(read_entry(reading, &entry, error));
        *rest = next;
    }
    reading->entries = text_slice(begin, 0, begin.length - rest->length);
    return OK;
}

// The entries do not lead to the signed head. Their own signatures tell which one is to blame.
static enum status blame(const struct reading *reading, struct error *error)
{
    struct text rest = reading->entries;
    struct text line;
    while (batch_next_line(&rest, &line)) {
        AUTO_JSON json_t *entry = NULL;
        struct error wrong = {0};
        if (json_parse(line, &entry, &wrong) != OK ||
            statement_verify(entry, NULL, &reading->source->key, &wrong) != OK) {
            return error_set(error, CORRUPT, "log of site %s: %.400s", reading->source->site.text,
                             wrong.detail);
        }
    }
    char problem[200];
    (void)snprintf(problem, sizeof problem,
                   "the entries from %lld on do not lead to the signed head, though each is "
                   "signed: the log was rewritten",
                   (long long)reading->from.serial + 1);
    return refuse(reading, reading->batch.end.serial, problem, error);
}

static enum status check_end(struct reading *reading, struct error *error)
{
    const struct ledger_position *end = &reading->batch.end;
    if (reading->last > 0 && reading->last < end->serial) {
        return refuse(reading, reading->last + 1, "the entry is missing", error);
    }
    reading->batch.is_fresh = end->serial > reading->from.serial;
    if (!reading->batch.is_fresh) {
        return OK;
    }
    if (reading->last == 0) {
        return error_set(error, CONFLICT,
                         "log of site %s, epoch %lld: it is here up to serial %lld, and the head "
                         "of serial %lld comes without entries",
                         reading->source->site.text, (long long)end->epoch,
                         (long long)reading->from.serial, (long long)end->serial);
    }
    return digest_equal(&reading->chain, &end->head) ? OK : blame(reading, error);
}

enum status batch_read(struct text *rest, const struct batch_source *source,
                       const struct ledger_position *have, struct batch *out, struct error *error)
{
    struct reading reading = {.source = source};
    struct text next = *rest;
    struct text line = TEXT_NONE;
    (void)batch_next_line(&next, &line);
    TRY(read_head(&reading, line, error));
    TRY(find_begin(&reading, have, error));
    TRY(read_entries(&reading, &next, error));
    reading.batch.text = text_slice(*rest, 0, rest->length - next.length);
    if (reading.batch.text.length > LEDGER_BATCH_SIZE_MAX) {
        return refuse(&reading, reading.batch.end.serial, "the batch has too many bytes", error);
    }
    TRY(check_end(&reading, error));
    *out = reading.batch;
    *rest = next;
    return OK;
}
