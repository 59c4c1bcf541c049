// The documents that requests bring: any JSON as each of them. What is accepted is within the bounds, and each refusal says what is wrong.
#include "api/documents.h"
#include "fuzz.h"

// Every reader refuses in the same way, and whether or not somebody wants to know why.
static bool is_taken(enum status status, enum status blind, const struct error *error)
{
    FUZZ_CHECK(status == blind);
    FUZZ_CHECK(status == OK || (status == INVALID && error->detail[0] != '\0'));
    return status == OK;
}

static bool is_text(struct text text, size_t length_max)
{
    return text.length <= length_max && text_is_utf8(text) && !text_contains_byte(text, '\0');
}

static void check_dataset(const json_t *document)
{
    AUTO_ARENA struct arena arena = {0};
    struct error error = {0};
    struct dataset_request request = {0};
    enum status blind = dataset_document_read(document, &arena, &request, NULL);
    if (!is_taken(dataset_document_read(document, &arena, &request, &error), blind, &error)) {
        return;
    }
    FUZZ_CHECK(is_text(request.id, IDENTIFIER_SIZE_MAX) && request.id.bytes);
    FUZZ_CHECK(is_text(request.title, CATALOG_TITLE_MAX));
    FUZZ_CHECK(request.path_count <= CATALOG_ROOTS_MAX);
    FUZZ_CHECK(request.alias_count <= CATALOG_ALIASES_MAX);
    for (size_t i = 0; i < request.path_count; i++) {
        FUZZ_CHECK(is_text(request.paths[i], SIZE_MAX) && request.paths[i].bytes);
    }
    for (size_t i = 0; i < request.alias_count; i++) {
        FUZZ_CHECK(is_text(request.aliases[i], SIZE_MAX) && request.aliases[i].bytes);
    }
}

static void check_token(const json_t *document)
{
    static const int64_t NOW_US = INT64_C(1700000000000000);
    struct error error = {0};
    struct token_request request = {0};
    enum status blind = token_document_read(document, NOW_US, &request, NULL);
    if (is_taken(token_document_read(document, NOW_US, &request, &error), blind, &error)) {
        FUZZ_CHECK(is_text(request.name, TOKEN_NAME_MAX));
        FUZZ_CHECK(is_text(request.label, TOKEN_LABEL_MAX));
        FUZZ_CHECK((unsigned)request.role < ROLE_COUNT);
        FUZZ_CHECK(request.expires_us == 0 || request.expires_us > NOW_US);
    }
}

static void check_order(const json_t *document)
{
    struct error error = {0};
    struct order_document order;
    struct identifier again;
    enum status blind = order_document_read(document, &order, NULL);
    if (is_taken(order_document_read(document, &order, &error), blind, &error)) {
        FUZZ_CHECK(identifier_parse(identifier_text(&order.id), &again, NULL) == OK);
        FUZZ_CHECK(is_text(order.to, DOCUMENT_SITE_MAX) && is_text(order.from, DOCUMENT_SITE_MAX));
    }
}

static void check_sites(const json_t *document)
{
    struct error error = {0};
    struct peers_hub_request hub = {0};
    enum peer_standing standing = STANDING_UNKNOWN;
    enum status blind = hub_document_read(document, &hub, NULL);
    if (is_taken(hub_document_read(document, &hub, &error), blind, &error)) {
        FUZZ_CHECK(is_text(hub.url, PEER_URL_MAX) && hub.url.bytes);
        FUZZ_CHECK(is_text(hub.fingerprint, FINGERPRINT_SIZE - 1) && hub.fingerprint.bytes);
        FUZZ_CHECK(peers_mode_name(hub.mode)[0] != '\0');
    }
    error = (struct error){0};
    blind = standing_document_read(document, &standing, NULL);
    if (is_taken(standing_document_read(document, &standing, &error), blind, &error)) {
        FUZZ_CHECK(standing >= STANDING_PENDING && standing <= STANDING_DENIED);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *document = NULL;
    struct error error = {0};
    struct catalog_verify how;
    if (json_parse(fuzz_text(data, size), &document, &error) != OK) {
        return 0;
    }
    check_dataset(document);
    check_token(document);
    check_order(document);
    check_sites(document);
    enum status blind = verify_document_read(document, &how, NULL);
    (void)is_taken(verify_document_read(document, &how, &error), blind, &error);
    return 0;
}
