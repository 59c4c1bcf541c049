#include "protocol/hello.h"

#include "crypto/digest.h"
#include "jobs/spec.h"

enum status groups_parse(const json_t *names, struct text *out, size_t *count, struct error *error)
{
    if (json_array_size(names) > WORKER_GROUPS_MAX) {
        return error_set(error, INVALID, "field \"groups\" has %zu groups; a worker has at most %d",
                         json_array_size(names), (int)WORKER_GROUPS_MAX);
    }
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct text name = json_text(json_array_get(names, i));
        bool is_name = name.length > 0 && name.length <= SPEC_GROUP_MAX && text_is_utf8(name) &&
                       !text_has_control(name) && !text_contains_byte(name, ',') &&
                       !text_contains_byte(name, ' ');
        if (!is_name) {
            (void)error_set(error, INVALID, "groups[%zu] is not the name of a group", i);
            error_fix(error, "give names of groups: [\"physics\", \"spare\"]");
            return INVALID;
        }
        for (size_t j = 0; j < i; j++) {
            if (text_equal(out[j], name)) {
                return error_set(error, INVALID, "field \"groups\" names \"%.*s\" twice",
                                 TEXT_ARGS(name));
            }
        }
        out[i] = name;
    }
    *count = json_array_size(names);
    return OK;
}

static enum status parse_labels(const json_t *document, struct worker_hello *out,
                                struct error *error)
{
    json_t *labels = NULL;
    TRY(json_field_int64(document, "gpus", JSON_OPTIONAL, 0, WORKER_GPUS_MAX, &out->gpus, error));
    TRY(json_field_array(document, "labels", JSON_OPTIONAL, WORKER_LABELS_MAX, &labels, error));
    for (size_t i = 0; i < json_array_size(labels); i++) {
        const json_t *label = json_array_get(labels, i);
        TRY(label_check(json_text(label), error));
        out->labels[out->label_count++] = json_string_value(label);
    }
    return OK;
}

static enum status parse_serving(const json_t *document, struct worker_hello *out,
                                 struct error *error)
{
    static const char *const FIELDS[] = {"url", "fingerprint", "reach", NULL};
    json_t *serve = NULL;
    struct digest fingerprint;
    struct text reach = TEXT("all");
    TRY(json_field_object(document, "serve", JSON_OPTIONAL, &serve, error));
    if (!serve) {
        return OK;
    }
    TRY(json_check_fields(serve, FIELDS, error));
    TRY(json_field_text(serve, "url", JSON_REQUIRED, WORKER_URL_MAX, &out->serve_url, error));
    TRY(json_field_text(serve, "fingerprint", JSON_REQUIRED, DIGEST_TEXT_SIZE,
                        &out->serve_fingerprint, error));
    TRY(digest_from_text(out->serve_fingerprint, &fingerprint, error));
    TRY(json_field_text(serve, "reach", JSON_OPTIONAL, sizeof "network", &reach, error));
    out->serves_near = text_equal(reach, TEXT("network"));
    if (!out->serves_near && !text_equal(reach, TEXT("all"))) {
        return error_set(error, INVALID, "\"reach\" of \"serve\" is neither all nor network");
    }
    return text_starts_with(out->serve_url, TEXT("https://")) && !text_has_control(out->serve_url)
               ? OK
               : error_set(error, INVALID, "\"url\" of \"serve\" must begin with https://");
}

static enum status parse_software(const json_t *document, int64_t *last, struct error *error)
{
    json_t *kinds = NULL;
    TRY(json_field_array(document, "software", JSON_OPTIONAL, SPEC_SOFTWARES, &kinds, error));
    *last = SPEC_SOFTWARE_HOST;
    for (size_t i = 0; i < json_array_size(kinds); i++) {
        const char *expected = spec_software_name((enum spec_software)i);
        if (!text_equal(json_text(json_array_get(kinds, i)), text_of(expected))) {
            (void)error_set(error, INVALID, "field \"software\" has no \"%s\" at its place %zu",
                            expected, i);
            error_fix(error, "who gives a kind gives those before it: host, bundle, oci");
            return INVALID;
        }
        *last = (int64_t)i;
    }
    return OK;
}

enum status worker_hello_parse(const json_t *document, struct worker_hello *out,
                               struct error *error)
{
    static const char *const FIELDS[] = {"name",
                                         "cpus",
                                         "memory_bytes",
                                         "disk_bytes",
                                         "version",
                                         "sandbox",
                                         "process",
                                         "place",
                                         "groups",
                                         "notice_seconds",
                                         "leaves_in_seconds",
                                         "drain_in_seconds",
                                         "view",
                                         "labels",
                                         "gpus",
                                         "serve",
                                         "software",
                                         NULL};
    double cpus = 0;
    TRY(json_check_fields(document, FIELDS, error));
    TRY(json_field_text(document, "name", JSON_REQUIRED, WORKER_NAME_MAX, &out->name, error));
    TRY(json_field_double(document, "cpus", JSON_REQUIRED, 0.001, 1e6, &cpus, error));
    TRY(json_field_int64(document, "memory_bytes", JSON_REQUIRED, 0, INT64_MAX, &out->memory_bytes,
                         error));
    TRY(json_field_int64(document, "disk_bytes", JSON_REQUIRED, 0, INT64_MAX, &out->disk_bytes,
                         error));
    TRY(json_field_text(document, "version", JSON_OPTIONAL, WORKER_NAME_MAX, &out->version, error));
    TRY(json_field_object(document, "sandbox", JSON_OPTIONAL, &out->sandbox, error));
    TRY(json_field_int64(document, "process", JSON_OPTIONAL, 1, INT32_MAX, &out->process, error));
    TRY(json_field_text(document, "place", JSON_OPTIONAL, DIGEST_TEXT_SIZE, &out->place, error));
    TRY(json_field_duration(document, "notice_seconds", NOTICE_SECONDS_MAX, &out->notice_us,
                            error));
    TRY(json_field_duration(document, "leaves_in_seconds", LEAVING_SECONDS_MAX, &out->leaves_in_us,
                            error));
    TRY(json_field_duration(document, "drain_in_seconds", LEAVING_SECONDS_MAX, &out->drain_in_us,
                            error));
    out->notice_us = out->notice_us > 0 ? out->notice_us : 0;
    json_t *groups = NULL;
    TRY(json_field_array(document, "groups", JSON_OPTIONAL, WORKER_GROUPS_MAX, &groups, error));
    TRY(groups_parse(groups, out->groups, &out->group_count, error));
    TRY(parse_labels(document, out, error));
    TRY(parse_serving(document, out, error));
    TRY(json_field_text(document, "view", JSON_OPTIONAL, WORKER_VIEW_MAX, &out->view, error));
    TRY(parse_software(document, &out->software, error));
    struct digest fingerprint;
    if (out->place.length > 0 && digest_from_text(out->place, &fingerprint, NULL) != OK) {
        return error_set(error, INVALID, "field \"place\" is not the fingerprint of a site");
    }
    out->cpu_millis = (int64_t)(cpus * 1000 + 0.5);
    if (out->name.length == 0 || text_has_control(out->name)) {
        return error_set(error, INVALID, "field \"name\" must be text without control characters");
    }
    return OK;
}
