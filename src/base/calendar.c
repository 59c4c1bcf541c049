#include "base/calendar.h"

// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (H. Hinnant's days_from_civil).
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2 ? 1 : 0;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted + (shifted < 10 ? 3 : -9));
    *year = (int)(year_of_era + era * 400 + (*month <= 2 ? 1 : 0));
}

// Writes the last `count` digits of a number; returns the place behind them.
static char *put_digits(char *out, int64_t number, size_t count)
{
    for (size_t at = count; at > 0; at--) {
        out[at - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    return out + count;
}

// Writes the byte and two digits after it.
static char *put_part(char *out, char before, int64_t number)
{
    *out = before;
    return put_digits(out + 1, number, 2);
}

char *calendar_format(int64_t time_us, char out[CALENDAR_TEXT_SIZE])
{
    int64_t seconds = time_us / 1000000;
    int64_t micros = time_us % 1000000;
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    int64_t days = seconds / 86400;
    int64_t rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int year = 0;
    int month = 0;
    int day = 0;
    date_of_days(days, &year, &month, &day);
    char *at = put_digits(out, year, 4);
    at = put_part(at, '-', month);
    at = put_part(at, '-', day);
    at = put_part(at, 'T', rest / 3600);
    at = put_part(at, ':', rest / 60 % 60);
    at = put_part(at, ':', rest % 60);
    if (micros > 0) {
        *at++ = '.';
        at = put_digits(at, micros, 6);
    }
    *at++ = 'Z';
    *at = '\0';
    return out;
}

static bool take_digits(struct text *rest, size_t count, int64_t *out)
{
    int64_t value = 0;
    struct text digits = text_slice(*rest, 0, count);
    if (digits.length < count || digits.bytes[0] == '-' || !text_to_int64(digits, &value)) {
        return false;
    }
    *rest = (struct text){rest->bytes + count, rest->length - count};
    *out = value;
    return true;
}

static bool take_byte(struct text *rest, char byte)
{
    if (rest->length == 0 || rest->bytes[0] != byte) {
        return false;
    }
    *rest = (struct text){rest->bytes + 1, rest->length - 1};
    return true;
}

static bool take_offset(struct text *rest, int64_t *offset_seconds)
{
    if (take_byte(rest, 'Z') || take_byte(rest, 'z')) {
        *offset_seconds = 0;
        return true;
    }
    int64_t hours = 0;
    int64_t minutes = 0;
    bool is_west = take_byte(rest, '-');
    if ((!is_west && !take_byte(rest, '+')) || !take_digits(rest, 2, &hours) ||
        !take_byte(rest, ':') || !take_digits(rest, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *offset_seconds = (is_west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

// Does the calendar have this day? "2026-02-30" is a date in form only.
static bool is_date(int64_t year, int64_t month, int64_t day)
{
    int same_year = 0;
    int same_month = 0;
    int same_day = 0;
    if (month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    date_of_days(days_of_date(year, month, day), &same_year, &same_month, &same_day);
    return same_year == year && same_month == month && same_day == day;
}

bool calendar_parse(struct text text, int64_t *time_us)
{
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t offset = 0;
    int64_t micros = 0;
    struct text rest = text;
    if (!take_digits(&rest, 4, &year) || !take_byte(&rest, '-') || !take_digits(&rest, 2, &month) ||
        !take_byte(&rest, '-') || !take_digits(&rest, 2, &day) ||
        (!take_byte(&rest, 'T') && !take_byte(&rest, 't') && !take_byte(&rest, ' ')) ||
        !take_digits(&rest, 2, &hour) || !take_byte(&rest, ':') ||
        !take_digits(&rest, 2, &minute) || !take_byte(&rest, ':') ||
        !take_digits(&rest, 2, &second)) {
        return false;
    }
    if (take_byte(&rest, '.')) {
        int64_t scale = 100000;
        size_t digits = 0;
        for (; rest.length > 0 && rest.bytes[0] >= '0' && rest.bytes[0] <= '9'; digits++) {
            micros += scale * (rest.bytes[0] - '0');
            scale /= 10;
            rest = (struct text){rest.bytes + 1, rest.length - 1};
        }
        if (digits == 0) {
            return false;
        }
    }
    if (!take_offset(&rest, &offset) || rest.length > 0 || !is_date(year, month, day) ||
        hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    *time_us =
        (days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset) *
            1000000 +
        micros;
    return true;
}
