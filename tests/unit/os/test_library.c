#include "cmocka_all.h"

#include "os/library.h"

#define SONAME "libm.so.6"

static void functions_of_a_library_are_found(void **state)
{
    (void)state;
    double (*root)(double) = NULL;
    const struct library_function functions[] = {{"sqrt", &root}};
    assert_true(library_load(SONAME, functions, 1));
    assert_true(root(9.0) > 2.9 && root(9.0) < 3.1);
}

static void a_library_that_is_not_there_is_not_loaded(void **state)
{
    (void)state;
    double (*root)(double) = NULL;
    const struct library_function functions[] = {{"sqrt", &root}};
    assert_false(library_load("liblode-none.so.1", functions, 1));
    assert_null(root);
}

static void a_function_that_is_missing_is_told(void **state)
{
    (void)state;
    double (*root)(double) = NULL;
    void (*none)(void) = NULL;
    const struct library_function functions[] = {{"sqrt", &root}, {"lode_has_no_such", &none}};
    assert_false(library_load(SONAME, functions, 2));
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_of_a_library_are_found),
        cmocka_unit_test(a_library_that_is_not_there_is_not_loaded),
        cmocka_unit_test(a_function_that_is_missing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
