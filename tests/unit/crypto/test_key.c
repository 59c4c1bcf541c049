#include "../cmocka_all.h"
#include "../folder.h"

#include "base/memory.h"
#include "crypto/key.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_MAX = 65536 };

static void read_pem(void **state, const char *name, struct buffer *out)
{
    AUTO_FREE char *path = memory_format("%s/%s", (const char *)*state, name);
    assert_int_equal(file_read(path, PEM_MAX, out, NULL), OK);
}

static void a_key_is_made_once_and_then_kept(void **state)
{
    struct fingerprint first;
    struct fingerprint second;
    AUTO_BUFFER struct buffer key = {0};
    AUTO_BUFFER struct buffer key_again = {0};
    AUTO_BUFFER struct buffer certificate = {0};
    AUTO_BUFFER struct buffer certificate_again = {0};
    assert_int_equal(key_ensure(*state, "site.example", &first, NULL), OK);
    read_pem(state, "key.pem", &key);
    read_pem(state, "certificate.pem", &certificate);
    assert_int_equal(key_ensure(*state, "another name", &second, NULL), OK);
    read_pem(state, "key.pem", &key_again);
    read_pem(state, "certificate.pem", &certificate_again);
    assert_string_equal(first.text, second.text);
    assert_true(text_equal(buffer_text(&key), buffer_text(&key_again)));
    assert_true(text_equal(buffer_text(&certificate), buffer_text(&certificate_again)));
}

static void a_key_of_another_certificate_is_found(void **state)
{
    struct fingerprint fingerprint;
    struct error error;
    AUTO_FREE char *other = memory_format("%s/other", (const char *)*state);
    AUTO_FREE char *from = memory_format("%s/other/key.pem", (const char *)*state);
    AUTO_FREE char *to = memory_format("%s/key.pem", (const char *)*state);
    assert_int_equal(key_ensure(*state, "site", &fingerprint, NULL), OK);
    assert_int_equal(file_make_folder(other, NULL), OK);
    assert_int_equal(key_ensure(other, "site", &fingerprint, NULL), OK);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(key_ensure(*state, "site", &fingerprint, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "key.pem"));
}

static void only_its_owner_can_read_a_key(void **state)
{
    AUTO_FREE char *path = memory_format("%s/key.pem", (const char *)*state);
    struct fingerprint fingerprint;
    struct stat info;
    assert_int_equal(key_ensure(*state, "site", &fingerprint, NULL), OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void the_fingerprint_is_that_of_the_certificate(void **state)
{
    struct fingerprint made;
    struct fingerprint read;
    AUTO_BUFFER struct buffer certificate = {0};
    assert_int_equal(key_ensure(*state, "site", &made, NULL), OK);
    read_pem(state, "certificate.pem", &certificate);
    assert_int_equal(key_fingerprint(buffer_text(&certificate), &read, NULL), OK);
    assert_string_equal(made.text, read.text);
    assert_int_equal(strlen(made.text), 71);
    assert_int_equal(key_fingerprint(TEXT("-----BEGIN CERTIFICATE-----"), &read, NULL), INVALID);
    assert_int_equal(key_fingerprint(TEXT_NONE, &read, NULL), INVALID);
    assert_string_equal(made.text, read.text);
}

static void a_key_that_is_there_is_never_replaced(void **state)
{
    AUTO_FREE char *path = memory_format("%s/key.pem", (const char *)*state);
    struct fingerprint fingerprint;
    AUTO_BUFFER struct buffer key = {0};
    assert_int_equal(key_ensure(*state, "site", &fingerprint, NULL), OK);
    assert_int_equal(file_write_atomic(path, TEXT("mine"), 0600, NULL), OK);
    // Whether a key that does not fit its certificate is accepted is decided where it is used.
    (void)key_ensure(*state, "site", &fingerprint, NULL);
    read_pem(state, "key.pem", &key);
    assert_true(text_equal(buffer_text(&key), TEXT("mine")));
}

static void a_lost_certificate_is_made_again_for_the_same_key(void **state)
{
    AUTO_FREE char *path = memory_format("%s/certificate.pem", (const char *)*state);
    struct fingerprint before;
    struct fingerprint after;
    assert_int_equal(key_ensure(*state, "site", &before, NULL), OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(key_ensure(*state, "site", &after, NULL), OK);
    assert_string_equal(before.text, after.text);
}

static void a_lost_key_is_said(void **state)
{
    AUTO_FREE char *path = memory_format("%s/key.pem", (const char *)*state);
    struct fingerprint fingerprint;
    assert_int_equal(key_ensure(*state, "site", &fingerprint, NULL), OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(key_ensure(*state, "site", &fingerprint, NULL), NOT_FOUND);
}

static void an_empty_key_is_no_key(void **state)
{
    AUTO_FREE char *path = memory_format("%s/key.pem", (const char *)*state);
    struct fingerprint fingerprint;
    assert_int_equal(file_write_atomic(path, TEXT_NONE, 0600, NULL), OK);
    assert_int_equal(key_ensure(*state, "site", &fingerprint, NULL), CORRUPT);
}

static void a_missing_folder_is_said(void **state)
{
    AUTO_FREE char *place = memory_format("%s/none", (const char *)*state);
    struct fingerprint fingerprint;
    struct error error = {0};
    assert_int_not_equal(key_ensure(place, "site", &fingerprint, &error), OK);
    assert_non_null(strstr(error.detail, "none"));
}

static void a_fingerprint_becomes_curls_pin(void **state)
{
    (void)state;
    char pin[PIN_SIZE];
    // Of the empty text; the same bytes in base64 by coreutils.
    assert_int_equal(
        fingerprint_to_pin(
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", pin, NULL),
        OK);
    assert_string_equal(pin, "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_int_equal(fingerprint_to_pin("sha256:e3b0", pin, NULL), INVALID);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_key_is_made_once_and_then_kept),
        cmocka_unit_test_setup_teardown(a_key_of_another_certificate_is_found, folder_make,
                                        folder_remove),
        IN_A_FOLDER(only_its_owner_can_read_a_key),
        IN_A_FOLDER(the_fingerprint_is_that_of_the_certificate),
        IN_A_FOLDER(a_key_that_is_there_is_never_replaced),
        IN_A_FOLDER(a_lost_certificate_is_made_again_for_the_same_key),
        IN_A_FOLDER(a_lost_key_is_said),
        IN_A_FOLDER(an_empty_key_is_no_key),
        IN_A_FOLDER(a_missing_folder_is_said),
        cmocka_unit_test(a_fingerprint_becomes_curls_pin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
