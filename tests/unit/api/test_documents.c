// The documents that requests bring.
#include "../cmocka_all.h"

#include "api/documents.h"

#define NOW_US INT64_C(1700000000000000)
#define LONG_60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// One of the readers, with nothing kept of what it reads.
typedef enum status reader_fn(const json_t *document, struct error *error);

static enum status read_dataset(const json_t *document, struct error *error)
{
    AUTO_ARENA struct arena arena = {0};
    struct dataset_request request;
    return dataset_document_read(document, &arena, &request, error);
}

static enum status read_verify(const json_t *document, struct error *error)
{
    struct catalog_verify how;
    return verify_document_read(document, &how, error);
}

static enum status read_token(const json_t *document, struct error *error)
{
    struct token_request request;
    return token_document_read(document, NOW_US, &request, error);
}

static enum status read_order(const json_t *document, struct error *error)
{
    struct order_document order;
    return order_document_read(document, &order, error);
}

static enum status read_hub(const json_t *document, struct error *error)
{
    struct peers_hub_request request = {0};
    return hub_document_read(document, &request, error);
}

static enum status read_standing(const json_t *document, struct error *error)
{
    enum peer_standing standing = STANDING_UNKNOWN;
    return standing_document_read(document, &standing, error);
}

static void wrong_documents_are_refused_by_the_name_of_the_field(void **state)
{
    (void)state;
    static const struct {
        reader_fn *read;
        const char *document;
        const char *named;
    } WRONG[] = {
        {read_dataset, "[]", "object"},
        {read_dataset, "{\"paths\":[]}", "\"id\""},
        {read_dataset, "{\"id\":\"t:a\"}", "\"paths\""},
        {read_dataset, "{\"id\":\"t:a\",\"paths\":\"/a\"}", "\"paths\""},
        {read_dataset, "{\"id\":\"t:a\",\"paths\":[7]}", "\"paths\""},
        {read_dataset, "{\"id\":\"t:a\",\"paths\":[],\"aliases\":[null]}", "\"aliases\""},
        {read_dataset, "{\"id\":\"t:a\",\"paths\":[],\"colour\":1}", "\"colour\""},
        {read_verify, "{\"mode\":\"slow\"}", "\"mode\""},
        {read_verify, "{\"mode\":\"a mode with a long name\"}", "\"mode\""},
        {read_verify, "{\"accept_changes\":1}", "\"accept_changes\""},
        {read_token, "{}", "\"principal\""},
        {read_token, "{\"principal\":\"" LONG_60 "aaaaa\"}", "\"principal\""},
        {read_token, "{\"principal\":\"ada\",\"role\":\"king\"}", "\"role\""},
        {read_token, "{\"principal\":\"ada\",\"expires_seconds\":0}", "\"expires_seconds\""},
        {read_token, "{\"principal\":\"ada\",\"expires_seconds\":1e3}", "\"expires_seconds\""},
        {read_token, "{\"class\":\"king\"}", "\"class\""},
        {read_token, "{\"class\":7}", "\"class\""},
        {read_token, "{\"class\":\"user\",\"user\":\"\"}", "\"user\""},
        {read_token, "{\"class\":\"user\",\"user\":\"" LONG_60 "aaaaa\"}", "\"user\""},
        {read_token, "{\"class\":\"job\",\"job\":0}", "\"job\""},
        {read_token, "{\"class\":\"group\",\"groups\":\"physics\"}", "\"groups\""},
        {read_token, "{\"class\":\"group\",\"groups\":[\"a,b\"]}", "groups[0]"},
        {read_token,
         "{\"class\":\"group\",\"groups\":[\"" LONG_60 "a\",\"" LONG_60 "b\",\"" LONG_60
         "c\",\"" LONG_60 "d\",\"" LONG_60 "e\"]}",
         "\"groups\""},
        {read_order, "{\"to\":\"ocean\"}", "\"id\""},
        {read_order, "{\"id\":\"t:../a\"}", ".."},
        {read_order, "{\"id\":\"t:a\",\"from\":[]}", "\"from\""},
        {read_hub, "{\"url\":\"https://a\"}", "\"fingerprint\""},
        {read_hub, "{\"url\":\"https://a\",\"fingerprint\":\"" LONG_60 LONG_60 "\"}",
         "\"fingerprint\""},
        {read_hub, "{\"url\":\"https://a\",\"fingerprint\":\"sha256:1\",\"mode\":\"pull\"}",
         "pull"},
        {read_standing, "{}", "\"standing\""},
        {read_standing, "{\"standing\":\"unknown\"}", "\"standing\""},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        AUTO_JSON json_t *document = NULL;
        struct error error = {0};
        assert_int_equal(json_parse(text_of(WRONG[i].document), &document, NULL), OK);
        assert_int_equal(WRONG[i].read(document, &error), INVALID);
        if (!strstr(error.detail, WRONG[i].named)) {
            fail_msg("%s: \"%s\" does not name %s", WRONG[i].document, error.detail,
                     WRONG[i].named);
        }
        assert_int_equal(WRONG[i].read(document, NULL), INVALID);
    }
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    AUTO_JSON json_t *empty = json_object();
    AUTO_JSON json_t *ada = json_pack("{s:s}", "principal", "ada");
    struct catalog_verify how = {.is_full = true, .accept_changes = true};
    struct token_request token = {.role = ROLE_ADMIN, .expires_us = 1};
    assert_int_equal(verify_document_read(empty, &how, NULL), OK);
    assert_true(!how.is_full && !how.accept_changes);
    assert_int_equal(token_document_read(ada, NOW_US, &token, NULL), OK);
    assert_int_equal(token.role, ROLE_USER);
    assert_int_equal(token.expires_us, 0);
}

static void a_token_expires_from_now_on(void **state)
{
    (void)state;
    AUTO_JSON json_t *document = json_pack("{s:s, s:i}", "principal", "ada", "expires_seconds", 60);
    struct token_request token;
    assert_int_equal(token_document_read(document, NOW_US, &token, NULL), OK);
    assert_int_equal(token.expires_us, NOW_US + 60000000);
}

static void a_class_makes_the_token_one_of_a_worker(void **state)
{
    (void)state;
    AUTO_JSON json_t *document = json_pack("{s:s, s:[s, s], s:s, s:i}", "class", "group", "groups",
                                           "physics", "chemistry", "user", "ada", "job", 7);
    struct token_request token;
    struct runner runner;
    bool is_said = false;
    assert_int_equal(token_document_read(document, NOW_US, &token, NULL), OK);
    assert_int_equal(token.role, ROLE_WORKER);
    assert_int_equal(token.name.length, 0);
    assert_int_equal(token.runner.kind, RUNNER_GROUP);
    assert_string_equal(token.runner.groups, "physics,chemistry");
    // What does not belong to the class is read, too, and refused when the token is made.
    assert_string_equal(token.runner.user, "ada");
    assert_int_equal(token.runner.job, 7);
    AUTO_JSON json_t *empty = json_object();
    assert_int_equal(runner_document_read(empty, &runner, &is_said, NULL), OK);
    assert_false(is_said);
    assert_int_equal(runner.kind, RUNNER_SITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_documents_are_refused_by_the_name_of_the_field),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(a_token_expires_from_now_on),
        cmocka_unit_test(a_class_makes_the_token_one_of_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
