// What a worker reads of folders that tasks and users write: outputs and inputs.
#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "os/file.h"
#include "sandbox/inputs.h"
#include "sandbox/outputs.h"

#include <fcntl.h>
#include <stdio.h>

static void put(const char *name, const char *content)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, text_of(content), 0640, NULL), OK);
}

static void make(const char *name)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    assert_int_equal(file_make_folder(path, NULL), OK);
}

static void link_to(const char *target, const char *name)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static bool has_output(const struct outputs *outputs, const char *path)
{
    for (size_t i = 0; i < outputs->count; i++) {
        if (strcmp(outputs->items[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

static void outputs_are_those_that_match_and_stay_in_the_folder(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct outputs outputs = {0};
    const char *const patterns[] = {"*.txt", "sub/*.dat", "link*", "fold*"};
    const char *const ignored[] = {"own.txt", NULL};
    const struct outputs_wanted wanted = {patterns, 4, ignored};
    make("work/sub/deeper");
    make("outside");
    put("outside/secret", "secret");
    put("work/a.txt", "aa");
    put("work/own.txt", "of the job");
    put("work/b.bin", "b");
    put("work/sub/c.dat", "ccc");
    put("work/sub/deeper/d.dat", "d");
    link_to("../outside/secret", "work/link-out");
    link_to("/etc/passwd", "work/link-absolute");
    link_to("sub/c.dat", "work/link-in");
    link_to("nowhere", "work/link-dangling");
    link_to("../outside", "work/folder-out");
    AUTO_FREE char *work = memory_format("%s/work", folder);
    AUTO_CLOSE int work_fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(outputs_collect(work_fd, &wanted, &arena, &outputs, NULL), OK);
    assert_int_equal(outputs.count, 3);
    assert_true(has_output(&outputs, "a.txt"));
    assert_true(has_output(&outputs, "sub/c.dat"));
    assert_true(has_output(&outputs, "link-in"));
    for (size_t i = 0; i < outputs.count; i++) {
        assert_true(outputs.items[i].size > 0);
    }
    outputs_close(&outputs);
}

static struct job one_file(struct job_data *data, struct job_root *root, struct job_data_file *file)
{
    data->name = "x";
    data->roots = root;
    data->root_count = 1;
    data->files = file;
    data->file_count = 1;
    return (struct job){.data = data, .data_count = 1};
}

static void inputs_must_be_as_they_were_registered(void **state)
{
    (void)state;
    make("data");
    put("data/a", "content");
    AUTO_FREE char *root_path = memory_format("%s/data", folder);
    AUTO_FREE char *path = memory_format("%s/data/a", folder);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    struct job_root root = {.path = root_path, .mount = "", .is_folder = true};
    const struct job_data_file good = {.path = "a.nc",
                                       .source = path,
                                       .size = 7,
                                       .modified_us = (int64_t)info.st_mtim.tv_sec * 1000000 +
                                                      info.st_mtim.tv_nsec / 1000,
                                       .inode = (int64_t)info.st_ino};
    struct job_data_file file = good;
    struct job_data data = {0};
    struct job job = one_file(&data, &root, &file);
    struct error error;
    assert_int_equal(inputs_check(&job, &error), OK);
    file.size = 8;
    assert_int_equal(inputs_check(&job, &error), INVALID);
    assert_non_null(strstr(error.detail, "7 bytes"));
    file = good;
    file.modified_us++;
    assert_int_equal(inputs_check(&job, &error), INVALID);
    file = good;
    file.inode++;
    assert_int_equal(inputs_check(&job, &error), INVALID);
    file = good;
    AUTO_FREE char *missing = memory_format("%s/data/b", folder);
    file.source = missing;
    assert_int_equal(inputs_check(&job, &error), INVALID);
    assert_non_null(strstr(error.detail, "is missing"));
}

static void an_input_that_leads_out_of_its_root_is_refused(void **state)
{
    (void)state;
    make("data");
    link_to("/etc/passwd", "data/out");
    AUTO_FREE char *root_path = memory_format("%s/data", folder);
    AUTO_FREE char *path = memory_format("%s/data/out", folder);
    struct job_root root = {.path = root_path, .mount = "", .is_folder = true};
    struct job_data_file file = {.path = "a.nc", .source = path};
    struct job_data data = {0};
    struct job job = one_file(&data, &root, &file);
    struct error error;
    assert_int_equal(inputs_check(&job, &error), INVALID);
    assert_non_null(strstr(error.detail, "leads out"));
    file.source = "/etc/passwd";
    assert_int_equal(inputs_check(&job, &error), INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_those_that_match_and_stay_in_the_folder),
        cmocka_unit_test(inputs_must_be_as_they_were_registered),
        cmocka_unit_test(an_input_that_leads_out_of_its_root_is_refused),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
