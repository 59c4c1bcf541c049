// job_parse: any JSON as the job that a site tells a worker of. What is accepted is safe to make folders, binds and downloads of.
#include "base/json.h"
#include "crypto/digest.h"
#include "fuzz.h"
#include "sandbox/job.h"

static bool is_name(const char *name)
{
    return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static bool leaves(const char *mount)
{
    return mount[0] == '/' || strcmp(mount, "..") == 0 || strncmp(mount, "../", 3) == 0 ||
           strstr(mount, "/../") != NULL ||
           (strlen(mount) > 2 && strcmp(mount + strlen(mount) - 3, "/..") == 0);
}

static void check_job(const struct job *job)
{
    struct digest digest;
    FUZZ_CHECK(job->id >= 0 && job->command_count > 0 && job->cpu_millis >= 0);
    FUZZ_CHECK(job->memory_bytes >= 0 && job->disk_bytes >= 0 && job->walltime_us >= 0);
    for (size_t i = 0; i < job->file_count; i++) {
        FUZZ_CHECK(is_name(job->files[i].name));
        FUZZ_CHECK(digest_from_text(text_of(job->files[i].digest), &digest, NULL) == OK);
    }
    for (size_t i = 0; i < job->data_count; i++) {
        FUZZ_CHECK(is_name(job->data[i].name));
        for (size_t j = 0; j < job->data[i].root_count; j++) {
            FUZZ_CHECK(job->data[i].roots[j].path[0] == '/' &&
                       !leaves(job->data[i].roots[j].mount));
        }
        for (size_t j = 0; j < job->data[i].file_count; j++) {
            FUZZ_CHECK(job->data[i].files[j].source[0] == '/' && job->data[i].files[j].size >= 0);
        }
    }
    FUZZ_CHECK(!job->items_digest ||
               digest_from_text(text_of(job->items_digest), &digest, NULL) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_JSON json_t *document = NULL;
    struct job *job = NULL;
    struct error error = {0};
    if (json_parse(fuzz_text(data, size), &document, &error) != OK) {
        return 0;
    }
    if (job_parse(document, &job, &error) != OK) {
        FUZZ_CHECK(job == NULL && error.detail[0] != '\0');
        return 0;
    }
    check_job(job);
    job_free(job);
    return 0;
}
