// Archives from anybody: what is in order is unpacked, and nothing reaches out of the folder.
#include "tar.h"

#include "software/unpack.h"

#define COUNT_OF(list) (sizeof(list) / sizeof(list)[0])

// A folder "in" to unpack into, with a file "secret" beside it.
struct fixture {
    char folder[64];
    int folder_fd;
    int root_fd;
    struct unpack_quota quota;
    struct error error;
};

static int set_up(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/lode-test-unpack-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    AUTO_FREE char *root = memory_format("%s/in", fixture->folder);
    AUTO_FREE char *secret = memory_format("%s/secret", fixture->folder);
    assert_int_equal(file_make_folder(root, NULL), OK);
    assert_int_equal(file_write_atomic(secret, TEXT("secret"), 0600, NULL), OK);
    fixture->folder_fd = open(fixture->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fixture->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fixture->quota = (struct unpack_quota){.bytes = 1 << 20, .entries = 1000};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tar_expect(fixture->folder_fd, "secret", "secret");
    file_close_local(&fixture->folder_fd);
    file_close_local(&fixture->root_fd);
    assert_int_equal(file_remove_tree(fixture->folder, NULL), OK);
    free(fixture);
    return 0;
}

static enum status unpack(struct fixture *fixture, const struct tar_entry *entries, size_t count)
{
    AUTO_CLOSE int fd = tar_of(entries, count);
    return unpack_archive(fd, fixture->root_fd, &fixture->quota, &fixture->error);
}

static void expect_refusal(struct fixture *fixture, const struct tar_entry *entry,
                           const char *words)
{
    assert_int_equal(unpack(fixture, entry, 1), INVALID);
    assert_non_null(strstr(fixture->error.detail, words));
    assert_true(fixture->error.fix[0] != '\0');
}

static void folders_files_and_links_are_unpacked(void **state)
{
    struct fixture *fixture = *state;
    const struct tar_entry entries[] = {
        {.name = "./", .type = '5', .mode = 0755},
        {.name = "bin/", .type = '5', .mode = 0755},
        {.name = "bin/tool", .type = '0', .content = "tool", .mode = 0755},
        {.name = "./missing/folders/are/made", .type = '0', .content = "deep"},
        {.name = "bin/again", .type = '1', .target = "./bin/tool"},
        {.name = "sbin", .type = '2', .target = "bin"},
        {.name = "sbin/other", .type = '0', .content = "through the link"},
    };
    assert_int_equal(unpack(fixture, entries, COUNT_OF(entries)), OK);
    struct stat tool;
    struct stat again;
    tar_expect(fixture->root_fd, "bin/tool", "tool");
    tar_expect(fixture->root_fd, "missing/folders/are/made", "deep");
    tar_expect(fixture->root_fd, "bin/other", "through the link");
    assert_int_equal(fstatat(fixture->root_fd, "bin/tool", &tool, 0), 0);
    assert_int_equal(fstatat(fixture->root_fd, "bin/again", &again, 0), 0);
    assert_int_equal(tool.st_ino, again.st_ino);
    assert_int_equal(tool.st_mode & 07777, 0755);
    assert_int_equal(fixture->quota.bytes, (1 << 20) - 4 - 4 - 16);
}

static void absolute_paths_are_refused(void **state)
{
    expect_refusal(*state, &(struct tar_entry){.name = "/etc/x", .type = '0', .content = "x"},
                   "absolute");
}

static void paths_that_lead_up_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"../secret", "a/../../secret", "..", "a/.."};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        expect_refusal(fixture, &(struct tar_entry){.name = names[i], .type = '0', .content = "x"},
                       "\"..\"");
    }
}

static void a_link_that_leads_out_leads_to_the_same_place_inside(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *outside = memory_format("%s", fixture->folder);
    const struct tar_entry entries[] = {
        {.name = "up", .type = '2', .target = ".."},
        {.name = "up/secret", .type = '0', .content = "taken"},
        {.name = "out", .type = '2', .target = outside},
        {.name = "tmp", .type = '5', .mode = 0755},
    };
    assert_int_equal(unpack(fixture, entries, COUNT_OF(entries)), OK);
    tar_expect(fixture->root_fd, "secret", "taken");
    // The absolute link leads to a folder that is not there, so what should go through it is refused.
    const struct tar_entry through[] = {{.name = "out/secret", .type = '0', .content = "taken"}};
    assert_int_equal(unpack(fixture, through, 1), INVALID);
    assert_false(tar_has(fixture->folder_fd, "in/tmp/secret"));
}

