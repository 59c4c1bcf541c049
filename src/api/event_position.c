#include "api/event_position.h"

enum { NUMBERS = 3 };

bool event_position_read(struct text text, struct event_position *out)
{
    int64_t numbers[NUMBERS] = {0};
    size_t count = 0;
    struct text part;
    while (count < NUMBERS && text_next_part(&text, '.', &part)) {
        if (!text_to_int64(part, &numbers[count]) || numbers[count] < 0) {
            return false;
        }
        count++;
    }
    if (count < NUMBERS || text.length > 0) {
        return false;
    }
    out->seq = numbers[0];
    out->output = numbers[1];
    out->error_output = numbers[2];
    return true;
}
