// Hands every file of the folders and files named as arguments to a fuzz target: the corpus as an ordinary test.
#include "base/buffer.h"
#include "base/memory.h"
#include "fuzz.h"
#include "os/file.h"

#include <dirent.h>

enum { INPUT_SIZE_MAX = 64 << 20 };

static int replay_file(const char *path)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer content = {0};
    if (file_read(path, INPUT_SIZE_MAX, &content, &error) != OK) {
        (void)fprintf(stderr, "%s\n", error.detail);
        return 0;
    }
    // A copy of the exact size: one byte read behind the end is then seen by the sanitizer.
    AUTO_FREE uint8_t *input = malloc(content.length > 0 ? content.length : 1);
    if (!input) {
        return 0;
    }
    if (content.length > 0) {
        memcpy(input, content.bytes, content.length);
    }
    (void)fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(input, content.length);
    return 1;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        return replay_file(path);
    }
    int count = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        AUTO_FREE char *file = memory_format("%s/%s", path, entry->d_name);
        count += replay_file(file);
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        count += replay_folder(argv[i]);
    }
    (void)printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
