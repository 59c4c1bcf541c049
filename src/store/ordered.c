// The ordered map over RocksDB: a log-structured merge tree, whose load in random order costs sequential writes where a B-tree pays a
// random page an entry.
//
// Files are mapped and nothing in them is compressed, so that a look-up reads them where they lie: the kernel's page cache is the only cache, and gives way to
// whatever else needs memory. Keeping blocks in the process cost a hub of ten million ids four fifths of a look-up, as random ids find next to nothing in a cache that is
// smaller than the files: a read, a copy, unpacking, and the cache's own books for each block.
#include "store/ordered.h"

#include "base/memory.h"
#include "os/file.h"
#include "store/rocksdb_library.h"

#include <signal.h>

enum {
    BLOCK_BYTES = 4096,            // A page: what a look-up reads, and takes the checksum of.
    FILTER_BITS_PER_GROUP = 10,    // One wrong yes in a hundred.
    FIRST_LEVEL_BYTES = 128 << 20, // As much as a merge of what is new rewrites.
    FILE_BYTES = 64 << 20,         // So that 12 GB are 200 files.
    SYNC_BYTES = 1 << 20,          // Written back bit by bit, not all at the end of a file.
    MERGES_MAX = 3,                // Tasks of the background at once, writing a file included.
    TABLE_FORMAT = 5,
    GROUP_END = 0,
    LOCAL_PARTS = 16,
    LEVELS_LOGGED_FROM =
        6, // Nothing: on a full disk the library aborts when it writes to its own log again.
};

// Of the write buffer, for filters by group in memory.
static const double MEMORY_FILTER_RATIO = 0.02;

struct ordered {
    const struct rocksdb_library *library;
    ordered_combine_fn *combine; // NULL for none.
    char *folder;
    rocksdb_t *database;
    rocksdb_compactionfilter_t *emptiness; // NULL when the map does not combine.
    // Only read once they are made, so all threads share them.
    rocksdb_writeoptions_t *write_options;
    rocksdb_readoptions_t *group_options; // For a scan within a group: files whose filter has it.
    rocksdb_readoptions_t *all_options;   // For any other.
};

struct ordered_batch {
    const struct rocksdb_library *library;
    bool is_of_combining_map;
    rocksdb_writebatch_t *changes;
    size_t size; // Of keys and values.
};

// Takes the library's message and says what it means.
static enum status fail(const struct ordered *ordered, char *message, struct error *error)
{
    static const struct {
        const char *sign;
        enum status status;
        const char *fix;
    } meanings[] = {
        {"No space left", QUOTA, "free space on the disk"},
        {"Disk quota exceeded", QUOTA, "free space on the disk, or raise the quota"},
        {"lock hold by current process", CONFLICT, "close it first"},
        {"While lock file", CONFLICT, "end the process that has it open"},
        {"Permission denied", DENIED, "give this user the folder and what is in it"},
        {"Read-only file system", DENIED, "choose a folder that can be written"},
        {"Corruption", CORRUPT, "remove the folder: it is filled again from what it was made of"},
        // A file that is shorter than it was.
        {"larger than file length", CORRUPT,
         "remove the folder: it is filled again from what it was made of"},
        // What is missing was there: the map's own list of files names it.
        {"No such file", CORRUPT, "remove the folder: it is filled again from what it was made of"},
    };
    enum status status = INTERNAL;
    const char *fix = "";
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (strstr(message, meanings[i].sign)) {
            status = meanings[i].status;
            fix = meanings[i].fix;
            break;
        }
    }
    (void)error_set(error, status, "the index in %s: %s", ordered->folder, message);
    error_fix(error, "%s", fix);
    ordered->library->free(message);
    return status;
}

static char *group_of(void *state, const char *key, size_t length, size_t *group_length)
{
    (void)state;
    const char *end = memchr(key, GROUP_END, length);
    *group_length = end ? (size_t)(end - key) + 1 : length;
    return (char *)(uintptr_t)key; // The library wants it without const, and only reads.
}

