// Why an option of a plan is as it is, in words and numbers for people.
#ifndef LODE_PLAN_PLAN_WORDS_H
#define LODE_PLAN_PLAN_WORDS_H

#include "plan/plan.h"

// The reason of one option.
const char *plan_option_words(const struct plan_request *request, const struct plan_option *option,
                              bool is_rate_assumed, struct arena *arena);

// Why the first of the options was taken: what the next best of another kind would have cost.
const char *plan_choice_words(const struct plan_request *request, const struct plan *plan,
                              struct arena *arena);

// Sets the error for a request without any option: what each site said, and what would help.
enum status plan_refuse(const struct plan_request *request, struct error *error);

#endif
