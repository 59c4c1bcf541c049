// feed_read_cursor: any text as a cursor of this feed. Nobody gets beyond what has changed, and a cursor that was given out reads as its number.
#include "fuzz.h"
#include "peers/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct feed FEED = {.instance = 0x0123456789abcdef, .changes = 1000};
    char cursor[FEED_CURSOR_SIZE];
    uint64_t change = feed_read_cursor(&FEED, fuzz_text(data, size));
    FUZZ_CHECK(change <= FEED.changes);
    (void)feed_write_cursor(&FEED, change, cursor);
    FUZZ_CHECK(feed_read_cursor(&FEED, text_of(cursor)) == change);
    return 0;
}
