// resolve_read_answer: any bytes as an answer about doi:10.1/a. What is kept of it holds, and makes an answer that is read again as the same.
#include "fuzz.h"
#include "resolve/resolution.h"

static const struct text NAME = {"doi:10.1/a", sizeof "doi:10.1/a" - 1};

static void check_location(const struct location *location)
{
    AUTO_JSON json_t *entry = NULL;
    FUZZ_CHECK(json_parse(location->entry, &entry, NULL) == OK);
    FUZZ_CHECK(statement_verify(entry, "dataset", &location->key, NULL) == OK);
    struct fingerprint site = public_key_fingerprint(&location->key);
    FUZZ_CHECK(strcmp(site.text, location->site.text) == 0);
    FUZZ_CHECK(location->epoch > 0 && location->serial > 0);
    FUZZ_CHECK(location->load_permille >= -1 && location->rtt_us >= -1);
    FUZZ_CHECK(location->heard_seconds >= -1 && location->id && location->tier);
}

static void check_again(const struct location *locations, size_t count)
{
    AUTO_RESOLUTION struct resolution resolution;
    AUTO_BUFFER struct buffer out = {0};
    AUTO_ARENA struct arena arena = {0};
    resolution_init(&resolution);
    for (size_t i = 0; i < count; i++) {
        const struct resolve_site site = {
            .site = locations[i].site,
            .key = locations[i].key,
            .name = locations[i].name,
            .url = locations[i].url,
            .standing = locations[i].standing,
            .liveness = locations[i].liveness,
            .liveness_rank = resolve_liveness_rank(text_of(locations[i].liveness)),
            .heard_seconds = locations[i].heard_seconds,
            .load_permille = locations[i].load_permille,
            .rtt_us = locations[i].rtt_us,
        };
        resolution_add(&resolution, locations[i].entry, &site);
    }
    const struct resolution_origin origin = {.source = "index"};
    resolution_write(&resolution, &origin, &out);
    struct location *again = NULL;
    size_t again_count = 0;
    struct error problem = {0};
    struct error error = {0};
    FUZZ_CHECK(resolve_read_answer(buffer_text(&out), NAME, &arena, &again, &again_count, &problem,
                                   &error) == OK);
    FUZZ_CHECK(problem.status == OK && again_count == resolution.count);
    FUZZ_CHECK(resolve_check_newer(again, again_count, again, again_count, NULL) == OK ||
               again_count > 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA struct arena arena = {0};
    struct location *locations = NULL;
    size_t count = 0;
    struct error problem = {0};
    struct error error = {0};
    if (resolve_read_answer(fuzz_text(data, size), NAME, &arena, &locations, &count, &problem,
                            &error) != OK) {
        FUZZ_CHECK(error.status == CORRUPT && error.detail[0] != '\0');
        return 0;
    }
    FUZZ_CHECK(problem.status == OK || (problem.status == CORRUPT && problem.detail[0] != '\0'));
    for (size_t i = 0; i < count; i++) {
        check_location(&locations[i]);
    }
    if (count > 0) {
        check_again(locations, count);
    }
    return 0;
}
