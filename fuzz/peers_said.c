// What other sites say: a line of a hub's feed, and heartbeats and positions that are not verified yet.
#include "fuzz.h"
#include "peers/said.h"

static void read_unverified(struct text text)
{
    struct error error = {0};
    struct said_heartbeat heartbeat;
    struct ledger_position position;
    AUTO_JSON json_t *object = NULL;
    if (json_parse(text, &object, &error) != OK) {
        return;
    }
    if (said_heartbeat_read(object, &heartbeat, &error) == OK) {
        FUZZ_CHECK(heartbeat.ttl_us > 0 &&
                   heartbeat.ttl_us <= PEERS_TTL_SECONDS_MAX * INT64_C(1000000));
        FUZZ_CHECK(heartbeat.load.cpus >= 0 && heartbeat.load.cpus_busy >= 0);
        FUZZ_CHECK(said_position_read(object, &position, &error) == OK);
        FUZZ_CHECK(position.serial == heartbeat.position.serial && position.serial >= 0);
    } else {
        FUZZ_CHECK(error.status == INVALID && error.detail[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = fuzz_text(data, size);
    struct error error = {0};
    struct said_news news = {0};
    if (said_news_read(text, &news, &error) == OK) {
        FUZZ_CHECK(news.statement.length > 0 && news.epoch >= 0 && news.serial >= 0);
        FUZZ_CHECK(news.heard_us >= 0 && (news.has_clock_offset || news.clock_offset_us == 0));
        FUZZ_CHECK(news.has_heartbeat == (news.heartbeat_text.length > 0));
    } else {
        FUZZ_CHECK(error.status != OK && error.detail[0] != '\0');
    }
    said_news_done(&news);
    read_unverified(text);
    return 0;
}
