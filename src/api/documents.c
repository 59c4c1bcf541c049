#include "api/documents.h"

#include "queue/queue.h"

#include <stdio.h>

static enum status read_texts(const json_t *document, const char *name, enum json_need need,
                              size_t count_max, struct arena *arena, const struct text **out,
                              size_t *count, struct error *error)
{
    json_t *array = NULL;
    TRY(json_field_array(document, name, need, count_max, &array, error));
    size_t length = json_array_size(array);
    struct text *texts = arena_new(arena, (length + 1) * sizeof *texts);
    for (size_t i = 0; i < length; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_string(item)) {
            return error_set(error, INVALID, "field \"%s\" must hold strings only", name);
        }
        texts[i] = json_text(item);
    }
    *out = texts;
    *count = length;
    return OK;
}

enum status dataset_document_read(const json_t *document, struct arena *arena,
                                  struct dataset_request *out, struct error *error)
{
    static const char *const FIELDS[] = {"id", "paths", "aliases", "title", NULL};
    struct dataset_request read = {0};
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "id", JSON_REQUIRED, IDENTIFIER_SIZE_MAX, &read.id, error));
    TRY(json_field_text(document, "title", JSON_OPTIONAL, CATALOG_TITLE_MAX, &read.title, error));
    TRY(read_texts(document, "paths", JSON_REQUIRED, CATALOG_ROOTS_MAX, arena, &read.paths,
                   &read.path_count, error));
    TRY(read_texts(document, "aliases", JSON_OPTIONAL, CATALOG_ALIASES_MAX, arena, &read.aliases,
                   &read.alias_count, error));
    *out = read;
    return OK;
}

enum status verify_document_read(const json_t *document, struct catalog_verify *out,
                                 struct error *error)
{
    static const char *const FIELDS[] = {"mode", "accept_changes", NULL};
    struct text mode = TEXT("quick");
    struct catalog_verify read = {0};
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "mode", JSON_OPTIONAL, 16, &mode, error));
    TRY(json_field_bool(document, "accept_changes", JSON_OPTIONAL, &read.accept_changes, error));
    read.is_full = text_equal(mode, TEXT("full"));
    if (!read.is_full && !text_equal(mode, TEXT("quick"))) {
        (void)error_set(error, INVALID, "field \"mode\" is \"%.*s\"", TEXT_ARGS(mode));
        error_fix(error, "use \"quick\" or \"full\"");
        return INVALID;
    }
    *out = read;
    return OK;
}

static enum status read_runner_groups(const json_t *array, char *out, size_t size,
                                      struct error *error)
{
    struct text names[WORKER_GROUPS_MAX];
    size_t count = 0;
    AUTO_BUFFER struct buffer all = {0};
    TRY(groups_parse(array, names, &count, error));
    for (size_t i = 0; i < count; i++) {
        buffer_append_string(&all, i > 0 ? "," : "");
        buffer_append_text(&all, names[i]);
    }
    if (all.length >= size) {
        return error_set(error, INVALID,
                         "the names in \"groups\" have %zu bytes together; %zu are allowed",
                         all.length, size - 1);
    }
    (void)snprintf(out, size, "%.*s", TEXT_ARGS(buffer_text(&all)));
    return OK;
}

enum status runner_document_read(const json_t *document, struct runner *out, bool *is_said,
                                 struct error *error)
{
    struct runner read = {.kind = RUNNER_SITE};
    struct text kind = text_of(runner_class_name(RUNNER_SITE));
    struct text user = TEXT_NONE;
    json_t *groups = NULL;
    TRY(json_field_text(document, "class", JSON_OPTIONAL, RUNNER_USER_MAX, &kind, error));
    TRY(json_field_text(document, "user", JSON_OPTIONAL, RUNNER_USER_MAX, &user, error));
    TRY(json_field_array(document, "groups", JSON_OPTIONAL, WORKER_GROUPS_MAX, &groups, error));
    TRY(json_field_int64(document, "job", JSON_OPTIONAL, 1, INT64_MAX, &read.job, error));
    TRY(read_runner_groups(groups, read.groups, sizeof read.groups, error));
    if (!runner_class_from_text(kind, &read.kind)) {
        (void)error_set(error, INVALID, "field \"class\" is \"%.*s\"", TEXT_ARGS(kind));
        error_fix(error, "site, group, user, session, job, job-token or spare");
        return INVALID;
    }
    if (user.bytes && (user.length == 0 || !text_is_utf8(user) || text_has_control(user))) {
        return error_set(error, INVALID, "field \"user\" is not the name of a user");
    }
    (void)snprintf(read.user, sizeof read.user, "%.*s", TEXT_ARGS(user));
    *is_said = json_object_get(document, "class") || user.bytes || groups || read.job != 0;
    *out = read;
    return OK;
}