static void a_file_takes_the_place_of_a_link_and_is_not_written_through_it(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *outside = memory_format("%s/secret", fixture->folder);
    const struct tar_entry entries[] = {
        {.name = "a", .type = '2', .target = outside},
        {.name = "a", .type = '0', .content = "inside"},
    };
    assert_int_equal(unpack(fixture, entries, COUNT_OF(entries)), OK);
    tar_expect(fixture->root_fd, "a", "inside");
}

static void hard_links_reach_nothing_outside(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *absolute = memory_format("%s/secret", fixture->folder);
    expect_refusal(fixture, &(struct tar_entry){.name = "a", .type = '1', .target = "../secret"},
                   "\"..\"");
    expect_refusal(fixture, &(struct tar_entry){.name = "a", .type = '1', .target = absolute},
                   "absolute");
    const struct tar_entry entries[] = {
        {.name = "up", .type = '2', .target = ".."},
        {.name = "a", .type = '1', .target = "up/secret"},
    };
    assert_int_equal(unpack(fixture, entries, COUNT_OF(entries)), INVALID);
    // Not even by way of a link, whose own inode is what is linked.
    const struct tar_entry by_link[] = {
        {.name = "link", .type = '2', .target = absolute},
        {.name = "b", .type = '1', .target = "link"},
        {.name = "b", .type = '0', .content = "inside"},
    };
    assert_int_equal(unpack(fixture, by_link, COUNT_OF(by_link)), OK);
    tar_expect(fixture->root_fd, "b", "inside");
}

static void devices_are_refused_but_in_dev(void **state)
{
    struct fixture *fixture = *state;
    expect_refusal(fixture, &(struct tar_entry){.name = "a/null", .type = '3'}, "device");
    expect_refusal(fixture, &(struct tar_entry){.name = "pipe", .type = '6'}, "FIFO");
    const struct tar_entry entries[] = {
        {.name = "dev/", .type = '5'},
        {.name = "dev/null", .type = '3'},
        {.name = "./proc/x", .type = '0', .content = "x"},
    };
    assert_int_equal(unpack(fixture, entries, COUNT_OF(entries)), OK);
    assert_false(tar_has(fixture->root_fd, "dev") || tar_has(fixture->root_fd, "proc"));
}

