#include "../cmocka_all.h"

#include "os/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, LINES_EACH = 200, LINE_SIZE_MAX = 256 };

static void *write_lines(void *context)
{
    (void)context;
    for (int i = 0; i < LINES_EACH; i++) {
        log_line(LOG_LEVEL_INFO, "event=tried number=%d text=\"one%ctwo\"", i,
                 i % 2 == 0 ? '\n' : '\033');
        log_line(LOG_LEVEL_DEBUG, "event=never_seen");
    }
    return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    rewind(file);
    int count = 0;
    char line[LINE_SIZE_MAX];
    while (fgets(line, sizeof line, file)) {
        assert_non_null(strstr(line, "Z level=info event=tried number="));
        assert_non_null(strstr(line, " text=\"one two\"\n"));
        count++;
    }
    assert_int_equal(count, THREADS * LINES_EACH);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_many_threads_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
