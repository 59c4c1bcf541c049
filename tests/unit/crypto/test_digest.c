#include "../cmocka_all.h"

#include "crypto/digest.h"

#include <stdio.h>
#include <unistd.h>

// FIPS 180-4 examples.
static const char ABC[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char EMPTY[] =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char MILLION_A[] =
    "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void known_texts_have_their_published_digests(void **state)
{
    (void)state;
    char text[DIGEST_TEXT_SIZE];
    struct digest digest = digest_of("abc", 3);
    assert_string_equal(digest_to_text(&digest, text), ABC);
    digest = digest_of("", 0);
    assert_string_equal(digest_to_text(&digest, text), EMPTY);
}

static void pieces_give_the_digest_of_the_whole(void **state)
{
    (void)state;
    char text[DIGEST_TEXT_SIZE];
    char piece[1000];
    memset(piece, 'a', sizeof piece);
    struct digest_stream *stream = digest_stream_new();
    for (int i = 0; i < 1000; i++) {
        digest_stream_update(stream, piece, sizeof piece);
    }
    struct digest digest = digest_stream_finish(stream);
    assert_string_equal(digest_to_text(&digest, text), MILLION_A);
    digest_stream_free(digest_stream_new());
    digest_stream_free(NULL);
}

static void a_file_is_read_from_its_start_whatever_its_offset(void **state)
{
    (void)state;
    char text[DIGEST_TEXT_SIZE];
    struct digest digest;
    int64_t size = 0;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(fputs("abc", file) >= 0);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 2, SEEK_SET), 2);
    assert_int_equal(digest_file(fileno(file), &digest, &size, NULL), OK);
    assert_int_equal(size, 3);
    assert_string_equal(digest_to_text(&digest, text), ABC);
    (void)fclose(file);
    assert_int_not_equal(digest_file(-1, &digest, &size, NULL), OK);
}

static void only_a_digest_reads_as_one(void **state)
{
    (void)state;
    struct digest digest;
    struct digest abc = digest_of("abc", 3);
    struct text whole = text_of(ABC);
    struct error error = {0};
    assert_int_equal(digest_from_text(whole, &digest, NULL), OK);
    assert_true(digest_equal(&digest, &abc));
    memset(&digest, 0, sizeof digest);
    assert_int_equal(digest_from_text(text_slice(whole, 7, whole.length), &digest, NULL), OK);
    assert_true(digest_equal(&digest, &abc));
    assert_int_equal(digest_from_text(text_slice(whole, 0, whole.length - 1), &digest, &error),
                     INVALID);
    assert_true(error.detail[0] != '\0');
    assert_int_equal(digest_from_text(text_slice(whole, 1, whole.length), &digest, NULL), INVALID);
    assert_int_equal(digest_from_text(TEXT(""), &digest, NULL), INVALID);
    assert_true(digest_equal(&digest, &abc)); // Unchanged by the failures.
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_their_published_digests),
        cmocka_unit_test(pieces_give_the_digest_of_the_whole),
        cmocka_unit_test(a_file_is_read_from_its_start_whatever_its_offset),
        cmocka_unit_test(only_a_digest_reads_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