static unsigned char has_group(void *state, const char *key, size_t length)
{
    (void)state;
    return memchr(key, GROUP_END, length) != NULL;
}

static unsigned char is_group(void *state, const char *key, size_t length)
{
    (void)state;
    const char *end = memchr(key, GROUP_END, length);
    return end && end == key + length - 1;
}

static void forget(void *state)
{
    (void)state;
}

// Kept in the files: filters made under another name are not used.
static const char *group_name(void *state)
{
    (void)state;
    return "lode.until-zero";
}

// --- combining

// The parts on the stack when there are few of them.
struct parts {
    struct text local[LOCAL_PARTS];
    struct text *all;
    size_t count;
};

static char *combine_parts(ordered_combine_fn *combine, const struct parts *parts, bool is_whole,
                           unsigned char *success, size_t *length)
{
    struct buffer out = {0};
    size_t size = 1; // So that nothing is a place too.
    for (size_t i = 0; i < parts->count; i++) {
        size += parts->all[i].length;
    }
    (void)buffer_reserve(&out, size);
    *success = combine(parts->all, parts->count, is_whole, &out);
    if (parts->all != parts->local) {
        free(parts->all);
    }
    *length = out.length;
    return out.bytes;
}

static void add_parts(struct parts *parts, const char *const *operands, const size_t *lengths,
                      size_t count)
{
    if (parts->count + count > LOCAL_PARTS) {
        parts->all = memory_new(parts->count + count, sizeof *parts->all);
        memcpy(parts->all, parts->local, parts->count * sizeof *parts->all);
    }
    for (size_t i = 0; i < count; i++) {
        parts->all[parts->count++] = (struct text){operands[i], lengths[i]};
    }
}

static char *combine_whole(void *state, const char *key, size_t key_length, const char *value,
                           size_t value_length, const char *const *operands, const size_t *lengths,
                           int count, unsigned char *success, size_t *length)
{
    (void)key;
    (void)key_length;
    struct parts parts;
    parts.all = parts.local;
    parts.local[0] = (struct text){value, value_length};
    parts.count = value ? 1 : 0;
    add_parts(&parts, operands, lengths, (size_t)count);
    return combine_parts(((const struct ordered *)state)->combine, &parts, true, success, length);
}

static char *combine_changes(void *state, const char *key, size_t key_length,
                             const char *const *operands, const size_t *lengths, int count,
                             unsigned char *success, size_t *length)
{
    (void)key;
    (void)key_length;
    struct parts parts;
    parts.all = parts.local;
    parts.count = 0;
    add_parts(&parts, operands, lengths, (size_t)count);
    return combine_parts(((const struct ordered *)state)->combine, &parts, false, success, length);
}

static const char *combine_name(void *state)
{
    (void)state;
    return "lode.combine";
}

// A key of which nothing is left is dropped when files are merged.
static unsigned char is_empty(void *state, int level, const char *key, size_t key_length,
                              const char *value, size_t value_length, char **new_value,
                              size_t *new_length, unsigned char *is_changed)
{
    (void)state;
    (void)level;
    (void)key;
    (void)key_length;
    (void)value;
    (void)new_value;
    (void)new_length;
    (void)is_changed;
    return value_length == 0;
}

static const char *emptiness_name(void *state)
{
    (void)state;
    return "lode.empty";
}

static void set_combine(struct ordered *ordered, rocksdb_options_t *options)
{
    const struct rocksdb_library *library = ordered->library;
    // Merging files calls it until the map is closed; the options own the one and not the other.
    library->options_set_merge_operator(
        options, library->mergeoperator_create(ordered, forget, combine_whole, combine_changes,
                                               NULL, combine_name));
    ordered->emptiness = library->compactionfilter_create(NULL, forget, is_empty, emptiness_name);
    library->options_set_compaction_filter(options, ordered->emptiness);
}

