// A folder for a test program, or for each test of one: made before (folder_make), and removed with all that is in it after (folder_remove). It is
// the state too.
#ifndef LODE_TESTS_FOLDER_H
#define LODE_TESTS_FOLDER_H

#include "os/file.h"

#include <stdlib.h>
#include <string.h>

#define FOLDER_TEMPLATE "/tmp/lode-test-XXXXXX"

static char folder[sizeof FOLDER_TEMPLATE];

static int folder_make(void **state)
{
    memcpy(folder, FOLDER_TEMPLATE, sizeof FOLDER_TEMPLATE);
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL) == OK ? 0 : -1;
}

#endif
