#include "site.h"

#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>

static const struct catalog_witness NO_WITNESS = {0};

static void a_folder_is_registered_in_place_with_the_checksum_of_every_file(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put_folder(&site, "b");
    put(&site, "b/two.nc", "two");
    put(&site, "a.nc", "one");
    put(&site, ".hidden", "");
    assert_int_equal(add(&site, "doi:10.1/X", site.data, NULL), OK);
    struct dataset dataset = settled(&site, "https://doi.org/10.1/x", &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_string_equal(dataset.id, "doi:10.1/x");
    assert_int_equal(dataset.file_count, 3);
    assert_int_equal(dataset.size_bytes, 6);
    assert_int_equal(dataset.root_count, 1);
    assert_string_equal(dataset.roots[0].path, site.data);
    assert_string_equal(dataset.roots[0].mount, "");
    struct dataset_file files[4];
    size_t count = 0;
    assert_int_equal(
        catalog_files(site.catalog, dataset.number, TEXT_NONE, 4, &arena, files, &count, NULL), OK);
    assert_int_equal(count, 3);
    assert_string_equal(files[0].path, ".hidden");
    assert_string_equal(files[1].path, "a.nc");
    assert_string_equal(files[2].path, "b/two.nc");
    struct digest two = digest_of("two", 3);
    assert_true(files[2].has_digest && digest_equal(&files[2].digest, &two));
    assert_string_equal(catalog_file_source(&dataset, &files[2], &arena),
                        data_path(&site, "b/two.nc"));
}

static void the_digest_of_a_dataset_names_its_paths_sizes_and_contents(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put(&site, "a", "x");
    put(&site, "b", "");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    struct dataset dataset = settled(&site, "s:n", &arena);
    static const char LIST[] =
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 1 a\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 b\n";
    struct digest expected = digest_of(LIST, sizeof LIST - 1);
    assert_true(dataset.has_digest && digest_equal(&dataset.digest, &expected));
}

static void several_paths_are_mounted_by_their_last_part(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put_folder(&site, "model");
    put(&site, "model/run.nc", "run");
    put(&site, "grid.nc", "grid");
    put_link(&site, "link.nc", "grid.nc");
    struct text paths[] = {text_of(data_path(&site, "model/")),
                           text_of(data_path(&site, "link.nc"))};
    struct text aliases[] = {TEXT("ark:12345/x-1"), TEXT("s:other")};
    struct dataset_request request = {.id = TEXT("s:n"),
                                      .paths = paths,
                                      .path_count = 2,
                                      .aliases = aliases,
                                      .alias_count = 2,
                                      .title = TEXT("A title"),
                                      .owner = TEXT("ada")};
    bool is_new = false;
    assert_int_equal(catalog_register(site.catalog, &request, &is_new, NULL), OK);
    assert_true(is_new);
    struct dataset dataset = settled(&site, "ark:/12345/x1", &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_int_equal(dataset.file_count, 2);
    assert_int_equal(dataset.alias_count, 2);
    assert_string_equal(dataset.title, "A title");
    struct dataset_file file = file_of(&site, &dataset, "model/run.nc", &arena);
    assert_string_equal(catalog_file_source(&dataset, &file, &arena),
                        data_path(&site, "model/run.nc"));
    file = file_of(&site, &dataset, "link.nc", &arena);
    assert_string_equal(catalog_file_source(&dataset, &file, &arena), data_path(&site, "grid.nc"));
    // The same in another order is the same.
    struct text turned[] = {paths[1], paths[0]};
    request.paths = turned;
    assert_int_equal(catalog_register(site.catalog, &request, &is_new, NULL), OK);
    assert_false(is_new);
}

static void links_within_the_folder_are_followed(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put_folder(&site, "v1");
    put(&site, "v1/a", "one");
    put_link(&site, "latest", "v1");
    put_link(&site, "v1/b", "../v1/a");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    struct dataset dataset = settled(&site, "s:n", &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_int_equal(dataset.file_count, 4);
    struct dataset_file file = file_of(&site, &dataset, "latest/b", &arena);
    struct digest one = digest_of("one", 3);
    assert_true(digest_equal(&file.digest, &one));
}

static void assert_fails(struct site *site, const char *part)
{
    AUTO_ARENA struct arena arena = {0};
    assert_int_equal(add(site, "s:n", site->data, NULL), OK);
    struct dataset dataset = settled(site, "s:n", &arena);
    assert_int_equal(dataset.state, DATASET_FAILED);
    if (!strstr(dataset.problem, part)) {
        fail_msg("\"%s\" does not say \"%s\"", dataset.problem, part);
    }
    assert_true(dataset.fix[0] != '\0');
}

static void links_that_leave_dangle_or_circle_fail_the_registration(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put(&site, "a", "one");
    put_link(&site, "out", "../site.db");
    assert_fails(&site, "/out is a link that leaves the registered folder");
    (void)unlink(data_path(&site, "out"));
    put_link(&site, "out", "/etc/passwd");
    assert_fails(&site, "/out is a link that leaves the registered folder");
    (void)unlink(data_path(&site, "out"));
    put_link(&site, "out", "/proc/self/fd/0");
    assert_fails(&site, "/out is a link that leaves the registered folder");
    (void)unlink(data_path(&site, "out"));
    put_link(&site, "out", "nothing");
    assert_fails(&site, "/out is a link that leads nowhere");
    (void)unlink(data_path(&site, "out"));
    put_link(&site, "out", "out");
    assert_fails(&site, "/out is a link");
    (void)unlink(data_path(&site, "out"));
    put_folder(&site, "b");
    put_link(&site, "b/up", "..");
    assert_fails(&site, "/b/up is a link to a folder that it lies in");
    (void)unlink(data_path(&site, "b/up"));
    assert_int_equal(mkfifo(data_path(&site, "pipe"), 0600), 0);
    assert_fails(&site, "/pipe is a device, pipe or socket");
    (void)unlink(data_path(&site, "pipe"));
    put(&site, "line\nbreak", "");
    assert_fails(&site, "/line?break has a name");
    (void)unlink(data_path(&site, "line\nbreak"));
    put(&site, "latin\xE9", "");
    assert_fails(&site, "/latin? has a name");
    (void)unlink(data_path(&site, "latin\xE9"));
    // Posting it again is enough once the cause is gone.
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    struct dataset dataset = settled(&site, "s:n", &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_int_equal(dataset.file_count, 1);
    assert_string_equal(dataset.problem, "");
}

static void bad_paths_are_refused_at_once(void **state)
{
    (void)state;
    AUTO_SITE struct site site;
    site_new(&site);
    struct error error = {0};
    assert_int_equal(add(&site, "s:n", "relative", &error), INVALID);
    assert_says(&error, INVALID, "not absolute");
    assert_int_equal(add(&site, "s:n", "/tmp/../etc", &error), INVALID);
    assert_int_equal(add(&site, "s:n", "/", &error), INVALID);
    assert_int_equal(add(&site, "s:n", "/tmp/a\nb", &error), INVALID);
    assert_int_equal(add(&site, "s:n", "/tmp/\xC3", &error), INVALID);
    assert_int_equal(add(&site, "s:n", "/dev/null", &error), INVALID);
    assert_int_equal(add(&site, "s:n", data_path(&site, "none"), &error), NOT_FOUND);
    assert_says(&error, NOT_FOUND, "/none");
    assert_int_equal(add(&site, "no identifier", site.data, &error), INVALID);
    put_folder(&site, "x");
    put_folder(&site, "y");
    put(&site, "x/same", "");
    put(&site, "y/same", "");
    struct text paths[] = {text_of(data_path(&site, "x/same")),
                           text_of(data_path(&site, "y/same"))};
    struct dataset_request request = {.id = TEXT("s:n"), .paths = paths, .path_count = 2};
    bool is_new = false;
    assert_int_equal(catalog_register(site.catalog, &request, &is_new, &error), INVALID);
    assert_says(&error, INVALID, "both called \"same\"");
}

static void names_belong_to_one_dataset_only(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    struct error error = {0};
    put_folder(&site, "x");
    put_folder(&site, "y");
    assert_int_equal(add(&site, "s:x", data_path(&site, "x"), NULL), OK);
    assert_int_equal(add(&site, "s:x", data_path(&site, "y"), &error), CONFLICT);
    assert_says(&error, CONFLICT, "s:x is registered with other paths");
    struct text paths[] = {text_of(data_path(&site, "y"))};
    struct text aliases[] = {TEXT("s:free"), TEXT("s:x")};
    struct dataset_request request = {
        .id = TEXT("s:y"), .paths = paths, .path_count = 1, .aliases = aliases, .alias_count = 2};
    bool is_new = false;
    assert_int_equal(catalog_register(site.catalog, &request, &is_new, &error), CONFLICT);
    assert_says(&error, CONFLICT, "s:x already names the dataset s:x");
    // Nothing of a refused request stays.
    struct dataset dataset;
    assert_int_equal(catalog_find(site.catalog, TEXT("s:free"), &arena, &dataset, &error),
                     NOT_FOUND);
    assert_int_equal(catalog_find(site.catalog, TEXT("s:y"), &arena, &dataset, &error), NOT_FOUND);
    assert_says(&error, NOT_FOUND, "s:y");
}

static void a_removed_dataset_frees_its_names_and_its_files_are_not_mixed_up(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    put(&site, "a", "one");
    put_folder(&site, "y");
    assert_int_equal(add(&site, "s:x", site.data, NULL), OK);
    struct dataset first = settled(&site, "s:x", &arena);
    assert_int_equal(catalog_remove(site.catalog, TEXT("s:x"), NO_WITNESS, NULL), OK);
    assert_int_equal(catalog_remove(site.catalog, TEXT("s:x"), NO_WITNESS, NULL), NOT_FOUND);
    assert_int_equal(access(data_path(&site, "a"), F_OK), 0);
    put(&site, "y/b", "two");
    assert_int_equal(add(&site, "s:x", data_path(&site, "y"), NULL), OK);
    struct dataset second = settled(&site, "s:x", &arena);
    assert_true(second.number > first.number);
    assert_int_equal(second.file_count, 1);
    assert_string_equal(file_of(&site, &second, "b", &arena).path, "b");
}

static enum status refuse_to_witness(struct sql *sql, void *context, struct error *error)
{
    (void)sql;
    (void)context;
    return error_set(error, QUOTA, "the audit log is full");
}

static void a_change_that_cannot_be_witnessed_does_not_happen(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    struct error error = {0};
    struct catalog_witness refusal = {.write = refuse_to_witness};
    struct text paths[] = {text_of(site.data)};
    struct dataset_request request = {
        .id = TEXT("s:x"), .paths = paths, .path_count = 1, .witness = refusal};
    bool is_new = false;
    struct dataset dataset;
    assert_int_equal(catalog_register(site.catalog, &request, &is_new, &error), QUOTA);
    assert_int_equal(catalog_find(site.catalog, TEXT("s:x"), &arena, &dataset, NULL), NOT_FOUND);
    assert_int_equal(add(&site, "s:x", site.data, NULL), OK);
    (void)settled(&site, "s:x", &arena);
    struct catalog_verify how = {.witness = refusal};
    assert_int_equal(catalog_verify(site.catalog, TEXT("s:x"), how, &error), QUOTA);
    assert_int_equal(catalog_remove(site.catalog, TEXT("s:x"), refusal, &error), QUOTA);
    assert_int_equal(settled(&site, "s:x", &arena).state, DATASET_AVAILABLE);
}

static enum status refuse_removal(void *context, const char *id, struct error *error)
{
    (void)context;
    return error_set(error, CONFLICT, "job 7 uses %s", id);
}

static void a_dataset_in_use_is_not_removed(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    catalog_close(TAKE(site.catalog));
    struct catalog_options options = {.store = site.store, .check_unused = refuse_removal};
    assert_int_equal(catalog_open(&options, &site.catalog, NULL), OK);
    assert_int_equal(add(&site, "s:x", site.data, NULL), OK);
    (void)settled(&site, "s:x", &arena);
    struct error error = {0};
    assert_int_equal(catalog_remove(site.catalog, TEXT("s:x"), NO_WITNESS, &error), CONFLICT);
    assert_string_equal(error.detail, "job 7 uses s:x");
}

static void files_are_opened_strictly_below_their_root(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    struct dataset_file file;
    int fd = -1;
    put_folder(&site, "d");
    put(&site, "d/a", "one");
    put(&site, "secret", "two");
    assert_int_equal(add(&site, "s:n", data_path(&site, "d"), NULL), OK);
    struct dataset dataset = settled(&site, "s:n", &arena);
    assert_int_equal(catalog_open_file(site.catalog, &dataset, TEXT("a"), &fd, &file, &arena, NULL),
                     OK);
    (void)close(fd);
    static const struct text REFUSED[] = {{"", 0},          {"/etc/passwd", 11}, {"../secret", 9},
                                          {"d/../../s", 9}, {"a\0b", 3},         {"./a", 3},
                                          {"a/", 2},        {"a\n", 2},          {"\xC0\xAF", 2}};
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        assert_int_equal(
            catalog_open_file(site.catalog, &dataset, REFUSED[i], &fd, &file, &arena, NULL),
            INVALID);
    }
    assert_int_equal(
        catalog_open_file(site.catalog, &dataset, TEXT("none"), &fd, &file, &arena, NULL),
        NOT_FOUND);
    // A registered file that became a link leading out.
    (void)unlink(data_path(&site, "d/a"));
    put_link(&site, "d/a", "../secret");
    struct error error = {0};
    assert_int_equal(
        catalog_open_file(site.catalog, &dataset, TEXT("a"), &fd, &file, &arena, &error), DENIED);
    (void)unlink(data_path(&site, "d/a"));
    put(&site, "d/a", "other");
    assert_int_equal(
        catalog_open_file(site.catalog, &dataset, TEXT("a"), &fd, &file, &arena, &error), CONFLICT);
    assert_says(&error, CONFLICT, "not as it was registered");
}

static void lists_are_paged_by_id_and_filtered_by_prefix(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    static const char *const IDS[] = {"s:c", "s:a", "t:a", "s:b"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(add(&site, IDS[i], site.data, NULL), OK);
    }
    struct dataset datasets[3];
    size_t count = 0;
    assert_int_equal(
        catalog_list(site.catalog, TEXT("s:"), TEXT_NONE, 2, &arena, datasets, &count, NULL), OK);
    assert_int_equal(count, 2);
    assert_string_equal(datasets[0].id, "s:a");
    assert_string_equal(datasets[1].id, "s:b");
    assert_int_equal(
        catalog_list(site.catalog, TEXT("s:"), TEXT("s:b"), 2, &arena, datasets, &count, NULL), OK);
    assert_int_equal(count, 1);
    assert_string_equal(datasets[0].id, "s:c");
}

static void ten_thousand_files_survive_many_restarts_and_are_registered_once(void **state)
{
    (void)state;
    enum { FILES = 10000, FOLDERS = 10, RESTARTS = 8 };
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    char name[64];
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "%d", i % FOLDERS);
        if (i < FOLDERS) {
            put_folder(&site, name);
        }
        (void)snprintf(name, sizeof name, "%d/%d", i % FOLDERS, i);
        put(&site, name, name);
    }
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    struct dataset dataset;
    for (int i = 0; i < RESTARTS && has_moved_on(&site, "s:n", &arena, &dataset); i++) {
        site_stop(&site);
        site_start(&site);
    }
    dataset = settled(&site, "s:n", &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_int_equal(dataset.file_count, FILES);
    struct digest seven = digest_of("7/77", 4);
    struct dataset_file files[CATALOG_PAGE_MAX];
    const char *after = "";
    size_t count = 0;
    size_t total = 0;
    bool is_found = false;
    do {
        assert_int_equal(catalog_files(site.catalog, dataset.number, text_of(after),
                                       CATALOG_PAGE_MAX, &arena, files, &count, NULL),
                         OK);
        for (size_t i = 0; i < count; i++) {
            assert_true(strcmp(after, files[i].path) < 0);
            after = files[i].path;
            assert_true(files[i].has_digest);
            is_found =
                is_found || (strcmp(after, "7/77") == 0 && digest_equal(&files[i].digest, &seven));
        }
        total += count;
    } while (count > 0);
    assert_int_equal(total, FILES);
    assert_true(is_found);
}

static void a_survey_under_way_ends_when_its_dataset_is_removed(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    char name[64];
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        put(&site, name, name);
    }
    for (int round = 0; round < 5; round++) {
        assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
        struct dataset dataset;
        if (round % 2 == 1) {
            (void)has_moved_on(&site, "s:n", &arena, &dataset);
        }
        assert_int_equal(catalog_remove(site.catalog, TEXT("s:n"), NO_WITNESS, NULL), OK);
    }
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    assert_int_equal(settled(&site, "s:n", &arena).file_count, 3000);
}

// In a process of its own: registers the data and tells the parent when more than a batch is done with.
static void register_until_killed(struct site *site, int tell_fd)
{
    AUTO_ARENA struct arena arena = {0};
    struct dataset dataset;
    site_start(site);
    (void)add(site, "s:n", site->data, NULL);
    while (has_moved_on(site, "s:n", &arena, &dataset) && dataset.progress.files_done <= 1000) {
    }
    (void)file_write_all(tell_fd, TEXT("x"), NULL);
    (void)pause();
}

// Was the file of this name read since that was asked last, or the folder has been watched?
static bool was_read(int fd, const char *name)
{
    bool is_read = false;
    _Alignas(struct inotify_event) char events[65536];
    for (ssize_t got = 0; (got = read(fd, events, sizeof events)) > 0;) {
        for (const char *at = events; at < events + got;) {
            struct inotify_event event;
            memcpy(&event, at, sizeof event);
            const char *accessed = event.len > 0 ? at + sizeof event : "";
            assert_true((event.mask & IN_Q_OVERFLOW) == 0);
            is_read = is_read || strcmp(accessed, name) == 0;
            at += sizeof event + event.len;
        }
    }
    return is_read;
}

static void a_survey_that_was_killed_goes_on_without_reading_again(void **state)
{
    (void)state;
    enum { FILES = 4000 };
    AUTO_ARENA struct arena arena = {0};
    AUTO_SITE struct site site;
    site_new(&site);
    site_stop(&site);
    char name[64];
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "%04d", i);
        put(&site, name, "old");
        touch(&site, name, 1000);
    }
    int pipe_fds[2];
    char byte = 0;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        register_until_killed(&site, pipe_fds[1]);
        _exit(0);
    }
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    AUTO_CLOSE int reads_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    assert_true(inotify_add_watch(reads_fd, site.data, IN_ACCESS) >= 0);
    site_start(&site);
    struct dataset dataset = settled(&site, "s:n", &arena);
    assert_int_equal(dataset.state, DATASET_AVAILABLE);
    assert_int_equal(dataset.file_count, FILES);
    assert_false(was_read(reads_fd, "0000"));
    (void)verified(&site, "s:n", true, false, &arena);
    assert_true(was_read(reads_fd, "0000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_registered_in_place_with_the_checksum_of_every_file),
        cmocka_unit_test(the_digest_of_a_dataset_names_its_paths_sizes_and_contents),
        cmocka_unit_test(several_paths_are_mounted_by_their_last_part),
        cmocka_unit_test(links_within_the_folder_are_followed),
        cmocka_unit_test(links_that_leave_dangle_or_circle_fail_the_registration),
        cmocka_unit_test(bad_paths_are_refused_at_once),
        cmocka_unit_test(names_belong_to_one_dataset_only),
        cmocka_unit_test(a_removed_dataset_frees_its_names_and_its_files_are_not_mixed_up),
        cmocka_unit_test(a_change_that_cannot_be_witnessed_does_not_happen),
        cmocka_unit_test(a_dataset_in_use_is_not_removed),
        cmocka_unit_test(files_are_opened_strictly_below_their_root),
        cmocka_unit_test(lists_are_paged_by_id_and_filtered_by_prefix),
        cmocka_unit_test(ten_thousand_files_survive_many_restarts_and_are_registered_once),
        cmocka_unit_test(a_survey_that_was_killed_goes_on_without_reading_again),
        cmocka_unit_test(a_survey_under_way_ends_when_its_dataset_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
