#include "store/records.h"

#include "base/memory.h"

enum {
    REMOVED = (1 << 24) - 1,
    LOCAL_RECORDS = 32, // So many are put in order without memory from the heap.
};

void records_append(struct buffer *out, const struct record *record)
{
    size_t length = record->is_removed ? REMOVED : record->value.length;
    const char head[RECORD_HEAD_SIZE] = {(char)record->key.length, (char)(length >> 16),
                                         (char)(length >> 8), (char)length};
    buffer_append(out, head, sizeof head);
    buffer_append_text(out, record->key);
    if (!record->is_removed) {
        buffer_append_text(out, record->value);
    }
}

enum status records_next(struct text *rest, struct record *out)
{
    if (rest->length == 0) {
        return NOT_FOUND;
    }
    if (rest->length < RECORD_HEAD_SIZE) {
        return CORRUPT;
    }
    const unsigned char *head = (const unsigned char *)rest->bytes;
    size_t key_length = head[0];
    size_t value_length = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    bool is_removed = value_length == REMOVED;
    size_t size = RECORD_HEAD_SIZE + key_length + (is_removed ? 0 : value_length);
    if (key_length == 0 || size > rest->length) {
        return CORRUPT;
    }
    out->key = text_slice(*rest, RECORD_HEAD_SIZE, RECORD_HEAD_SIZE + key_length);
    out->value = text_slice(*rest, RECORD_HEAD_SIZE + key_length, size);
    out->is_removed = is_removed;
    *rest = text_slice(*rest, size, rest->length);
    return OK;
}

enum status records_find(struct text records, struct text key, struct record *out)
{
    struct record record;
    enum status status;
    while ((status = records_next(&records, &record)) == OK) {
        if (text_equal(record.key, key)) {
            if (record.is_removed) {
                return NOT_FOUND;
            }
            *out = record;
            return OK;
        }
    }
    return status;
}

// A record, and which set has it.
struct ranked {
    struct record record;
    size_t set;
};

// By key; of the same key the latest first.
static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *left = a;
    const struct ranked *right = b;
    int order = text_compare(left->record.key, right->record.key);
    return order != 0 ? order : (left->set < right->set) - (left->set > right->set);
}

struct ranking {
    struct ranked local[LOCAL_RECORDS];
    struct ranked *ranked; // `local`, or on the heap.
    size_t count;
    size_t capacity;
};

static void rank(struct ranking *ranking, const struct record *record, size_t set)
{
    if (ranking->count == ranking->capacity) {
        ranking->capacity *= 2;
        bool is_local = ranking->ranked == ranking->local;
        ranking->ranked = memory_resize(is_local ? NULL : ranking->ranked, ranking->capacity,
                                        sizeof *ranking->ranked);
        if (is_local) {
            memcpy(ranking->ranked, ranking->local, sizeof ranking->local);
        }
    }
    ranking->ranked[ranking->count++] = (struct ranked){*record, set};
}

static bool rank_all(struct ranking *ranking, const struct text *sets, size_t count)
{
    for (size_t set = 0; set < count; set++) {
        struct text rest = sets[set];
        struct record record;
        enum status status;
        while ((status = records_next(&rest, &record)) == OK) {
            rank(ranking, &record, set);
        }
        if (status == CORRUPT) {
            return false;
        }
    }
    return true;
}

bool records_combine(const struct text *sets, size_t count, bool is_whole, struct buffer *out)
{
    struct ranking ranking;
    ranking.count = 0;
    ranking.capacity = LOCAL_RECORDS;
    ranking.ranked = ranking.local;
    bool is_sound = rank_all(&ranking, sets, count);
    if (is_sound) {
        qsort(ranking.ranked, ranking.count, sizeof *ranking.ranked, compare_ranked);
        for (size_t i = 0; i < ranking.count; i++) {
            const struct record *record = &ranking.ranked[i].record;
            bool is_latest = i == 0 || !text_equal(record->key, ranking.ranked[i - 1].record.key);
            if (is_latest && !(is_whole && record->is_removed)) {
                records_append(out, record);
            }
        }
    }
    if (ranking.ranked != ranking.local) {
        free(ranking.ranked);
    }
    return is_sound;
}