static void set_table(const struct rocksdb_library *library, rocksdb_options_t *options)
{
    rocksdb_block_based_table_options_t *table = library->block_based_options_create();
    library->block_based_options_set_no_block_cache(table, 1);
    // With the file, then, and as everything in it not copied.
    library->block_based_options_set_cache_index_and_filter_blocks(table, 0);
    library->block_based_options_set_block_size(table, BLOCK_BYTES);
    library->block_based_options_set_format_version(table, TABLE_FORMAT);
    library->block_based_options_set_filter_policy(
        table, library->filterpolicy_create_bloom_full(FILTER_BITS_PER_GROUP));
    library->block_based_options_set_whole_key_filtering(table, 0);
    library->options_set_block_based_table_factory(options, table);
    library->block_based_options_destroy(table);
}

static rocksdb_options_t *options_new(struct ordered *ordered)
{
    const struct rocksdb_library *library = ordered->library;
    rocksdb_options_t *options = library->options_create();
    library->options_set_create_if_missing(options, 1);
    library->options_set_write_buffer_size(options, ORDERED_WRITE_BUFFER_BYTES);
    library->options_set_max_write_buffer_number(options, ORDERED_WRITE_BUFFERS);
    library->options_set_max_open_files(options, ORDERED_OPEN_FILES_MAX);
    library->options_set_max_file_opening_threads(options, 1);
    library->options_set_max_background_jobs(options, MERGES_MAX);
    library->options_set_compression(options, rocksdb_no_compression);
    library->options_set_allow_mmap_reads(options, 1);
    // Pages of what is mapped for random reading are the first that the kernel takes when memory is short, used or not. It finds out by itself when
    // reading around a page is of no use.
    library->options_set_advise_random_on_open(options, 0);
    library->options_set_level_compaction_dynamic_level_bytes(options, 1);
    library->options_set_max_bytes_for_level_base(options, FIRST_LEVEL_BYTES);
    library->options_set_target_file_size_base(options, FILE_BYTES);
    library->options_set_bytes_per_sync(options, SYNC_BYTES);
    library->options_set_info_log_level(options, LEVELS_LOGGED_FROM);
    library->options_set_keep_log_file_num(options, 1);
    library->options_set_stats_dump_period_sec(options, 0);
    library->options_set_stats_persist_period_sec(options, 0);
    library->options_set_prefix_extractor(
        options,
        library->slicetransform_create(NULL, forget, group_of, has_group, is_group, group_name));
    library->options_set_memtable_prefix_bloom_size_ratio(options, MEMORY_FILTER_RATIO);
    set_table(library, options);
    if (ordered->combine) {
        set_combine(ordered, options);
    }
    return options;
}

static enum status open_database(struct ordered *ordered, struct error *error)
{
    rocksdb_options_t *options = options_new(ordered);
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGBUS);
    // Opening starts a thread, which inherits the mask: signals are the program's.
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    char *message = NULL;
    ordered->database = ordered->library->open(options, ordered->folder, &message);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    ordered->library->options_destroy(options);
    return message ? fail(ordered, message, error) : OK;
}

enum status ordered_open(const char *folder, ordered_combine_fn *combine, struct ordered **out,
                         struct error *error)
{
    const struct rocksdb_library *library = NULL;
    TRY(rocksdb_library_get(&library, error));
    TRY(file_make_folder(folder, error));
    struct ordered *ordered = NEW(struct ordered);
    ordered->library = library;
    ordered->combine = combine;
    ordered->folder = memory_copy_string(folder);
    ordered->write_options = library->writeoptions_create();
    library->writeoptions_disable_WAL(ordered->write_options, 1);
    ordered->group_options = library->readoptions_create();
    library->readoptions_set_prefix_same_as_start(ordered->group_options, 1);
    ordered->all_options = library->readoptions_create();
    library->readoptions_set_total_order_seek(ordered->all_options, 1);
    enum status status = open_database(ordered, error);
    if (status != OK) {
        ordered_close(ordered);
        return status;
    }
    *out = ordered;
    return OK;
}

