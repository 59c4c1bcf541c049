#include "runner_jobs.h"
#include "../cmocka_all.h"

#include "base/memory.h"
#include "os/file.h"

const char ONE[] = "{\"command\": [\"p\"]}";
const char FOR_PHYSICS[] = "{\"command\": [\"p\"], \"group\": \"physics\"}";
const char SPARE[] = "{\"command\": [\"p\"], \"spare\": true}";
const char FRESH_SPARE[] = "{\"command\": [\"p\"], \"spare\": true, \"cache\": \"refresh\"}";

const struct runner NOBODYS = {.kind = RUNNER_SITE};
const struct runner ALICES = {.kind = RUNNER_USER, .user = "alice"};
const struct runner SPARES = {.kind = RUNNER_SPARE};

void act_as(struct site *site, const char *principal, const struct runner *runner)
{
    site->principal = principal;
    site->runner = runner;
}

int64_t come(struct site *site, const char *principal, const struct runner *runner)
{
    act_as(site, principal, runner);
    return site_worker(site, principal, 8);
}

int64_t submit_as(struct site *site, const char *owner, const char *document)
{
    site->owner = owner;
    return site_job(site, document);
}

void lease(struct site *site, int64_t worker, size_t count)
{
    struct reply reply = site_poll(site, worker, "{}");
    assert_int_equal(json_array_size(json_object_get(reply.document, "leases")), count);
    reply_done(&reply);
}

void keep_program(struct site *site)
{
    char digest[DIGEST_TEXT_SIZE];
    AUTO_FREE char *path = memory_format("%s/program", site->folder);
    AUTO_BUFFER struct buffer out = {0};
    struct digest bytes = digest_of("#!/bin/sh\n", 10);
    assert_int_equal(file_write_atomic(path, TEXT("#!/bin/sh\n"), 0700, NULL), OK);
    buffer_printf(&out, "{\"job\":1,\"executable\":\"%s\",\"executable_digest\":\"%s\"}", path,
                  digest_to_text(&bytes, digest));
    site->setups = buffer_take_string(&out);
}

struct digest store_blob(struct site *site, struct text bytes)
{
    struct digest digest = {0};
    struct blob_writer *writer = NULL;
    assert_int_equal(blob_writer_new(site->blobs, &writer, NULL), OK);
    assert_int_equal(blob_writer_append(writer, bytes, NULL), OK);
    assert_int_equal(blob_writer_commit(writer, NULL, &digest, NULL, NULL), OK);
    return digest;
}

void store_state(struct site *site)
{
    const struct digest digest = store_blob(site, TEXT("1"));
    assert_int_equal(queue_runner_uploaded(site->queue, text_of(site->principal), &digest, NULL),
                     OK);
}

const char *text_in(const json_t *document, const char *name)
{
    const char *text = json_string_value(json_object_get(document, name));
    return text ? text : "";
}
