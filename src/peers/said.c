#include "peers/said.h"

#include "base/calendar.h"

#include <math.h>

enum {
    CPUS_MAX = 1 << 24,
    STANDING_TEXT_MAX = 64,
    TTL_SECONDS_DEFAULT = 180,
    HEARD_SECONDS_MAX = 1000000000,        // Some 30 years: so long a site may have been silent,
    CLOCK_OFFSET_SECONDS_MAX = 1000000000, // and so far off a clock may be.
};

enum status said_position_read(const json_t *object, struct ledger_position *out,
                               struct error *error)
{
    struct ledger_position position = {0};
    struct text head = TEXT_NONE;
    TRY(json_field_int64(object, "epoch", JSON_REQUIRED, 0, INT64_MAX, &position.epoch, error));
    TRY(json_field_int64(object, "serial", JSON_REQUIRED, 0, INT64_MAX, &position.serial, error));
    TRY(json_field_text(object, "head", JSON_REQUIRED, DIGEST_TEXT_SIZE, &head, error));
    TRY(digest_from_text(head, &position.head, error));
    *out = position;
    return OK;
}

static enum status read_load(const json_t *statement, struct peers_load *out, struct error *error)
{
    json_t *load = NULL;
    TRY(json_field_object(statement, "load", JSON_REQUIRED, &load, error));
    TRY(json_field_int64(load, "cpus", JSON_OPTIONAL, 0, CPUS_MAX, &out->cpus, error));
    TRY(json_field_int64(load, "cpus_busy", JSON_OPTIONAL, 0, CPUS_MAX, &out->cpus_busy, error));
    TRY(json_field_int64(load, "tasks_waiting", JSON_OPTIONAL, 0, INT64_MAX, &out->tasks_waiting,
                         error));
    return json_field_int64(load, "workers", JSON_OPTIONAL, 0, CPUS_MAX, &out->workers, error);
}

enum status said_heartbeat_read(const json_t *statement, struct said_heartbeat *out,
                                struct error *error)
{
    struct said_heartbeat heartbeat = {0};
    struct text time = TEXT_NONE;
    int64_t ttl_seconds = TTL_SECONDS_DEFAULT;
    TRY(json_field_text(statement, "time", JSON_REQUIRED, CALENDAR_TEXT_SIZE, &time, error));
    if (!calendar_parse(time, &heartbeat.time_us)) {
        return error_set(error, INVALID, "\"%.40s\" in a heartbeat is no time of RFC 3339",
                         time.bytes);
    }
    TRY(json_field_int64(statement, "ttl_seconds", JSON_OPTIONAL, 1, PEERS_TTL_SECONDS_MAX,
                         &ttl_seconds, error));
    heartbeat.ttl_us = ttl_seconds * 1000000;
    TRY(said_position_read(statement, &heartbeat.position, error));
    TRY(read_load(statement, &heartbeat.load, error));
    *out = heartbeat;
    return OK;
}

void said_news_done(struct said_news *news)
{
    json_decref(news->line);
    buffer_done(&news->statement);
    buffer_done(&news->heartbeat_text);
}

static enum status read_news_heartbeat(struct said_news *out, struct error *error)
{
    const json_t *heartbeat = json_object_get(out->line, "heartbeat");
    if (!json_is_object(heartbeat)) {
        return OK;
    }
    TRY(statement_verify(heartbeat, "heartbeat", &out->read.key, error));
    TRY(said_heartbeat_read(heartbeat, &out->heartbeat, error));
    out->has_heartbeat = true;
    return statement_write_canonical(heartbeat, &out->heartbeat_text, error);
}

static enum peer_standing standing_from_text(struct text text)
{
    for (enum peer_standing each = STANDING_PENDING; each <= STANDING_DENIED; each++) {
        if (text_equal(text, text_of(peer_standing_name(each)))) {
            return each;
        }
    }
    return STANDING_UNKNOWN;
}

// What the hub itself says of the site: nobody has signed that.
static enum status read_hub_word(struct said_news *out, struct error *error)
{
    struct text standing = TEXT_NONE;
    int64_t heard_seconds = 0;
    double clock_offset = NAN;
    TRY(json_field_text(out->line, "standing", JSON_REQUIRED, STANDING_TEXT_MAX, &standing, error));
    TRY(json_field_int64(out->line, "epoch", JSON_REQUIRED, 0, INT64_MAX, &out->epoch, error));
    TRY(json_field_int64(out->line, "serial", JSON_REQUIRED, 0, INT64_MAX, &out->serial, error));
    TRY(json_field_int64(out->line, "heard_seconds", JSON_OPTIONAL, 0, HEARD_SECONDS_MAX,
                         &heard_seconds, error));
    TRY(json_field_double(out->line, "clock_offset_seconds", JSON_OPTIONAL,
                          -CLOCK_OFFSET_SECONDS_MAX, CLOCK_OFFSET_SECONDS_MAX, &clock_offset,
                          error));
    out->standing = standing_from_text(standing);
    out->heard_us = heard_seconds * 1000000;
    out->has_clock_offset = !isnan(clock_offset);
    out->clock_offset_us = out->has_clock_offset ? (int64_t)(clock_offset * 1e6) : 0;
    return OK;
}

enum status said_news_read(struct text line, struct said_news *out, struct error *error)
{
    json_t *statement = NULL;
    TRY(json_parse(line, &out->line, error));
    TRY(json_field_object(out->line, "statement", JSON_REQUIRED, &statement, error));
    TRY(read_hub_word(out, error));
    TRY(site_statement_read(statement, &out->read, error));
    TRY(statement_write_canonical(statement, &out->statement, error));
    return read_news_heartbeat(out, error);
}
