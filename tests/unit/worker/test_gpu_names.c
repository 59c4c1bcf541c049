#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "worker/gpu_names.h"

// A file below the folder, which stands for the root of a machine.
static void put(const char *path, const char *content)
{
    AUTO_FREE char *whole = memory_format("%s%s", folder, path);
    for (char *slash = strchr(whole + strlen(folder) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_int_equal(file_make_folder(whole, NULL), OK);
        *slash = '/';
    }
    assert_int_equal(file_write_atomic(whole, text_of(content), 0600, NULL), OK);
}

static char *joined(const struct gpu_names *names)
{
    AUTO_BUFFER struct buffer out = {0};
    buffer_append_string(&out, "");
    for (size_t i = 0; i < names->count; i++) {
        buffer_printf(&out, "%s%s", i > 0 ? " " : "", names->names[i]);
    }
    return buffer_take_string(&out);
}

static void assert_chosen(const char *visible, int64_t wanted, const char *expected)
{
    struct arena arena AUTO_ARENA = {0};
    struct gpu_names names;
    assert_int_equal(gpu_names_choose(folder, visible, wanted, &arena, &names, NULL), OK);
    AUTO_FREE char *found = joined(&names);
    assert_string_equal(found, expected);
}

static void a_list_of_names_is_read_as_cuda_reads_it(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"2,3", "2 3"},
        {"", ""},
        {" 0 , 5 ", "0 5"},
        {"NoDevFiles", ""},
        {"-1", ""},
        {"1,-1,2", "1"},
        {"1,,2", "1"},
        {"4,1,4,2", "4 1"},
        {"0x1", ""},
        {"12345678901", ""},
        {"GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,1",
         "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6 1"},
        {"MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"},
        {"MIG-GPU-8932f937/1/0", "MIG-GPU-8932f937/1/0"},
        {"GPU-", ""},
        {"GPU-a b,1", ""},
        {"GPU-a\"b,1", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct arena arena AUTO_ARENA = {0};
        struct gpu_names names;
        gpu_names_read(text_of(CASES[i][0]), &arena, &names);
        AUTO_FREE char *found = joined(&names);
        assert_string_equal(found, CASES[i][1]);
    }
}

static void a_list_of_names_without_end_is_cut(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct gpu_names names;
    AUTO_BUFFER struct buffer long_list = {0};
    for (int i = 0; i < 3 * GPU_NAMES_MAX; i++) {
        buffer_printf(&long_list, "%d,", i);
    }
    gpu_names_read(buffer_text(&long_list), &arena, &names);
    assert_int_equal(names.count, GPU_NAMES_MAX);
}

static void a_machine_without_devices_has_none(void **state)
{
    (void)state;
    assert_int_equal(gpu_names_count(folder), 0);
    assert_chosen(NULL, -1, "");
    assert_chosen(NULL, 2, "0 1"); // Who says so is believed.
}

static void devices_of_nvidia_are_counted(void **state)
{
    (void)state;
    put("/dev/nvidiactl", "");
    put("/dev/nvidia-uvm", "");
    put("/dev/nvidia0x", "");
    assert_int_equal(gpu_names_count(folder), 0);
    put("/dev/nvidia2", "");
    put("/dev/nvidia10", "");
    assert_int_equal(gpu_names_count(folder), 2);
    assert_chosen(NULL, -1, "0 1");
    assert_chosen(NULL, 1, "0");
    assert_chosen(NULL, 0, "");
}

static void devices_of_amd_are_counted_by_their_topology(void **state)
{
    (void)state;
    put("/sys/class/kfd/kfd/topology/nodes/0/gpu_id", "0\n"); // A processor of the usual kind.
    put("/sys/class/kfd/kfd/topology/nodes/1/gpu_id", "45261\n");
    put("/sys/class/kfd/kfd/topology/nodes/2/gpu_id", "3142\n");
    put("/sys/class/kfd/kfd/topology/nodes/3/gpu_id", "what?\n");
    put("/sys/class/kfd/kfd/topology/nodes/4/name", "7\n");
    assert_int_equal(gpu_names_count(folder), 0); // Nobody may use them.
    put("/dev/kfd", "");
    assert_int_equal(gpu_names_count(folder), 2);
    assert_chosen(NULL, -1, "0 1");
    put("/dev/nvidia0", "");
    assert_int_equal(gpu_names_count(folder), 1);
}

static void a_job_that_was_given_some_offers_these(void **state)
{
    (void)state;
    put("/dev/nvidia0", "");
    put("/dev/nvidia1", "");
    put("/dev/nvidia2", "");
    put("/dev/nvidia3", "");
    assert_chosen("2,3", -1, "2 3");
    assert_chosen("2,3", 2, "2 3");
    assert_chosen("2,3", 1, "2");
    assert_chosen("2,3", 0, "");
    assert_chosen("", -1, "");
    assert_chosen("", 0, "");
}

static void more_than_were_given_is_refused(void **state)
{
    (void)state;
    struct arena arena AUTO_ARENA = {0};
    struct gpu_names names = {.count = 77};
    struct error error;
    assert_int_equal(gpu_names_choose(folder, "2,3", 3, &arena, &names, &error), INVALID);
    assert_string_equal(error.detail,
                        "3 graphics processors are more than the 2 that CUDA_VISIBLE_DEVICES has: "
                        "\"2,3\"");
    assert_int_equal(gpu_names_choose(folder, NULL, GPU_NAMES_MAX + 1, &arena, &names, &error),
                     INVALID);
    assert_int_equal(names.count, 77);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_names_is_read_as_cuda_reads_it),
        cmocka_unit_test(a_list_of_names_without_end_is_cut),
        IN_FOLDER(a_machine_without_devices_has_none),
        IN_FOLDER(devices_of_nvidia_are_counted),
        IN_FOLDER(devices_of_amd_are_counted_by_their_topology),
        IN_FOLDER(a_job_that_was_given_some_offers_these),
        IN_FOLDER(more_than_were_given_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
