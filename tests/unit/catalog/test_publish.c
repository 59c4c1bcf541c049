// What the publisher is told, and when.
#include "site.h"

// A publisher that notes what it is told, a word for each.
struct notes {
    struct catalog_publisher publisher;
    struct buffer text; // Written on the writer's thread; read while nothing is under way.
    bool is_failing;
};

static enum status note_dataset(void *context, struct sql *sql, const struct dataset *dataset,
                                struct error *error)
{
    struct notes *notes = context;
    (void)sql;
    if (notes->is_failing) {
        return error_set(error, QUOTA, "the log is full");
    }
    buffer_printf(&notes->text, "%s=%s/%lld", dataset->id, dataset_state_name(dataset->state),
                  (long long)dataset->file_count);
    for (size_t i = 0; i < dataset->alias_count; i++) {
        buffer_printf(&notes->text, "+%s", dataset->aliases[i]);
    }
    assert_true(dataset->has_digest);
    assert_string_equal(dataset->roots[0].tier, "online");
    buffer_append_byte(&notes->text, ' ');
    return OK;
}

static enum status note_removal(void *context, struct sql *sql, const char *id, struct error *error)
{
    struct notes *notes = context;
    (void)sql;
    if (notes->is_failing) {
        return error_set(error, QUOTA, "the log is full");
    }
    buffer_printf(&notes->text, "%s=gone ", id);
    return OK;
}

static void published_site_new(struct site *site, struct notes *notes)
{
    notes->publisher = (struct catalog_publisher){note_dataset, note_removal, notes};
    site_new(site);
    site_stop(site);
    site->publisher = &notes->publisher;
    site_start(site);
}

// What was told since the last call. All that was asked of the site is done when it is settled.
static void assert_told(struct notes *notes, const char *expected)
{
    assert_string_equal(notes->text.bytes ? notes->text.bytes : "", expected);
    buffer_clear(&notes->text);
}

static void a_dataset_is_told_when_it_is_available_and_when_that_changes(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    struct notes notes = {0};
    AUTO_SITE struct site site;
    published_site_new(&site, &notes);
    put(&site, "a", "one");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    (void)settled(&site, "s:n", &arena);
    assert_told(&notes, "s:n=available/1 ");
    put(&site, "a", "other");
    (void)verified(&site, "s:n", false, false, &arena);
    assert_told(&notes, "s:n=changed/1 ");
    put(&site, "b", "more");
    (void)verified(&site, "s:n", false, true, &arena);
    assert_told(&notes, "s:n=available/2 ");
    struct catalog_witness nobody = {0};
    assert_int_equal(catalog_remove(site.catalog, TEXT("s:n"), nobody, NULL), OK);
    assert_told(&notes, "s:n=gone ");
    buffer_done(&notes.text);
}

static void a_job_that_finds_a_change_tells_it(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    struct notes notes = {0};
    AUTO_SITE struct site site;
    published_site_new(&site, &notes);
    put(&site, "a", "one");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    struct dataset_look look;
    struct dataset dataset = settled(&site, "s:n", &arena);
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, NULL), OK);
    assert_told(&notes, "s:n=available/1 ");
    put(&site, "a", "other");
    assert_int_equal(catalog_check_files(site.catalog, &dataset, &look, NULL), CONFLICT);
    assert_told(&notes, "s:n=changed/1 ");
    buffer_done(&notes.text);
}

static enum status add_with_alias(const struct site *site, const char *alias, struct error *error)
{
    struct text paths[] = {text_of(site->data)};
    struct text aliases[] = {text_of(alias)};
    struct dataset_request request = {.id = TEXT("s:n"),
                                      .paths = paths,
                                      .path_count = 1,
                                      .aliases = aliases,
                                      .alias_count = 1,
                                      .owner = TEXT("ada")};
    bool is_new = false;
    return catalog_register(site->catalog, &request, &is_new, error);
}

static void new_aliases_are_told(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    struct notes notes = {0};
    AUTO_SITE struct site site;
    published_site_new(&site, &notes);
    put(&site, "a", "one");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    (void)settled(&site, "s:n", &arena);
    assert_int_equal(add_with_alias(&site, "DOI:10.1/X", NULL), OK);
    assert_told(&notes, "s:n=available/1 s:n=available/1+doi:10.1/x ");
    buffer_done(&notes.text);
}

static void what_could_not_be_registered_is_not_told(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    struct notes notes = {0};
    AUTO_SITE struct site site;
    published_site_new(&site, &notes);
    put_link(&site, "a", "/nowhere");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    assert_int_equal(settled(&site, "s:n", &arena).state, DATASET_FAILED);
    assert_told(&notes, "");
    buffer_done(&notes.text);
}

static void a_change_that_cannot_be_told_is_not_made(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    struct notes notes = {0};
    struct error error = {0};
    struct dataset dataset;
    AUTO_SITE struct site site;
    published_site_new(&site, &notes);
    put(&site, "a", "one");
    assert_int_equal(add(&site, "s:n", site.data, NULL), OK);
    (void)settled(&site, "s:n", &arena);
    notes.is_failing = true;
    struct catalog_witness nobody = {0};
    assert_int_equal(catalog_remove(site.catalog, TEXT("s:n"), nobody, &error), QUOTA);
    assert_non_null(strstr(error.detail, "the log is full"));
    assert_int_equal(catalog_find(site.catalog, TEXT("s:n"), &arena, &dataset, NULL), OK);
    assert_int_equal(add_with_alias(&site, "s:other", &error), QUOTA);
    assert_int_equal(catalog_find(site.catalog, TEXT("s:other"), &arena, &dataset, NULL),
                     NOT_FOUND);
    buffer_done(&notes.text);
}

static void all_datasets_can_be_told_again(void **state)
{
    (void)state;
    AUTO_ARENA struct arena arena = {0};
    struct notes notes = {0};
    AUTO_SITE struct site site;
    published_site_new(&site, &notes);
    put_folder(&site, "good");
    put(&site, "good/a", "one");
    put_folder(&site, "bad");
    put_link(&site, "bad/a", "/nowhere");
    assert_int_equal(add(&site, "s:good", data_path(&site, "good"), NULL), OK);
    assert_int_equal(add(&site, "s:bad", data_path(&site, "bad"), NULL), OK);
    for (int i = 0; i < 120; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "s:%d", i);
        assert_int_equal(add(&site, id, data_path(&site, "good"), NULL), OK);
    }
    (void)settled(&site, "s:119", &arena);
    buffer_clear(&notes.text);
    assert_int_equal(catalog_publish_all(site.catalog, NULL), OK);
    size_t told = 0;
    for (size_t i = 0; i < notes.text.length; i++) {
        told += notes.text.bytes[i] == ' ';
    }
    assert_int_equal(told, 121);
    assert_non_null(strstr(notes.text.bytes, "s:good=available/1 "));
    assert_null(strstr(notes.text.bytes, "s:bad="));
    notes.is_failing = true;
    assert_int_equal(catalog_publish_all(site.catalog, NULL), QUOTA);
    buffer_done(&notes.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dataset_is_told_when_it_is_available_and_when_that_changes),
        cmocka_unit_test(a_job_that_finds_a_change_tells_it),
        cmocka_unit_test(new_aliases_are_told),
        cmocka_unit_test(what_could_not_be_registered_is_not_told),
        cmocka_unit_test(a_change_that_cannot_be_told_is_not_made),
        cmocka_unit_test(all_datasets_can_be_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
