#include "policy/day_sum.h"

void day_sum_expire(struct day_sum *sum, int64_t now_us)
{
    int64_t hour = now_us / DAY_SUM_HOUR_US;
    int64_t first = sum->last_hour + 1;
    first = hour - first >= DAY_SUM_HOURS ? hour - DAY_SUM_HOURS + 1 : first;
    for (int64_t each = first; each <= hour; each++) {
        sum->hours[each % DAY_SUM_HOURS] = 0;
    }
    sum->last_hour = hour > sum->last_hour ? hour : sum->last_hour;
}

void day_sum_add(struct day_sum *sum, int64_t amount, int64_t now_us)
{
    day_sum_expire(sum, now_us);
    int64_t left = amount;
    for (int64_t back = 0; back < DAY_SUM_HOURS && left != 0; back++) {
        int64_t at = (sum->last_hour - back + DAY_SUM_HOURS) % DAY_SUM_HOURS;
        // What begins in one hour may end in the next.
        int64_t part = left < -sum->hours[at] ? -sum->hours[at] : left;
        sum->hours[at] += part;
        left -= part;
    }
}

int64_t day_sum_total(const struct day_sum *sum)
{
    int64_t total = 0;
    for (int i = 0; i < DAY_SUM_HOURS; i++) {
        total += sum->hours[i];
    }
    return total;
}
