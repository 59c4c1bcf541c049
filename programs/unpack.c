// lode unpack: unpacks the software of a job, as a worker does it.
#include "commands.h"

#include "base/memory.h"
#include "os/file.h"
#include "software/tree.h"

#include <dirent.h>
#include <stdio.h>

// Workers tell by the statuses what became of it (src/shelf/unpacker.c).
enum {
    ABOUT_SIZE_MAX = 1 << 20,
    EXIT_REFUSED = 4,  // The archive is to blame.
    EXIT_NO_SPACE = 5, // It holds more than there is space for.
};

// What is there already would become part of what is unpacked.
static enum status check_empty(const char *folder, struct error *error)
{
    TRY(file_make_folder(folder, error));
    DIR *list = opendir(folder);
    if (!list) {
        return error_set(error, DENIED, "cannot read %s", folder);
    }
    bool is_empty = true;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        is_empty =
            is_empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    }
    (void)closedir(list);
    if (!is_empty) {
        (void)error_set(error, CONFLICT, "%s is not empty", folder);
        error_fix(error, "give a folder that is empty, or that is to be made");
        return CONFLICT;
    }
    return OK;
}

// What is known of the tree, as it was written into its folder.
static int print_about(const char *folder)
{
    struct error error = {0};
    AUTO_BUFFER struct buffer about = {0};
    AUTO_FREE char *path = memory_format("%s/" TREE_ABOUT, folder);
    if (file_read(path, ABOUT_SIZE_MAX, &about, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    struct text text = text_trim(buffer_text(&about));
    (void)printf("%.*s\n", TEXT_ARGS(text));
    return 0;
}

int command_unpack(const struct command *command, const struct options *given)
{
    (void)command;
    struct error error = {0};
    const struct tree_order order = {
        .archive = given->operands[0],
        .folder = given->operands[1],
        .is_image = strcmp(options_text(given, "kind", "bundle"), "oci") == 0,
        .quota = {.bytes = options_int64(given, "size", UNPACK_BYTES_MAX),
                  .entries = UNPACK_ENTRIES_MAX},
    };
    enum status status = check_empty(order.folder, &error);
    if (status != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    status = tree_unpack(&order, &error);
    if (status == OK) {
        return options_has(given, "json") ? print_about(order.folder) : 0;
    }
    bool is_refused = status == INVALID || status == CORRUPT;
    // A part that an image lacks is missing wherever it is unpacked.
    is_refused = is_refused || (status == NOT_FOUND && order.is_image);
    return command_fail(&error, is_refused        ? EXIT_REFUSED
                                : status == QUOTA ? EXIT_NO_SPACE
                                                  : EXIT_FAILED);
}
