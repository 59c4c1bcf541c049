// What another site says of a job: whatever is taken of it can be written for a poll, and that reads as the same.
#include "fuzz.h"
#include "link/wire.h"

static void check_result(struct text data)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_result result;
    struct wire_result again;
    AUTO_BUFFER struct buffer out = {0};
    AUTO_BUFFER struct buffer twice = {0};
    if (wire_read_result(data, 1000, &arena, &result, NULL) == OK) {
        wire_write_result(&result, result.index, &out);
        FUZZ_CHECK(wire_read_result(buffer_text(&out), 1000, &arena, &again, NULL) == OK);
        wire_write_result(&again, again.index, &twice);
        FUZZ_CHECK(text_equal(buffer_text(&out), buffer_text(&twice)));
    }
}

static void check_piece(struct text data)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_piece piece;
    AUTO_BUFFER struct buffer out = {0};
    if (wire_read_piece(data, 1000, &arena, &piece, NULL) == OK) {
        FUZZ_CHECK(piece.from < piece.to && piece.to <= 1000);
        wire_write_piece(&piece, 0, &piece.answers, &out);
        FUZZ_CHECK(wire_read_piece(buffer_text(&out), 1000, &arena, &piece, NULL) == OK);
    }
}

static void check_job(struct text data)
{
    AUTO_JSON json_t *document = NULL;
    struct wire_job job;
    if (json_parse(data, &document, NULL) == OK && wire_read_job(document, &job, NULL) == OK) {
        FUZZ_CHECK(job.id > 0 && job.disk_bytes >= 0 && json_is_object(job.spec));
        FUZZ_CHECK(job.owner.bytes && job.owner.length <= WIRE_OWNER_MAX);
    }
}

static void check_words(struct text data)
{
    struct arena arena AUTO_ARENA = {0};
    struct wire_words words;
    if (wire_read_words(data, &arena, &words, NULL) == OK) {
        FUZZ_CHECK(words.why.length <= WIRE_WORDS_MAX && words.change.length <= WIRE_WORDS_MAX);
        FUZZ_CHECK(!text_has_control(words.why) && text_is_utf8(words.why));
        FUZZ_CHECK(!text_has_control(words.change) && text_is_utf8(words.change));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct arena arena AUTO_ARENA = {0};
    struct text data = fuzz_text(bytes, size);
    struct wire_place *places = NULL;
    struct wire_log log;
    struct wire_end end = {0};
    struct wire_setup setup = {0};
    size_t count = 0;
    int64_t version = 0;
    check_result(data);
    check_piece(data);
    check_job(data);
    check_words(data);
    (void)wire_read_places(data, &arena, &places, &count, &version, NULL);
    (void)wire_read_log(data, &arena, &log, NULL);
    (void)wire_read_end(data, &arena, &end, NULL);
    (void)wire_read_setup(data, &arena, &setup, NULL);
    return 0;
}
