// An ordered map of bytes to bytes on disk, for what can be made again from elsewhere: an index that takes many entries in any order.
//
// A map may *combine*: then a key can be changed by many without being read first, and is still found by one look-up. Of what several writers
// put about one thing, that makes one value (see records.h).
//
// Keys are ordered bytewise. Keys that are the same up to and including their first zero byte are a *group*: a look-up or a scan of a group is
// quick, and quickest where there is nothing to find, as filters say which files have nothing of it. Keys need no zero byte.
//
// **What is durable.** A batch is atomic: after any crash, of the program or of the machine, all of it is there or nothing. Batches last in
// the order in which they were written: what a crash takes is a suffix of them, at most what was written since the last ordered_sync. There is
// no log of its own, as the owner has one: it puts its position in that log into the same batch, and reads on from the position that it finds
// after opening. An orderly close loses nothing.
//
// **What it takes.** Memory of its own of a fixed size for each map: ORDERED_WRITE_BUFFERS buffers of ORDERED_WRITE_BUFFER_BYTES, and some KiB for each of at most
// ORDERED_OPEN_FILES_MAX open files, whatever the number of entries. The files are mapped: what is read of them is in the kernel's page cache, and only there, as long as there is room. It counts as
// resident (RssFile of proc(5)) and is given back whenever something else needs memory. Look-ups are quick where the files fit into memory. A page that
// the disk does not give ends the program (SIGBUS, see os/mapped.h). Three threads for all maps of the program write and merge files. A writer that is faster than they are is
// held up; readers are not, but share disk and processors.
#ifndef LODE_STORE_ORDERED_H
#define LODE_STORE_ORDERED_H

#include "base/buffer.h"

enum {
    ORDERED_KEY_MAX = 4096,               // Bytes of a key.
    ORDERED_VALUE_MAX = 1 << 20,          // Bytes of a value.
    ORDERED_BATCH_BYTES_MAX = 8 << 20,    // Keys and values of a batch.
    ORDERED_WRITE_BUFFER_BYTES = 8 << 20, // What is gathered before it becomes a file.
    ORDERED_WRITE_BUFFERS = 3,            // One that fills while others are being written.
    ORDERED_OPEN_FILES_MAX = 512,
};

struct ordered;

// Makes one value of the parts, the oldest first, appended to *out, which is empty. A part is a change (ordered_batch_combine), a value that was
// put, or what an earlier call made. `is_whole`: nothing older is hidden behind the parts, so that notes of what is removed can go; a key of which nothing is
// left is not there. It has to be pure and associative, as any run of neighbours may be combined first. Called by readers and by
// threads of the background, several at once. False when a part is damaged: the map is CORRUPT then, and takes no more batches.
typedef bool ordered_combine_fn(const struct text *parts, size_t count, bool is_whole,
                                struct buffer *out);

// Opens the map in the folder, which is made (0700) when it is missing, as an empty map. `combine`, always the same for a map, may be NULL: then it has
// values that are put and none that are combined. CORRUPT when its files are damaged: the way out is to
// remove the folder and to fill the map again. CONFLICT when it is open already, here or in another process; UNAVAILABLE when the library
// that does the work is not installed.
enum status ordered_open(const char *folder, ordered_combine_fn *combine, struct ordered **out,
                         struct error *error);

// Writes what is in memory and closes; no scan may be under way. NULL is allowed.
void ordered_close(struct ordered *ordered);

// Removes the folder of a map that is not open; OK when there is none.
enum status ordered_remove(const char *folder, struct error *error);

// Changes that are to happen together. Used by one thread at a time; keeps its memory for the next batch.
struct ordered_batch;
struct ordered_batch *ordered_batch_new(struct ordered *ordered);
void ordered_batch_free(struct ordered_batch *batch); // Before its map is closed; NULL is allowed.

// Adds a change; the bytes are copied. Of several changes of one key the last one counts. INVALID for a key that is empty or longer than
// ORDERED_KEY_MAX, or a value longer than ORDERED_VALUE_MAX; QUOTA when the batch would pass ORDERED_BATCH_BYTES_MAX: write it first.
enum status ordered_batch_put(struct ordered_batch *batch, struct text key, struct text value,
                              struct error *error);
// The same; deleting a key that is not there changes nothing.
enum status ordered_batch_delete(struct ordered_batch *batch, struct text key, struct error *error);
// Adds a change to what the key has, unread: whoever looks the key up finds what `combine` makes of all that came since it was last put or
// deleted. The limits are the change's: the combined value may grow beyond ORDERED_VALUE_MAX. INVALID in a map that does not combine.
enum status ordered_batch_combine(struct ordered_batch *batch, struct text key, struct text change,
                                  struct error *error);
void ordered_batch_clear(struct ordered_batch *batch);
size_t ordered_batch_count(const struct ordered_batch *batch); // Of changes.

// Applies the batch and clears it; readers see all of it from now on. Any thread; the order of batches of different threads is that in which the calls
// return. May wait for the disk when files are not written as fast. QUOTA (disk full) or INTERNAL: nothing of the batch was applied,
// and it is kept. After a failure of the disk the map may refuse batches until it is opened again; reading goes on.
enum status ordered_write(struct ordered *ordered, struct ordered_batch *batch,
                          struct error *error);

// Returns when all that was written before is durable. Each call makes a file, so it is for every minute, not for every batch.
enum status ordered_sync(struct ordered *ordered, struct error *error);

// What a look-up or a scan calls for an entry. The bytes are borrowed until it returns. False ends a scan.
typedef bool ordered_entry_fn(void *context, struct text key, struct text value);

// Calls `entry` with the value of the key, without copying it where it lies in one piece. The quickest look-up: files whose filter has not
// the key's group are not read. NOT_FOUND; CORRUPT as for ordered_open. Any thread.
enum status ordered_visit(struct ordered *ordered, struct text key, ordered_entry_fn *entry,
                          void *context, struct error *error);

// The same, with the value in *out, whose old content it replaces. QUOTA when it is longer than the buffer's maximum.
enum status ordered_get(struct ordered *ordered, struct text key, struct buffer *out,
                        struct error *error);

// Calls `entry` for every key that starts with `prefix` (empty: every key) and is not before `from` (empty: from the first one; else it starts
// with `prefix`: INVALID). The entries are those of one moment, whatever is written meanwhile. Allocates nothing for an entry. CORRUPT as for
// ordered_open, after those before the damage. Any thread. A scan keeps files that were merged away, so a long one is better cut into
// several, each `from` the last key with a zero byte behind it.
enum status ordered_scan(struct ordered *ordered, struct text prefix, struct text from,
                         ordered_entry_fn *entry, void *context, struct error *error);

// For status pages and measurements.
struct ordered_figures {
    int64_t
        entries; // Estimated: a key counts once for each time it was written until files are merged.
    int64_t file_bytes;
    int64_t memory_bytes; // What waits to become files, and open files; not what is mapped.
    bool
        is_merging; // Files are being merged, or are to be: look-ups take more of them until that is done.
};
struct ordered_figures ordered_figures(struct ordered *ordered);

#endif
