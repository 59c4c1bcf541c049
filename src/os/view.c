#include "os/view.h"

#include "os/file.h"

#include <stdio.h>

enum { BOOT_SIZE_MAX = 64, NAMESPACE_SIZE_MAX = 40 };

void view_read(char out[VIEW_SIZE])
{
    AUTO_BUFFER struct buffer boot = {0};
    char namespace[NAMESPACE_SIZE_MAX + 1];
    struct stat root;
    ssize_t length = readlink("/proc/self/ns/mnt", namespace, NAMESPACE_SIZE_MAX);
    out[0] = '\0';
    if (length <= 0 || stat("/", &root) < 0 ||
        file_read("/proc/sys/kernel/random/boot_id", BOOT_SIZE_MAX, &boot, NULL) != OK) {
        return;
    }
    namespace[length] = '\0';
    struct text id = text_trim(buffer_text(&boot));
    (void)snprintf(out, VIEW_SIZE, "%.*s %s %llu:%llu", TEXT_ARGS(id), namespace,
                   (unsigned long long)root.st_dev, (unsigned long long)root.st_ino);
}
