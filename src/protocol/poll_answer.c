#include "protocol/poll_answer.h"

#include "base/memory.h"
#include "jobs/spec.h"

#include <stdio.h>

enum { LEASE_NUMBERS = 4, ATTEMPT_PARTS = 3 };
#define HEARTBEAT_MIN_SECONDS 0.1

static enum status read_groups(const json_t *document, struct registration *out,
                               struct error *error)
{
    json_t *groups = NULL;
    size_t used = 0;
    TRY(json_field_array(document, "unknown_groups", JSON_OPTIONAL, WORKER_GROUPS_MAX, &groups,
                         error));
    for (size_t i = 0; i < json_array_size(groups) && used < sizeof out->unknown_groups; i++) {
        struct text name = json_text(json_array_get(groups, i));
        if (name.length == 0 || !text_is_utf8(name) || text_has_control(name)) {
            return error_set(error, INVALID, "field \"unknown_groups\" has what is no name");
        }
        used += (size_t)snprintf(out->unknown_groups + used, sizeof out->unknown_groups - used,
                                 "%s%.*s", i > 0 ? ", " : "", TEXT_ARGS(name));
    }
    return OK;
}

enum status registration_read(struct text body, struct registration *out, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    struct registration read = {.wait_seconds = POLL_ANSWER_WAIT_SECONDS};
    double heartbeat_seconds = POLL_ANSWER_WAIT_SECONDS;
    TRY(json_parse(body, &document, error));
    TRY(json_field_int64(document, "worker", JSON_REQUIRED, 1, INT64_MAX, &read.worker, error));
    TRY(json_field_int64(document, "wait_seconds", JSON_OPTIONAL, 0, POLL_ANSWER_WAIT_SECONDS_MAX,
                         &read.wait_seconds, error));
    TRY(json_field_double(document, "heartbeat_seconds", JSON_OPTIONAL, HEARTBEAT_MIN_SECONDS,
                          POLL_ANSWER_WAIT_SECONDS_MAX, &heartbeat_seconds, error));
    read.heartbeat_us = (int64_t)(heartbeat_seconds * 1e6);
    struct text key = TEXT("");
    TRY(json_field_text(document, "serve_key", JSON_OPTIONAL, sizeof read.serve_key - 1, &key,
                        error));
    memcpy(read.serve_key, key.bytes, key.length);
    TRY(json_field_bool(document, "sees_files", JSON_OPTIONAL, &read.sees_files, error));
    TRY(read_groups(document, &read, error));
    *out = read;
    return OK;
}

// It becomes the value of a variable.
static bool is_token(struct text text)
{
    return text.length > 0 && text.length <= POLL_ANSWER_TOKEN_MAX && !text_has_control(text);
}

// [lease, job, from, to] or [lease, job, from, to, token]
static enum status read_lease(const json_t *value, struct arena *arena, struct leased *out,
                              struct error *error)
{
    int64_t numbers[LEASE_NUMBERS] = {0};
    bool has_token = json_array_size(value) == LEASE_NUMBERS + 1;
    struct text token = has_token ? json_text(json_array_get(value, LEASE_NUMBERS)) : TEXT_NONE;
    bool is_whole = has_token ? is_token(token) : json_array_size(value) == LEASE_NUMBERS;
    for (size_t i = 0; is_whole && i < LEASE_NUMBERS; i++) {
        const json_t *number = json_array_get(value, i);
        is_whole = json_is_integer(number);
        numbers[i] = json_integer_value(number);
    }
    *out = (struct leased){.lease = numbers[0],
                           .job = numbers[1],
                           .from = numbers[2],
                           .to = numbers[3],
                           .token = has_token && is_whole ? arena_copy(arena, token) : NULL};
    bool is_range = out->from >= 0 && out->to > out->from && out->to <= SPEC_COUNT_MAX;
    if (!is_whole || out->lease < 1 || out->job < 1 || !is_range) {
        return error_set(error, INVALID,
                         "the site gave a lease of tasks [%lld, %lld) of job %lld, which is none",
                         (long long)out->from, (long long)out->to, (long long)out->job);
    }
    return OK;
}