void ordered_close(struct ordered *ordered)
{
    if (!ordered) {
        return;
    }
    const struct rocksdb_library *library = ordered->library;
    if (ordered->database) {
        library->close(ordered->database);
    }
    library->readoptions_destroy(ordered->all_options);
    library->readoptions_destroy(ordered->group_options);
    library->writeoptions_destroy(ordered->write_options);
    if (ordered->emptiness) {
        library->compactionfilter_destroy(ordered->emptiness);
    }
    free(ordered->folder);
    free(ordered);
}

enum status ordered_remove(const char *folder, struct error *error)
{
    return file_remove_tree(folder, error);
}

struct ordered_batch *ordered_batch_new(struct ordered *ordered)
{
    struct ordered_batch *batch = NEW(struct ordered_batch);
    batch->library = ordered->library;
    batch->is_of_combining_map = ordered->combine != NULL;
    batch->changes = ordered->library->writebatch_create();
    return batch;
}

void ordered_batch_free(struct ordered_batch *batch)
{
    if (batch) {
        batch->library->writebatch_destroy(batch->changes);
        free(batch);
    }
}

static enum status check_change(const struct ordered_batch *batch, struct text key,
                                struct text value, struct error *error)
{
    if (key.length == 0 || key.length > ORDERED_KEY_MAX) {
        return error_set(error, INVALID, "a key of %zu bytes; it has 1 to %d", key.length,
                         ORDERED_KEY_MAX);
    }
    if (value.length > ORDERED_VALUE_MAX) {
        return error_set(error, INVALID, "a value of %zu bytes; at most %d are allowed",
                         value.length, ORDERED_VALUE_MAX);
    }
    if (batch->size + key.length + value.length > ORDERED_BATCH_BYTES_MAX) {
        return error_set(error, QUOTA, "the batch would be larger than %d bytes",
                         ORDERED_BATCH_BYTES_MAX);
    }
    return OK;
}

enum status ordered_batch_put(struct ordered_batch *batch, struct text key, struct text value,
                              struct error *error)
{
    TRY(check_change(batch, key, value, error));
    batch->library->writebatch_put(batch->changes, key.bytes, key.length,
                                   value.bytes ? value.bytes : "", value.length);
    batch->size += key.length + value.length;
    return OK;
}

enum status ordered_batch_delete(struct ordered_batch *batch, struct text key, struct error *error)
{
    TRY(check_change(batch, key, TEXT_NONE, error));
    batch->library->writebatch_delete(batch->changes, key.bytes, key.length);
    batch->size += key.length;
    return OK;
}

enum status ordered_batch_combine(struct ordered_batch *batch, struct text key, struct text change,
                                  struct error *error)
{
    TRY(check_change(batch, key, change, error));
    if (!batch->is_of_combining_map) {
        return error_set(error, INVALID, "a change to be combined, in a map that does not combine");
    }
    batch->library->writebatch_merge(batch->changes, key.bytes, key.length,
                                     change.bytes ? change.bytes : "", change.length);
    batch->size += key.length + change.length;
    return OK;
}

void ordered_batch_clear(struct ordered_batch *batch)
{
    batch->library->writebatch_clear(batch->changes);
    batch->size = 0;
}

size_t ordered_batch_count(const struct ordered_batch *batch)
{
    return (size_t)batch->library->writebatch_count(batch->changes);
}

enum status ordered_write(struct ordered *ordered, struct ordered_batch *batch, struct error *error)
{
    char *message = NULL;
    ordered->library->write(ordered->database, ordered->write_options, batch->changes, &message);
    if (message) {
        return fail(ordered, message, error);
    }
    ordered_batch_clear(batch);
    return OK;
}

enum status ordered_sync(struct ordered *ordered, struct error *error)
{
    rocksdb_flushoptions_t *options = ordered->library->flushoptions_create();
    ordered->library->flushoptions_set_wait(options, 1);
    char *message = NULL;
    ordered->library->flush(ordered->database, options, &message);
    ordered->library->flushoptions_destroy(options);
    return message ? fail(ordered, message, error) : OK;
}

