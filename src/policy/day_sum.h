// What came within the last day, by hours: a sum whose parts are forgotten when they are a day old. Pure.
#ifndef LODE_POLICY_DAY_SUM_H
#define LODE_POLICY_DAY_SUM_H

#include <stdint.h>

enum { DAY_SUM_HOURS = 24 };
#define DAY_SUM_HOUR_US INT64_C(3600000000)
#define DAY_SUM_US (DAY_SUM_HOURS * DAY_SUM_HOUR_US) // A part counts for so long, or an hour less.

// All zero: nothing. Times are of one clock that does not go back.
struct day_sum {
    int64_t hours[DAY_SUM_HOURS];
    int64_t last_hour;
};

// Forgets what is too old.
void day_sum_expire(struct day_sum *sum, int64_t now_us);
// Negative: what was added a moment ago came to nothing. The sum is never less than 0.
void day_sum_add(struct day_sum *sum, int64_t amount, int64_t now_us);
int64_t day_sum_total(const struct day_sum *sum);

#endif
