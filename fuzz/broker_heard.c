// What other sites say to the broker: any bytes as a question for an offer, as an offer, and as the state of a transfer. What is accepted can be planned with.
#include "broker/heard.h"
#include "fuzz.h"

static bool is_within(double value, double max)
{
    return value >= 0 && value <= max; // False for what is no number.
}

static void check_wish(const json_t *document)
{
    AUTO_ARENA struct arena arena = {0};
    struct error error = {0};
    struct wish wish;
    if (heard_read_wish(document, &arena, &wish, &error) != OK) {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
        FUZZ_CHECK(heard_read_wish(document, &arena, &wish, NULL) == INVALID);
        return;
    }
    FUZZ_CHECK(wish.data_count <= OFFER_DATA_MAX);
    for (size_t i = 0; i < wish.data_count; i++) {
        FUZZ_CHECK(strlen(wish.data[i].id) <= SPEC_ID_MAX);
    }
    FUZZ_CHECK(wish.count >= 0 && wish.count <= SPEC_COUNT_MAX);
    FUZZ_CHECK(wish.need.cpu_millis > 0 && wish.need.cpu_millis <= 1000 * SPEC_CPUS_MAX);
    FUZZ_CHECK(wish.need.memory_bytes >= 0 && wish.need.disk_bytes >= 0);
    FUZZ_CHECK(is_within(wish.task_seconds, HEARD_SECONDS_MAX));
    FUZZ_CHECK(is_within((double)wish.walltime_us / 1e6, HEARD_SECONDS_MAX));
}

static void check_offer(struct text document)
{
    AUTO_ARENA struct arena arena = {0};
    struct error error = {0};
    struct heard_offer offer;
    if (heard_read_offer(document, &arena, &offer, &error) != OK) {
        FUZZ_CHECK(error.status == CORRUPT && error.detail[0] != '\0');
        FUZZ_CHECK(heard_read_offer(document, &arena, &offer, NULL) == CORRUPT);
        return;
    }
    FUZZ_CHECK(strlen(offer.name) <= HEARD_OFFER_NAME_MAX);
    FUZZ_CHECK(is_within(offer.start_seconds, HEARD_OFFER_SECONDS_MAX));
    FUZZ_CHECK(is_within(offer.run_seconds, HEARD_OFFER_SECONDS_MAX));
    FUZZ_CHECK(is_within(offer.stage_seconds, HEARD_OFFER_SECONDS_MAX));
    FUZZ_CHECK(is_within(offer.stage_bytes, HEARD_BYTES_MAX));
    FUZZ_CHECK(is_within(offer.core_hours, HEARD_CORE_HOURS_MAX));
    // With what is largest, a time can still be told from it.
    FUZZ_CHECK(offer.stage_rate == 0 || is_within(HEARD_BYTES_MAX / offer.stage_rate, 1e18));
}

static void check_transfer(const json_t *document)
{
    struct error error = {0};
    struct heard_transfer transfer;
    if (heard_read_transfer(document, &transfer, &error) != OK) {
        FUZZ_CHECK(error.status == CORRUPT && error.detail[0] != '\0');
        return;
    }
    FUZZ_CHECK(!(transfer.is_done && transfer.has_failed));
    FUZZ_CHECK(transfer.bytes_done >= 0 && transfer.bytes_total >= 0);
    FUZZ_CHECK(transfer.problem.length <= HEARD_TRANSFER_TEXT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = fuzz_text(data, size);
    AUTO_JSON json_t *document = NULL;
    check_offer(text);
    if (json_parse(text, &document, NULL) == OK) {
        check_wish(document);
        check_transfer(document);
    }
    return 0;
}
