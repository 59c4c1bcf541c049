// unpack_archive and unpack_layer: any bytes as an archive. Nothing comes out of the folder, nothing stays in it that may not, and the quota holds.
#include "software/unpack.h"
#include "base/memory.h"
#include "fuzz.h"
#include "os/file.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/mman.h>

enum { BYTES_MAX = 1 << 20, ENTRIES_MAX = 200 };

static char top[] = "/dev/shm/lode-fuzz-unpack-XXXXXX";

static void remove_top(void)
{
    (void)file_remove_tree(top, NULL);
}

// Once: a folder with nothing but "in", in which everything is to stay.
static void make_top(void)
{
    static bool is_made;
    if (!is_made) {
        is_made = true;
        FUZZ_CHECK(mkdtemp(top) != NULL);
        FUZZ_CHECK(atexit(remove_top) == 0);
    }
}

static void check_tree(const struct unpack_quota *left)
{
    char *roots[] = {top, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FUZZ_CHECK(tree != NULL);
    int64_t entries = 0;
    for (FTSENT *entry = fts_read(tree); entry; entry = fts_read(tree)) {
        FUZZ_CHECK(entry->fts_info == FTS_D || entry->fts_info == FTS_DP ||
                   entry->fts_info == FTS_F || entry->fts_info == FTS_SL);
        FUZZ_CHECK(entry->fts_info == FTS_SL || (entry->fts_statp->st_mode & 07000) == 0);
        FUZZ_CHECK(entry->fts_level != 1 || strcmp(entry->fts_name, "in") == 0);
        entries += entry->fts_level > 1 && entry->fts_info != FTS_DP;
    }
    (void)fts_close(tree);
    FUZZ_CHECK(entries <= ENTRIES_MAX - left->entries);
    FUZZ_CHECK(left->bytes >= 0 && left->entries >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_top();
    AUTO_FREE char *root = memory_format("%s/in", top);
    FUZZ_CHECK(file_make_folder(root, NULL) == OK);
    AUTO_CLOSE int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSE int archive_fd = memfd_create("archive", MFD_CLOEXEC);
    FUZZ_CHECK(root_fd >= 0 && archive_fd >= 0);
    FUZZ_CHECK(file_write_all(archive_fd, fuzz_text(data, size), NULL) == OK);
    struct unpack_quota quota = {.bytes = BYTES_MAX, .entries = ENTRIES_MAX};
    struct error error = {0};
    enum status status = unpack_archive(archive_fd, root_fd, &quota, &error);
    FUZZ_CHECK(status == OK || (status == error.status && error.detail[0] != '\0'));
    check_tree(&quota);
    status = unpack_layer(archive_fd, root_fd, &quota, NULL);
    check_tree(&quota);
    FUZZ_CHECK(file_remove_tree(root, NULL) == OK);
    (void)status;
    return 0;
}
