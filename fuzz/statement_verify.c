// statement_write_canonical, statement_verify, site_statement_read: the canonical form is read again as itself, and what holds in one form
// holds in the canonical one.
#include "fuzz.h"
#include "ledger/statement.h"

// The key that the statements of the corpus are signed with (RFC 8032 section 7.1, test 2).
static const char KEY[] = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

static void check_same_verdict(const json_t *object, const json_t *again)
{
    struct public_key key;
    struct error error = {0};
    struct site_statement site;
    struct site_statement site_again;
    FUZZ_CHECK(public_key_from_text(text_of(KEY), &key, NULL) == OK);
    enum status status = statement_verify(object, NULL, &key, &error);
    FUZZ_CHECK(status == OK || (status == CORRUPT && error.detail[0] != '\0'));
    FUZZ_CHECK(statement_verify(again, NULL, &key, NULL) == status);
    status = site_statement_read(object, &site, &error);
    FUZZ_CHECK(status == OK || error.detail[0] != '\0');
    FUZZ_CHECK(site_statement_read(again, &site_again, NULL) == status);
    if (status == OK) {
        FUZZ_CHECK(statement_verify(object, "site", &site.key, NULL) == OK);
        FUZZ_CHECK(strcmp(site.name, site_again.name) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *object = NULL;
    AUTO_JSON json_t *again = NULL;
    AUTO_BUFFER struct buffer text = {0};
    AUTO_BUFFER struct buffer text_again = {0};
    struct error error = {0};
    if (json_parse(fuzz_text(data, size), &object, NULL) != OK) {
        return 0;
    }
    if (statement_write_canonical(object, &text, &error) != OK) {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0' && text.length == 0);
        return 0;
    }
    FUZZ_CHECK(json_parse(buffer_text(&text), &again, NULL) == OK);
    FUZZ_CHECK(json_equal(object, again));
    FUZZ_CHECK(statement_write_canonical(again, &text_again, NULL) == OK);
    FUZZ_CHECK(text_equal(buffer_text(&text), buffer_text(&text_again)));
    check_same_verdict(object, again);
    return 0;
}