enum status token_document_read(const json_t *document, int64_t now_us, struct token_request *out,
                                struct error *error)
{
    static const char *const FIELDS[] = {"principal",       "role",        "label",
                                         "expires_seconds", RUNNER_FIELDS, NULL};
    struct text role = TEXT("user");
    bool is_runner = false;
    struct token_request read = {0};
    int64_t expires_seconds = 0;
    TRY(json_check_fields(document, FIELDS, error));
    TRY(runner_document_read(document, &read.runner, &is_runner, error));
    role = is_runner ? text_of(role_name(ROLE_WORKER)) : role;
    TRY(json_field_text(document, "principal", is_runner ? JSON_OPTIONAL : JSON_REQUIRED,
                        TOKEN_NAME_MAX, &read.name, error));
    TRY(json_field_text(document, "role", JSON_OPTIONAL, TOKEN_NAME_MAX, &role, error));
    TRY(json_field_text(document, "label", JSON_OPTIONAL, TOKEN_LABEL_MAX, &read.label, error));
    TRY(json_field_int64(document, "expires_seconds", JSON_OPTIONAL, 1, TOKEN_SECONDS_MAX,
                         &expires_seconds, error));
    if (!role_from_text(role, &read.role)) {
        (void)error_set(error, INVALID, "field \"role\" is not a role");
        error_fix(error, "user, worker or admin");
        return INVALID;
    }
    read.expires_us = expires_seconds > 0 ? now_us + expires_seconds * 1000000 : 0;
    *out = read;
    return OK;
}

enum status order_document_read(const json_t *document, struct order_document *out,
                                struct error *error)
{
    static const char *const FIELDS[] = {"id", "to", "from", "digest", NULL};
    struct order_document read = {0};
    struct text id = TEXT_NONE;
    struct text digest = TEXT_NONE;
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "id", JSON_REQUIRED, IDENTIFIER_SIZE_MAX, &id, error));
    TRY(json_field_text(document, "to", JSON_OPTIONAL, DOCUMENT_SITE_MAX, &read.to, error));
    TRY(json_field_text(document, "from", JSON_OPTIONAL, DOCUMENT_SITE_MAX, &read.from, error));
    TRY(json_field_text(document, "digest", JSON_OPTIONAL, DIGEST_TEXT_SIZE, &digest, error));
    TRY(identifier_parse(id, &read.id, error));
    read.has_digest = digest.bytes != NULL;
    if (read.has_digest) {
        TRY(digest_from_text(digest, &read.digest, error));
    }
    *out = read;
    return OK;
}

enum status hub_document_read(const json_t *document, struct peers_hub_request *out,
                              struct error *error)
{
    static const char *const FIELDS[] = {"url", "fingerprint", "mode", NULL};
    struct text mode = TEXT("push");
    struct peers_hub_request read = *out;
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "url", JSON_REQUIRED, PEER_URL_MAX, &read.url, error));
    TRY(json_field_text(document, "fingerprint", JSON_REQUIRED, FINGERPRINT_SIZE - 1,
                        &read.fingerprint, error));
    TRY(json_field_text(document, "mode", JSON_OPTIONAL, PEER_NAME_MAX, &mode, error));
    TRY(peers_mode_from_text(mode, &read.mode, error));
    *out = read;
    return OK;
}

enum status standing_document_read(const json_t *document, enum peer_standing *out,
                                   struct error *error)
{
    static const char *const FIELDS[] = {"standing", NULL};
    struct text said = TEXT_NONE;
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "standing", JSON_REQUIRED, PEER_NAME_MAX, &said, error));
    for (enum peer_standing each = STANDING_PENDING; each <= STANDING_DENIED; each++) {
        if (text_equal(said, text_of(peer_standing_name(each)))) {
            *out = each;
            return OK;
        }
    }
    (void)error_set(error, INVALID, "field \"standing\" is no standing");
    error_fix(error, "member, pending or denied");
    return INVALID;
}
