#include "ledger/mirror_index.h"

#include "base/arena.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "ledger/batch.h"
#include "os/file.h"
#include "os/mapped.h"
#include "store/ordered.h"
#include "store/records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum {
    KIND_ENTRY = 'e',
    KIND_ALIAS = 'a',
    KIND_PLACE = 'p',
    ID_DIGEST_SIZE = 8, // Of an id, in the key of an alias.
    NUMBER_SIZE = 4,
    KEY_SIZE_MAX = ENTRY_NAME_MAX + 1,
    RECORD_KEY_SIZE_MAX = 1 + NUMBER_SIZE + ID_DIGEST_SIZE,
    WRITE_SIZE = 4 << 20, // Of keys and values that are written together.
};

struct mirror_index {
    struct ordered *map;
    char *damage_path; // A file that says: make it anew.
};

// --- keys

struct key {
    char bytes[KEY_SIZE_MAX];
    size_t length;
};

static struct text key_text(const struct key *key)
{
    return (struct text){key->bytes, key->length};
}

static void put_big_endian(char *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)(number >> (8 * (size - 1 - i)));
    }
}

static uint64_t get_big_endian(const char *bytes, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | (unsigned char)bytes[i];
    }
    return number;
}

// Of what there is about the name.
static void key_of(struct text name, struct key *out)
{
    if (name.length > 0) {
        memcpy(out->bytes, name.bytes, name.length);
    }
    out->bytes[name.length] = '\0';
    out->length = name.length + 1;
}

static void key_of_place(uint32_t number, struct key *out)
{
    out->bytes[0] = '\0';
    out->bytes[1] = KIND_PLACE;
    put_big_endian(out->bytes + 2, number, NUMBER_SIZE);
    out->length = 2 + NUMBER_SIZE;
}

// Of a record under a name.
struct record_key {
    char bytes[RECORD_KEY_SIZE_MAX];
    size_t length;
};

static struct text record_key_text(const struct record_key *key)
{
    return (struct text){key->bytes, key->length};
}

static void key_of_entry(uint32_t number, struct record_key *out)
{
    out->bytes[0] = KIND_ENTRY;
    put_big_endian(out->bytes + 1, number, NUMBER_SIZE);
    out->length = 1 + NUMBER_SIZE;
}

static void key_of_alias(uint32_t number, struct text id, struct record_key *out)
{
    struct digest digest = digest_of(id.bytes, id.length);
    out->bytes[0] = KIND_ALIAS;
    put_big_endian(out->bytes + 1, number, NUMBER_SIZE);
    memcpy(out->bytes + 1 + NUMBER_SIZE, digest.bytes, ID_DIGEST_SIZE);
    out->length = RECORD_KEY_SIZE_MAX;
}

// --- opening