static void nothing_is_set_user_id(void **state)
{
    struct fixture *fixture = *state;
    const struct tar_entry entries[] = {
        {.name = "su", .type = '0', .content = "x", .mode = 06755},
        {.name = "shared", .type = '5', .mode = 07777},
        {.name = "closed", .type = '5', .mode = 01},
        {.name = "closed/file", .type = '0', .content = "x", .mode = 02},
    };
    struct stat info;
    assert_int_equal(unpack(fixture, entries, COUNT_OF(entries)), OK);
    assert_int_equal(fstatat(fixture->root_fd, "su", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0755);
    assert_int_equal(fstatat(fixture->root_fd, "shared", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0777);
    assert_int_equal(fstatat(fixture->root_fd, "closed/file", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0402);
}

static void a_bomb_ends_at_the_quota(void **state)
{
    struct fixture *fixture = *state;
    // A file that says 8 GiB is refused before a byte of it is written.
    const struct tar_entry large = {.name = "bomb", .type = '0', .size = UINT64_C(8) << 30};
    fixture->quota.bytes = 1 << 20;
    AUTO_BUFFER struct buffer bytes = {0};
    struct tar_entry octal = large;
    octal.size = 077777777777; // The most that eleven octal digits say.
    tar_put(&bytes, &octal);
    AUTO_CLOSE int fd = tar_file(&bytes);
    assert_int_equal(unpack_archive(fd, fixture->root_fd, &fixture->quota, &fixture->error), QUOTA);
    struct stat info;
    assert_true(fstatat(fixture->root_fd, "bomb", &info, 0) < 0 || info.st_size == 0);
    // Many small files count one by one, and so do the folders that are made for them.
    fixture->quota.entries = 3;
    const struct tar_entry many[] = {
        {.name = "a", .type = '0'}, {.name = "b", .type = '0'}, {.name = "c/d/e", .type = '0'}};
    assert_int_equal(unpack(fixture, many, COUNT_OF(many)), QUOTA);
}

static void paths_have_a_depth(void **state)
{
    struct fixture *fixture = *state;
    char name[100];
    for (size_t i = 0; i < sizeof name - 1; i++) {
        name[i] = i % 2 ? '/' : 'a';
    }
    name[sizeof name - 1] = '\0';
    AUTO_BUFFER struct buffer up = {0};
    buffer_append_string(&up, name);
    const struct tar_entry deep = {.name = name, .type = '5'};
    assert_int_equal(unpack(fixture, &deep, 1), OK);
    // Six of the same in a name of its own (GNU tar's long names).
    AUTO_BUFFER struct buffer archive = {0};
    AUTO_BUFFER struct buffer whole = {0};
    for (int i = 0; i < 6; i++) {
        buffer_append_string(&whole, name);
        buffer_append_byte(&whole, '/');
    }
    tar_put(&archive, &(struct tar_entry){"././@LongLink", 'L', NULL, whole.bytes, 0, 0});
    tar_put(&archive, &(struct tar_entry){"short", '0', NULL, "x", 0, 0});
    tar_end(&archive);
    AUTO_CLOSE int fd = tar_file(&archive);
    assert_int_equal(unpack_archive(fd, fixture->root_fd, &fixture->quota, &fixture->error),
                     INVALID);
    assert_non_null(strstr(fixture->error.detail, "too long"));
}

static void what_is_no_archive_is_said_to_be_none(void **state)
{
    struct fixture *fixture = *state;
    AUTO_BUFFER struct buffer bytes = {0};
    buffer_append_string(&bytes, "this is a letter, and no archive at all; it goes on for a while");
    AUTO_CLOSE int fd = tar_file(&bytes);
    assert_int_equal(unpack_archive(fd, fixture->root_fd, &fixture->quota, &fixture->error),
                     CORRUPT);
    assert_true(fixture->error.detail[0] != '\0');
}

static void an_archive_that_breaks_off_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    AUTO_BUFFER struct buffer bytes = {0};
    tar_put(&bytes, &(struct tar_entry){.name = "a", .type = '0', .content = "x", .size = 4000});
    AUTO_CLOSE int fd = tar_file(&bytes);
    assert_int_equal(unpack_archive(fd, fixture->root_fd, &fixture->quota, &fixture->error),
                     CORRUPT);
}

static void a_file_is_no_folder_for_others(void **state)
{
    struct fixture *fixture = *state;
    const struct tar_entry entries[] = {
        {.name = "a", .type = '0', .content = "x"},
        {.name = "a/b", .type = '0', .content = "x"},
    };
    assert_int_equal(unpack(fixture, entries, COUNT_OF(entries)), INVALID);
    assert_non_null(strstr(fixture->error.detail, "is no folder"));
}

static void names_beyond_ascii_are_kept(void **state)
{
    struct fixture *fixture = *state;
    const struct tar_entry entries[] = {{.name = "größe", .type = '0', .content = "x"},
                                        {.name = "latin-\xe9", .type = '0', .content = "y"}};
    assert_int_equal(unpack(fixture, entries, COUNT_OF(entries)), OK);
    tar_expect(fixture->root_fd, "größe", "x");
    tar_expect(fixture->root_fd, "latin-\xe9", "y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folders_files_and_links_are_unpacked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(absolute_paths_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_that_lead_up_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_that_leads_out_leads_to_the_same_place_inside,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_takes_the_place_of_a_link_and_is_not_written_through_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hard_links_reach_nothing_outside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(devices_are_refused_but_in_dev, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_set_user_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bomb_ends_at_the_quota, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_have_a_depth, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_archive_is_said_to_be_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_archive_that_breaks_off_is_corrupt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_is_no_folder_for_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_beyond_ascii_are_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