static enum status read_leases(const json_t *document, struct arena *arena, struct poll_answer *out,
                               struct error *error)
{
    json_t *leases = NULL;
    TRY(json_field_array(document, "leases", JSON_OPTIONAL, POLL_ANSWER_JOBS_MAX, &leases, error));
    size_t count = json_array_size(leases);
    out->leases = arena_new(arena, (count + 1) * sizeof *out->leases);
    for (size_t i = 0; i < count; i++) {
        TRY(read_lease(json_array_get(leases, i), arena, &out->leases[i], error));
    }
    out->lease_count = count;
    return OK;
}

// [lease, attempt, files] of some of the leases, in their order.
static enum status read_attempts(const json_t *document, struct poll_answer *out,
                                 struct error *error)
{
    json_t *attempts = NULL;
    size_t at = 0;
    TRY(json_field_array(document, "attempts", JSON_OPTIONAL, POLL_ANSWER_JOBS_MAX, &attempts,
                         error));
    for (size_t i = 0; i < json_array_size(attempts); i++) {
        const json_t *attempt = json_array_get(attempts, i);
        const json_t *number = json_array_get(attempt, 1);
        const json_t *files = json_array_get(attempt, 2);
        int64_t lease = json_integer_value(json_array_get(attempt, 0));
        while (at < out->lease_count && out->leases[at].lease != lease) {
            at++;
        }
        if (json_array_size(attempt) != ATTEMPT_PARTS || !json_is_integer(number) ||
            json_integer_value(number) < 1 || !json_is_array(files) || at == out->lease_count) {
            return error_set(error, INVALID,
                             "element %zu of \"attempts\" is no [lease, attempt, files] of a lease",
                             i);
        }
        out->leases[at].attempt = json_integer_value(number);
        out->leases[at].checkpoint = files;
    }
    return OK;
}

static enum status read_numbers(const json_t *document, const char *name, struct arena *arena,
                                int64_t **out, size_t *count, struct error *error)
{
    json_t *array = NULL;
    TRY(json_field_array(document, name, JSON_OPTIONAL, POLL_ANSWER_ENDS_MAX, &array, error));
    int64_t *numbers = arena_new(arena, (json_array_size(array) + 1) * sizeof *numbers);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *number = json_array_get(array, i);
        if (!json_is_integer(number) || json_integer_value(number) < 1) {
            return error_set(error, INVALID, "field \"%s\" must hold numbers from 1 on", name);
        }
        numbers[i] = json_integer_value(number);
    }
    *out = numbers;
    *count = json_array_size(array);
    return OK;
}

enum status poll_answer_read(struct text body, struct arena *arena, struct poll_answer *out,
                             struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    struct poll_answer read = {0};
    double drain_seconds = -1;
    json_t *jobs = NULL;
    TRY(json_parse(body, &document, error));
    TRY(json_field_array(document, "jobs", JSON_OPTIONAL, POLL_ANSWER_JOBS_MAX, &jobs, error));
    TRY(read_leases(document, arena, &read, error));
    TRY(read_attempts(document, &read, error));
    TRY(read_numbers(document, "cancel", arena, &read.cancelled, &read.cancelled_count, error));
    TRY(read_numbers(document, "yield", arena, &read.yields, &read.yield_count, error));
    TRY(read_numbers(document, "drop_jobs", arena, &read.dropped, &read.dropped_count, error));
    TRY(json_field_bool(document, "drain", JSON_OPTIONAL, &read.is_draining, error));
    TRY(json_field_double(document, "drain_in_seconds", JSON_OPTIONAL, 0,
                          POLL_ANSWER_DRAIN_SECONDS_MAX, &drain_seconds, error));
    read.drain_in_us = drain_seconds < 0 ? -1 : (int64_t)(drain_seconds * 1e6);
    read.jobs = jobs;
    read.document = TAKE(document);
    *out = read;
    return OK;
}

void poll_answer_done(struct poll_answer *answer)
{
    json_decref(TAKE(answer->document));
    answer->jobs = NULL;
}