// Notes a damage, so that the next start makes the index anew; passes the status on.
static enum status note(const struct mirror_index *index, enum status status)
{
    if (status == CORRUPT) {
        int fd = open(index->damage_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return status;
}

enum status mirror_index_open(const char *folder, struct mirror_index **out, struct error *error)
{
    AUTO_FREE char *damage_path = memory_format("%s.damaged", folder);
    if (access(damage_path, F_OK) == 0) {
        return error_set(error, CORRUPT, "the index in %s was found damaged", folder);
    }
    struct ordered *map = NULL;
    TRY(ordered_open(folder, records_combine, &map, error));
    struct mirror_index *index = NEW(struct mirror_index);
    index->map = map;
    index->damage_path = TAKE(damage_path);
    // A second index of the same program, which only tests have, goes without.
    (void)mapped_mark_set(index->damage_path);
    *out = index;
    return OK;
}

void mirror_index_close(struct mirror_index *index)
{
    if (index) {
        ordered_close(index->map);
        mapped_mark_clear(index->damage_path);
        free(index->damage_path);
        free(index);
    }
}

enum status mirror_index_remove(const char *folder, struct error *error)
{
    AUTO_FREE char *damage_path = memory_format("%s.damaged", folder);
    TRY(ordered_remove(folder, error));
    if (unlink(damage_path) < 0 && errno != ENOENT) {
        return error_set_errno(error, errno, "cannot remove %s", damage_path);
    }
    return OK;
}

int64_t mirror_index_size(struct mirror_index *index)
{
    return ordered_figures(index->map).file_bytes;
}

// --- places

enum { PLACE_SIZE = 16 + FINGERPRINT_SIZE };

enum status mirror_index_place(struct mirror_index *index, uint32_t number,
                               struct mirror_place *out, struct error *error)
{
    struct key key;
    AUTO_BUFFER struct buffer value = {0};
    key_of_place(number, &key);
    enum status status = note(index, ordered_get(index->map, key_text(&key), &value, error));
    if (status == NOT_FOUND) {
        *out = (struct mirror_place){0};
        return OK;
    }
    TRY(status);
    if (value.length != PLACE_SIZE) {
        return note(index, error_set(error, CORRUPT, "the index has no readable place"));
    }
    out->epoch = (int64_t)get_big_endian(value.bytes, 8);
    out->serial = (int64_t)get_big_endian(value.bytes + 8, 8);
    memcpy(out->site.text, value.bytes + 16, FINGERPRINT_SIZE);
    out->site.text[FINGERPRINT_SIZE - 1] = '\0';
    return OK;
}

static enum status put_place(struct ordered_batch *changes, uint32_t number,
                             const struct mirror_place *place, struct error *error)
{
    struct key key;
    char value[PLACE_SIZE];
    key_of_place(number, &key);
    put_big_endian(value, (uint64_t)place->epoch, 8);
    put_big_endian(value + 8, (uint64_t)place->serial, 8);
    memcpy(value + 16, place->site.text, FINGERPRINT_SIZE);
    return ordered_batch_put(changes, key_text(&key), (struct text){value, PLACE_SIZE}, error);
}

// --- entering

// Changes that gather.
struct entering {
    struct mirror_index *index;
    struct ordered_batch *changes;
    size_t size;
    uint32_t number;
    struct mirror_place at;       // With what gathers.
    struct mirror_place *written; // Without.
    struct buffer value;          // A packed entry.
    struct buffer change;         // Under way.
};

static enum status add_change(struct entering *entering, struct text name,
                              const struct record *record, struct error *error)
{
    struct key key;
    key_of(name, &key);
    buffer_clear(&entering->change);
    records_append(&entering->change, record);
    entering->size += key.length + entering->change.length;
    return ordered_batch_combine(entering->changes, key_text(&key), buffer_text(&entering->change),
                                 error);
}

static enum status put(struct entering *entering, struct text name, const struct record_key *key,
                       struct text value, struct error *error)
{
    const struct record record = {.key = record_key_text(key), .value = value};
    return add_change(entering, name, &record, error);
}

static enum status remove_record(struct entering *entering, struct text name,
                                 const struct record_key *key, struct error *error)
{
    const struct record record = {.key = record_key_text(key), .is_removed = true};
    return add_change(entering, name, &record, error);
}

// Writes what has gathered. `written` is NULL for changes that do not move the place.
static enum status flush(struct entering *entering, struct error *error)
{
    if (entering->written) {
        TRY(put_place(entering->changes, entering->number, &entering->at, error));
    }
    TRY(note(entering->index, ordered_write(entering->index->map, entering->changes, error)));
    entering->size = 0;
    if (entering->written) {
        *entering->written = entering->at;
    }
    return OK;
}

// A record that is looked for among those under a name.
struct wanted {
    struct record_key key;
    struct buffer *out; // Gets its value.
    enum status status; // OK, NOT_FOUND, CORRUPT.
};

static bool copy_wanted(void *context, struct text key, struct text records)
{
    struct wanted *wanted = context;
    struct record record;
    (void)key;
    wanted->status = records_find(records, record_key_text(&wanted->key), &record);
    if (wanted->status == OK) {
        buffer_clear(wanted->out);
        buffer_append_text(wanted->out, record.value);
    }
    return true;
}

// The packed entry that the index has of a dataset of this site, into entering->value. NOT_FOUND.
static enum status get_entry(struct entering *entering, struct text id, struct packed *out,
                             struct error *error)
{
    struct key key;
    struct wanted wanted = {.out = &entering->value};
    struct mirror_index *index = entering->index;
    key_of(id, &key);
    key_of_entry(entering->number, &wanted.key);
    TRY(note(index, ordered_visit(index->map, key_text(&key), copy_wanted, &wanted, error)));
    if (wanted.status == CORRUPT) {
        return note(index, error_set(error, CORRUPT, "the index holds what are no records"));
    }
    TRY(wanted.status);
    return note(index, packed_read(buffer_text(&entering->value), out, error));
}

// Is the name, still escaped, in the canonical array?
static bool is_among(struct text raw, struct text array)
{
    struct text each;
    while (entry_next_string(&array, &each)) {
        if (text_equal(each, raw)) {
            return true;
        }
    }
    return false;
}

// Removes the records under aliases, but those that are in `kept` (an array; empty: none).
static enum status delete_aliases(struct entering *entering, struct text id, struct text aliases,
                                  struct text kept, struct error *error)
{
    char scratch[ENTRY_NAME_MAX];
    struct text raw;
    struct record_key key;
    key_of_alias(entering->number, id, &key);
    while (entry_next_string(&aliases, &raw)) {
        if (!is_among(raw, kept)) {
            TRY(remove_record(entering, entry_unescape(raw, scratch), &key, error));
        }
    }
    return OK;
}

// Deletes the aliases of the entry that this one follows, where there is one.
static enum status delete_replaced(struct entering *entering, const struct entry *entry,
                                   struct text id, struct error *error)
{
    struct packed old;
    const struct mirror_place *written = entering->written;
    bool is_written =
        entry->previous > 0 && entry->epoch == written->epoch && entry->previous <= written->serial;
    // What still gathers cannot be read.
    if (!is_written && entering->size > 0) {
        TRY(flush(entering, error));
    }
    enum status status = get_entry(entering, id, &old, error);
    if (status == NOT_FOUND) {
        return OK;
    }
    TRY(status);
    return delete_aliases(entering, id, old.aliases, entry->members[MEMBER_ALIASES], error);
}

static enum status put_dataset(struct entering *entering, const struct entry *entry, struct text id,
                               struct error *error)
{
    struct record_key key;
    char scratch[ENTRY_NAME_MAX];
    struct text aliases = entry->members[MEMBER_ALIASES];
    struct text raw;
    buffer_clear(&entering->value);
    packed_write(entry, &entering->value);
    key_of_entry(entering->number, &key);
    TRY(put(entering, id, &key, buffer_text(&entering->value), error));
    while (entry_next_string(&aliases, &raw)) {
        struct text alias = entry_unescape(raw, scratch);
        if (!text_equal(alias, id)) {
            key_of_alias(entering->number, id, &key);
            TRY(put(entering, alias, &key, id, error));
        }
    }
    return OK;
}

static enum status enter(struct entering *entering, const struct entry *entry, struct error *error)
{
    char scratch[ENTRY_NAME_MAX];
    struct text id = entry_unescape(entry_raw_text(entry, MEMBER_ID), scratch);
    if (entry->previous != 0) {
        TRY(delete_replaced(entering, entry, id, error));
    }
    if (entry->kind == ENTRY_DATASET) {
        return put_dataset(entering, entry, id, error);
    }
    struct record_key key;
    key_of_entry(entering->number, &key);
    return remove_record(entering, id, &key, error);
}

static enum status enter_all(struct entering *entering, struct text rest, struct error *error)
{
    struct text line;
    while (batch_next_line(&rest, &line)) {
        struct entry entry;
        TRY(entry_scan(line, &entry, error));
        struct mirror_place *at = &entering->at;
        bool is_known =
            entry.epoch < at->epoch || (entry.epoch == at->epoch && entry.serial <= at->serial);
        if (entry.kind == ENTRY_HEAD || is_known) {
            continue;
        }
        TRY(enter(entering, &entry, error));
        at->epoch = entry.epoch;
        at->serial = entry.serial;
        if (entering->size > WRITE_SIZE) {
            TRY(flush(entering, error));
        }
    }
    return entering->size > 0 ? flush(entering, error) : OK;
}

enum status mirror_index_enter(struct mirror_index *index, uint32_t number, struct text batches,
                               struct mirror_place *place, struct error *error)
{
    struct entering entering = {
        .index = index,
        .changes = ordered_batch_new(index->map),
        .number = number,
        .at = *place,
        .written = place,
    };
    enum status status = enter_all(&entering, batches, error);
    ordered_batch_free(entering.changes);
    buffer_done(&entering.value);
    buffer_done(&entering.change);
    return status;
}

// --- sweeping

static enum status sweep_one(struct entering *entering, const struct entry *entry, int64_t epoch,
                             struct error *error)
{
    struct packed now;
    char scratch[ENTRY_NAME_MAX];
    struct text id = entry_unescape(entry_raw_text(entry, MEMBER_ID), scratch);
    struct text aliases = entry->members[MEMBER_ALIASES];
    enum status status = get_entry(entering, id, &now, error);
    if (status == NOT_FOUND) {
        return delete_aliases(entering, id, aliases, TEXT_NONE, error);
    }
    TRY(status);
    if (now.epoch >= epoch) {
        return delete_aliases(entering, id, aliases, now.aliases, error);
    }
    struct record_key key;
    key_of_entry(entering->number, &key);
    TRY(remove_record(entering, id, &key, error));
    TRY(delete_aliases(entering, id, now.aliases, TEXT_NONE, error));
    return delete_aliases(entering, id, aliases, TEXT_NONE, error);
}

static enum status sweep_all(struct entering *entering, int64_t epoch, struct text rest,
                             struct error *error)
{
    struct text line;
    while (batch_next_line(&rest, &line)) {
        struct entry entry;
        TRY(entry_scan(line, &entry, error));
        if (entry.kind == ENTRY_DATASET) {
            TRY(sweep_one(entering, &entry, epoch, error));
        }
        if (entering->size > WRITE_SIZE) {
            TRY(flush(entering, error));
        }
    }
    return entering->size > 0 ? flush(entering, error) : OK;
}

enum status mirror_index_sweep(struct mirror_index *index, uint32_t number, int64_t epoch,
                               struct text batches, struct error *error)
{
    struct entering entering = {
        .index = index, .changes = ordered_batch_new(index->map), .number = number};
    enum status status = sweep_all(&entering, epoch, batches, error);
    ordered_batch_free(entering.changes);
    buffer_done(&entering.value);
    buffer_done(&entering.change);
    return status;
}

// --- finding

struct finding {
    mirror_index_visit_fn *visit;
    void *context;
    struct text names[MIRROR_NAMES_MAX]; // What is, or is to be, looked for.
    size_t count;
    struct arena arena; // The names but the first.
    struct text name;   // Under way.
    bool is_ended;
    bool is_damaged;
};

static void add_name(struct finding *finding, struct text name)
{
    for (size_t i = 0; i < finding->count; i++) {
        if (text_equal(finding->names[i], name)) {
            return;
        }
    }
    if (finding->count < MIRROR_NAMES_MAX && name.length <= ENTRY_NAME_MAX) {
        const char *copy = arena_copy(&finding->arena, name);
        finding->names[finding->count++] = (struct text){copy, name.length};
    }
}

static bool find_in_entry(struct finding *finding, uint32_t number, struct text value)
{
    struct packed packed;
    struct text raw;
    char scratch[ENTRY_NAME_MAX];
    if (packed_read(value, &packed, NULL) != OK) {
        finding->is_damaged = true;
        return true;
    }
    while (entry_next_string(&packed.aliases, &raw)) {
        add_name(finding, entry_unescape(raw, scratch));
    }
    finding->is_ended = !finding->visit(finding->context, number, finding->name, value);
    return !finding->is_ended;
}

static bool find_records(void *context, struct text key, struct text records)
{
    struct finding *finding = context;
    struct record record;
    enum status status;
    (void)key;
    while ((status = records_next(&records, &record)) == OK) {
        char kind = record.key.bytes[0];
        struct text rest = text_slice(record.key, 1, record.key.length);
        if (kind == KIND_ALIAS) {
            add_name(finding, record.value);
        } else if (kind == KIND_ENTRY && rest.length == NUMBER_SIZE &&
                   !find_in_entry(finding, (uint32_t)get_big_endian(rest.bytes, NUMBER_SIZE),
                                  record.value)) {
            return false;
        }
    }
    finding->is_damaged = finding->is_damaged || status == CORRUPT;
    return true;
}

enum status mirror_index_find(struct mirror_index *index, struct text name,
                              mirror_index_visit_fn *visit, void *context, struct error *error)
{
    struct finding finding = {.visit = visit, .context = context, .names = {name}, .count = 1};
    enum status status = OK;
    if (name.length == 0 || name.length > ENTRY_NAME_MAX || text_contains_byte(name, '\0')) {
        return OK;
    }
    for (size_t at = 0; at < finding.count && status == OK && !finding.is_ended; at++) {
        struct key key;
        finding.name = finding.names[at];
        key_of(finding.name, &key);
        status = ordered_visit(index->map, key_text(&key), find_records, &finding, error);
        status = status == NOT_FOUND ? OK : status;
    }
    arena_done(&finding.arena);
    if (status == OK && finding.is_damaged) {
        status = error_set(error, CORRUPT, "the index holds what is no packed entry");
    }
    return note(index, status);
}