enum status ordered_visit(struct ordered *ordered, struct text key, ordered_entry_fn *entry,
                          void *context, struct error *error)
{
    const struct rocksdb_library *library = ordered->library;
    char *message = NULL;
    rocksdb_pinnableslice_t *slice = library->get_pinned(
        ordered->database, ordered->all_options, key.bytes ? key.bytes : "", key.length, &message);
    if (message) {
        return fail(ordered, message, error);
    }
    struct text value = {0};
    if (slice) {
        value.bytes = library->pinnableslice_value(slice, &value.length);
    }
    // Where changes are combined, a key of which nothing is left is there until files are merged.
    bool is_found = slice && (value.length > 0 || !ordered->combine);
    if (is_found) {
        (void)entry(context, key, value);
    }
    library->pinnableslice_destroy(slice);
    return is_found
               ? OK
               : error_set(error, NOT_FOUND, "the index in %s has no such key", ordered->folder);
}

struct copying {
    struct buffer *out;
    size_t excess; // The value's length, when it is longer than the buffer may be.
};

static bool copy_value(void *context, struct text key, struct text value)
{
    struct copying *copying = context;
    struct buffer *out = copying->out;
    (void)key;
    if (out->max > 0 && value.length > out->max) {
        copying->excess = value.length;
    } else {
        buffer_clear(out);
        buffer_append_text(out, value);
    }
    return true;
}

enum status ordered_get(struct ordered *ordered, struct text key, struct buffer *out,
                        struct error *error)
{
    struct copying copying = {.out = out};
    TRY(ordered_visit(ordered, key, copy_value, &copying, error));
    if (copying.excess > 0) {
        return error_set(error, QUOTA, "a value of %zu bytes, where %zu are allowed",
                         copying.excess, out->max);
    }
    return OK;
}

enum status ordered_scan(struct ordered *ordered, struct text prefix, struct text from,
                         ordered_entry_fn *entry, void *context, struct error *error)
{
    if (from.length > 0 && !text_starts_with(from, prefix)) {
        return error_set(error, INVALID, "a scan from a key that has not the scan's prefix");
    }
    const struct rocksdb_library *library = ordered->library;
    bool is_in_group = prefix.length > 0 && text_contains_byte(prefix, GROUP_END);
    rocksdb_iterator_t *iterator = library->create_iterator(
        ordered->database, is_in_group ? ordered->group_options : ordered->all_options);
    struct text start = from.length > 0 ? from : prefix;
    for (library->iter_seek(iterator, start.bytes ? start.bytes : "", start.length);
         library->iter_valid(iterator); library->iter_next(iterator)) {
        struct text key = {0};
        struct text value = {0};
        key.bytes = library->iter_key(iterator, &key.length);
        if (!text_starts_with(key, prefix)) {
            break;
        }
        value.bytes = library->iter_value(iterator, &value.length);
        bool is_there = value.length > 0 || !ordered->combine;
        if (is_there && !entry(context, key, value)) {
            break;
        }
    }
    char *message = NULL;
    library->iter_get_error(iterator, &message);
    library->iter_destroy(iterator);
    return message ? fail(ordered, message, error) : OK;
}

static int64_t property(const struct ordered *ordered, const char *name)
{
    uint64_t number = 0;
    bool has_failed = ordered->library->property_int(ordered->database, name, &number) != 0;
    return has_failed ? 0 : (int64_t)number;
}

struct ordered_figures ordered_figures(struct ordered *ordered)
{
    return (struct ordered_figures){
        .entries = property(ordered, "rocksdb.estimate-num-keys"),
        .file_bytes = property(ordered, "rocksdb.total-sst-files-size"),
        .memory_bytes = property(ordered, "rocksdb.cur-size-all-mem-tables") +
                        property(ordered, "rocksdb.estimate-table-readers-mem"),
        .is_merging = property(ordered, "rocksdb.num-running-compactions") > 0 ||
                      property(ordered, "rocksdb.compaction-pending") > 0,
    };
}
