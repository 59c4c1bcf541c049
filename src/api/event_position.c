#include "api/event_position.h"

enum { NUMBERS_MIN = 3, NUMBERS_MAX = 4 }; // An id of an older site says no attempt.

bool event_position_read(struct text text, struct event_position *out)
{
    int64_t numbers[NUMBERS_MAX] = {0};
    size_t count = 0;
    struct text part;
    while (count < NUMBERS_MAX && text_next_part(&text, '.', &part)) {
        if (!text_to_int64(part, &numbers[count]) || numbers[count] < 0) {
            return false;
        }
        count++;
    }
    if (count < NUMBERS_MIN || text.length > 0) {
        return false;
    }
    out->seq = numbers[0];
    out->output = numbers[1];
    out->error_output = numbers[2];
    out->attempt = numbers[3];
    return true;
}
